"""The QR code of a secret: a picture that no policy stops, and that says exactly what apps read."""

from urllib.parse import unquote
from xml.etree import ElementTree as ET

import segno

from bridge.pages.picture import qr_code
from bridge.secret import Secret

URI = "otpauth://totp/Acme:ada%40example.com?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Acme"
PREFIX = "data:image/svg+xml,"


def drawn(address: str) -> ET.Element:
    assert address.startswith(PREFIX)
    return ET.fromstring(unquote(address.removeprefix(PREFIX)))


def test_it_is_one_picture_without_styles_scripts_or_references() -> None:
    picture = drawn(qr_code(Secret(URI)))
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    assert {each.tag.rpartition("}")[2] for each in picture.iter()} == {"svg", "path"}
    names = {name for each in picture.iter() for name in each.attrib}
    assert names <= {"viewBox", "d", "stroke", "fill", "transform", "width", "height"}


def test_it_is_black_on_white_with_a_quiet_zone_whatever_the_page_looks_like() -> None:
    picture = drawn(qr_code(Secret(URI)))
    back, front = picture
    size = segno.make_qr(URI, error="m").symbol_size(border=4)[0]
    assert picture.attrib["viewBox"] == f"0 0 {size} {size}"
    assert (back.attrib["fill"], front.attrib["stroke"]) == ("#fff", "#000")


def test_another_secret_is_another_picture() -> None:
    assert qr_code(Secret(URI)) != qr_code(Secret(URI.replace("JBSW", "JBSX")))
