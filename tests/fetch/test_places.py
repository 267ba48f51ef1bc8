"""Which addresses may be called, as tables — security §16."""

from ipaddress import ip_address

import pytest

from bridge.errors import ConfigError
from bridge.fetch.options import FetchOptions
from bridge.fetch.places import Target, is_public, may_call

PUBLIC = ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:93.184.215.14", "64:ff9b::5db8:d70e"]
PUBLIC += ["2002:5db8:d70e::1"]
PRIVATE = [
    *("0.0.0.0", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.8.8.8", "169.254.169.254", "172.16.0.1", "192.0.0.8"),
    *("192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1"),
    *("255.255.255.255", "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:0:127.0.0.1"),
    *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::5db8:d70e", "2002:7f00:1::", "2002:c0a8:1::1"),
    *("2001::1", "2001:db8::1", "3fff::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "ff0e::1"),
    *("100::1", "5f00::1", "64:ff9b::e000:1"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_what_anybody_may_reach_is_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_global_after_unmapping_is_not_nor_many_at_once(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/there",
        "//rp.test/",
        "ftp://rp.test/",
        "file:///etc/passwd",
        "gopher://rp.test/",
        "https://",
        "https:///there",
        "https://u@rp.test/",
        "https://u:p@rp.test/",
        "https://@rp.test/",
        "https://rp.test@127.0.0.1/",
        "https://rp.test\\@127.0.0.1/",
        "https://rp.test/#f",
        "https://rp.test:0/",
        "https://rp.test:65536/",
        "https://rp.test:x/",
        "https://rp test/",
        "https://rp.test/a b",
        "https://rp.test/\r\nX: y",
        "https://rp.test/\x00",
        "https://ｒｐ.test/",
        "https://rp..test/",
        "https://.rp.test/",
        "https://[::1/",
        "https://[rp.test]/",
        "https://[fe80::1%25eth0]/",
        "https://rp.test/" + "a" * 2_000,
    ],
)
def test_what_cannot_be_taken_apart_surely_is_not_called(url: str) -> None:
    assert Target.parse(url) is None


@pytest.mark.parametrize(
    ("url", "target", "authority"),
    [
        ("https://RP.test", Target("https", "rp.test", 443, "/"), "rp.test"),
        ("https://rp.test:443/x?y=z", Target("https", "rp.test", 443, "/x?y=z"), "rp.test"),
        ("https://rp.test:8443?q", Target("https", "rp.test", 8443, "/?q"), "rp.test:8443"),
        ("https://[2606::1]:8443/", Target("https", "2606::1", 8443, "/"), "[2606::1]:8443"),
        ("http://127.0.0.1:9000/l", Target("http", "127.0.0.1", 9000, "/l"), "127.0.0.1:9000"),
    ],
)
def test_host_port_and_path_are_taken_as_they_stand(url: str, target: Target, authority: str) -> None:
    found = Target.parse(url)
    assert found is not None and found == target
    assert found.authority == authority


GOOD, INNER, OTHER = "93.184.215.14", "10.1.2.3", "10.9.9.9"


@pytest.mark.parametrize(
    ("allow", "url", "addresses", "may"),
    [
        ((), "https://rp.test/", [GOOD], True),
        ((), "https://rp.test/", [GOOD, INNER], False),
        ((), "https://rp.test/", [INNER, GOOD], False),
        ((), "https://rp.test:8443/", [GOOD], False),
        ((), "http://rp.test/", [GOOD], False),
        ((), "http://rp.test:443/", [GOOD], False),
        (("*:8443",), "https://rp.test:8443/", [GOOD], True),
        (("*:8443",), "https://rp.test:8443/", [INNER], False),
        (("*:8443",), "https://rp.test:8444/", [GOOD], False),
        (("*:8443",), "http://rp.test:8443/", [GOOD], False),
        (("rp.test",), "https://rp.test/", [INNER], True),
        (("RP.test",), "https://rp.TEST/", [INNER], True),
        (("rp.test",), "https://rp.test:8443/", [INNER], False),
        (("rp.test:8443",), "https://rp.test:8443/", [INNER], True),
        (("rp.test:8443",), "https://rp.test/", [INNER], False),
        (("rp.test",), "https://other.test/", [INNER], False),
        (("rp.test",), "https://a.rp.test/", [INNER], False),
        (("10.1.0.0/16",), "https://rp.test/", [INNER], True),
        (("10.1.0.0/16",), "https://rp.test/", [INNER, GOOD], True),
        (("10.1.0.0/16",), "https://rp.test/", [INNER, OTHER], False),
        (("10.1.0.0/16",), "https://rp.test/", ["::ffff:10.1.2.3"], True),
        (("10.1.0.0/16:8443",), "https://rp.test:8443/", [INNER], True),
        (("fd00::/8",), "https://rp.test/", ["fd00::1"], True),
        (("[fd00::/8]:8443",), "https://rp.test:8443/", ["fd00::1"], True),
        (("[::1]:8443",), "https://[::1]:8443/", ["::1"], True),
        (("127.0.0.1:8443",), "https://rp.test:8443/", ["127.0.0.1"], False),
        (("http://127.0.0.1:9000",), "http://127.0.0.1:9000/", ["127.0.0.1"], True),
        (("http://127.0.0.1:9000",), "https://127.0.0.1:9000/", ["127.0.0.1"], False),
        (("http://rp.test",), "http://rp.test/", [INNER], True),
    ],
)
def test_only_https_at_port_443_of_public_addresses_unless_it_is_listed(
    allow: tuple[str, ...], url: str, addresses: list[str], may: bool
) -> None:
    target = Target.parse(url)
    assert target is not None
    opened = FetchOptions(allow=allow).opened()
    assert may_call(target, [ip_address(one) for one in addresses], opened) is may


@pytest.mark.parametrize(
    "entry",
    [
        *("", "*:0", "*:65536", "rp.test:x", "10.1.2.3/8", "rp test", "ftp://rp.test", "http://*:80"),
        *("http://10.0.0.0/8", "rp.test/path", "fd00::/8:x", ":8443", "http://"),
    ],
)
def test_an_entry_that_says_nothing_is_a_mistake_of_the_operators(entry: str) -> None:
    with pytest.raises(ConfigError, match=r"fetch\.allow"):
        FetchOptions(allow=(entry,))
