"""prompt × session × max_age × consent × what was answered: the decision as tables of values — Core §3.1.2.1."""

from typing import Any

import pytest
from msgspec.structs import replace

from bridge.clients.client import Client
from bridge.grants.consents import ConsentCopy
from bridge.interactions.record import Answer, Step
from bridge.login.attempt import AMR
from bridge.login.passkeys import ALONE, SECOND
from bridge.login.ways import OTP as OTP_AMR
from bridge.oidc.acr import ACRS, acr_for, met_by
from bridge.oidc.claims_parameter import Wanted
from bridge.oidc.errors import OAuthError
from bridge.oidc.prompts import (
    AccountNeeded,
    ConsentNeeded,
    CreateNeeded,
    Granted,
    LoginNeeded,
    SignedIn,
    next_step,
    without_asking,
)
from bridge.oidc.redirect import RedirectTarget
from bridge.oidc.request import AuthorizationRequest
from bridge.oidc.response_modes import ReturnPath
from bridge.types import ClientId, Stamp, Subject

NOW = 1_000_000
BOB = SignedIn("s1", Subject("bob"), NOW - 100)
YES = ConsentCopy(version=1, granted=True, scopes=("openid", "email"), stamp=Stamp("n"))
LESS = ConsentCopy(version=1, granted=True, scopes=("openid",), stamp=Stamp("n"))
NO = ConsentCopy(version=2, granted=False, scopes=(), stamp=Stamp("n"))
URI = "https://shop.example/cb"


def asked(*, first_party: bool = False, native: bool = False, **request: Any) -> AuthorizationRequest:
    uri = "com.example.app:/cb" if native else URI
    client = Client(
        client_id=ClientId("shop"),
        redirect_uris=(uri,),
        first_party=first_party,
        application_type="native" if native else "web",
        auth_method="none" if native else "client_secret_basic",
    )
    back = ReturnPath(RedirectTarget(uri, (uri,), native), "query", None, "Shop")
    prompt = frozenset(request.pop("prompt", "").split())
    return AuthorizationRequest(
        client=client, back=back, redirect_uri=uri, scopes=("openid", "email"), prompt=prompt, **request
    )


def answered(*steps: Step, session: str = "s1") -> dict[Step, Answer]:
    return {step: Answer(session=session, at=NOW) for step in steps}


@pytest.mark.parametrize("prompt", ["", "login", "consent", "select_account", "login consent", "none"])
@pytest.mark.parametrize("max_age", [None, 0, 10_000])
def test_nobody_signed_in_means_login(prompt: str, max_age: int | None) -> None:
    assert next_step(asked(prompt=prompt, max_age=max_age), None, None, {}, NOW) == LoginNeeded()


@pytest.mark.parametrize(
    ("prompt", "max_age", "consent", "answers", "expected"),
    [
        ("", None, YES, (), Granted()),
        ("none", None, YES, (), Granted()),
        ("", None, LESS, (), ConsentNeeded()),
        ("", None, NO, (), ConsentNeeded()),
        ("", None, None, (), ConsentNeeded()),
        ("none", None, NO, (), ConsentNeeded()),
        # a login on demand, once
        ("login", None, YES, (), LoginNeeded()),
        ("login", None, YES, ("consent", "account"), LoginNeeded()),
        ("login", None, YES, ("login",), Granted()),
        ("login", None, NO, ("login",), ConsentNeeded()),
        # consent on demand, once, even though it was given before
        ("consent", None, YES, (), ConsentNeeded()),
        ("consent", None, YES, ("login",), ConsentNeeded()),
        ("consent", None, YES, ("consent",), Granted()),
        ("consent", None, NO, ("consent",), ConsentNeeded()),
        ("login consent", None, YES, (), LoginNeeded()),
        ("login consent", None, YES, ("login",), ConsentNeeded()),
        ("login consent", None, YES, ("login", "consent"), Granted()),
        # a choice of account, which a login is too
        ("select_account", None, YES, (), AccountNeeded()),
        ("select_account", None, YES, ("account",), Granted()),
        ("select_account", None, YES, ("login",), Granted()),
        ("select_account", None, NO, ("account",), ConsentNeeded()),
        ("login select_account", None, YES, ("account",), LoginNeeded()),
        # an account of one's own, offered once, whoever is signed in
        ("create", None, YES, (), CreateNeeded()),
        ("create", None, YES, ("consent",), CreateNeeded()),
        ("create", None, YES, ("login",), Granted()),
        ("create", None, NO, ("login",), ConsentNeeded()),
        ("create", None, YES, ("account",), Granted()),
        ("create", None, NO, ("account",), ConsentNeeded()),
        ("create login", None, YES, (), CreateNeeded()),
        ("create login", None, YES, ("account",), LoginNeeded()),
        ("create login", None, YES, ("login",), Granted()),
        ("create consent", None, YES, ("login",), ConsentNeeded()),
        ("create select_account", None, YES, (), CreateNeeded()),
        ("create select_account", None, YES, ("account",), Granted()),
        ("create", 99, YES, (), CreateNeeded()),
        ("create", 99, YES, ("account",), LoginNeeded()),
        # the session is 100 seconds old
        ("", 99, YES, (), LoginNeeded()),
        ("", 100, YES, (), Granted()),
        ("", 10_000, YES, (), Granted()),
        ("", 99, YES, ("login",), Granted()),
        ("", 0, YES, (), LoginNeeded()),
        ("", 0, YES, ("login",), Granted()),
        ("none", 99, YES, (), LoginNeeded()),
    ],
)
def test_what_comes_next(
    prompt: str, max_age: int | None, consent: ConsentCopy | None, answers: tuple[Step, ...], expected: object
) -> None:
    """§12 no. 78, 79."""
    request = asked(prompt=prompt, max_age=max_age)
    assert next_step(request, BOB, consent, answered(*answers), NOW) == expected


@pytest.mark.parametrize("prompt", ["create", "create login", "create consent", "create select_account"])
def test_nobody_signed_in_is_offered_an_account_where_the_app_asks_for_one(prompt: str) -> None:
    """Initiating User Registration 1.0 §4: not the sign-in, from where it is a link away."""
    assert next_step(asked(prompt=prompt), None, None, {}, NOW) == CreateNeeded()
    assert next_step(asked(prompt=prompt), None, None, answered("login"), NOW) == CreateNeeded(), "signed out since"


@pytest.mark.parametrize("step", ["login", "consent", "account"])
@pytest.mark.parametrize("prompt", ["login", "consent", "select_account", "create"])
def test_another_sessions_answer_is_nobodys(prompt: str, step: Step) -> None:
    """Whoever signs in after him in this browser has answered nothing yet."""
    answers = answered(step, session="s2")
    assert next_step(asked(prompt=prompt), BOB, YES, answers, NOW) == next_step(asked(prompt=prompt), BOB, YES, {}, NOW)


def test_max_age_zero_is_a_login_even_in_the_same_second() -> None:
    just_now = SignedIn("s1", Subject("bob"), NOW)
    assert next_step(asked(max_age=0), just_now, YES, {}, NOW) == LoginNeeded()


@pytest.mark.parametrize("max_age", [0, 1, 10_000])
def test_who_did_not_show_who_he_is_satisfies_no_max_age(max_age: int) -> None:
    """Security §8, docs/decisions/0183: however short ago the sign-in was that his device remembers."""
    remembered = SignedIn("s1", Subject("bob"), NOW, ("rem",))
    assert next_step(asked(max_age=max_age), remembered, YES, {}, NOW) == LoginNeeded()
    assert next_step(asked(max_age=max_age), remembered, YES, answered("account"), NOW) == LoginNeeded()
    assert next_step(asked(), remembered, YES, {}, NOW) == Granted()


@pytest.mark.parametrize("who", [None, BOB])
def test_turning_back_ends_it(who: SignedIn | None) -> None:
    """§12 no. 11, and the suite's user-rejects-authentication: also before login."""
    with pytest.raises(OAuthError) as refused:
        next_step(asked(), who, YES, {"deny": Answer(session=None, at=NOW)}, NOW)
    assert refused.value.code == "access_denied"


def test_a_first_party_client_needs_no_consent() -> None:
    for prompt in ("", "consent"):
        assert next_step(asked(prompt=prompt, first_party=True), BOB, NO, {}, NOW) == Granted()


def test_an_app_that_anybody_may_pretend_to_be_is_consented_to_each_time() -> None:
    """§12 no. 15; RFC 8252 §8.6."""
    assert next_step(asked(native=True), BOB, YES, {}, NOW) == ConsentNeeded()
    assert next_step(asked(native=True), BOB, YES, answered("consent"), NOW) == Granted()


def test_the_wrong_person_never_comes_back() -> None:
    """§12 no. 77: asked to sign in first, refused if it is still somebody else."""
    eve = Subject("eve")
    assert next_step(asked(expected_sub=eve), BOB, YES, {}, NOW) == LoginNeeded()
    assert next_step(asked(expected_sub=Subject("bob")), BOB, YES, {}, NOW) == Granted()
    with pytest.raises(OAuthError) as refused:
        next_step(asked(expected_sub=eve), BOB, YES, answered("login"), NOW)
    assert refused.value.code == "login_required"


@pytest.mark.parametrize(
    ("claims", "scopes", "allowed", "expected"),
    [
        (("name",), ("openid", "email"), (), ConsentNeeded()),
        (("name",), ("openid", "email"), ("name",), Granted()),
        (("name", "locale"), ("openid", "email"), ("name",), ConsentNeeded()),
        (("name",), ("openid", "email", "profile"), (), Granted()),
        (("email",), ("openid", "email"), (), Granted()),
        (("phone_number",), ("openid", "email", "address"), ("name",), ConsentNeeded()),
    ],
)
@pytest.mark.parametrize("member", ["userinfo", "id_token"])
def test_consent_is_to_claims_as_well(
    member: str, claims: tuple[str, ...], scopes: tuple[str, ...], allowed: tuple[str, ...], expected: object
) -> None:
    """Core §5.5, §3.1.2.4: scope × name × what was allowed before, by scope or by name."""
    consent = ConsentCopy(version=1, granted=True, scopes=scopes, claims=allowed, stamp=Stamp("n"))
    wanted = Wanted(userinfo=claims) if member == "userinfo" else Wanted(id_token=claims)
    assert next_step(asked(wanted=wanted), BOB, consent, {}, NOW) == expected


SSO, PWD, OTP, KEY = ("sso",), ("pwd",), ("pwd", "otp", "mfa"), ("pop", "mfa")


@pytest.mark.parametrize(
    ("acr", "amr", "meets"),
    [
        (("pwd",), PWD, True),
        (("pwd",), OTP, True),
        (("pwd",), KEY, True),
        (("mfa",), PWD, False),
        (("mfa",), OTP, True),
        (("mfa",), KEY, True),
        (("phr",), OTP, False),
        (("phr",), KEY, True),
        (("phr",), ("pwd", *KEY), True),
        (("phr", "mfa"), OTP, True),
        (("urn:unknown",), KEY, False),
        (("pwd",), SSO, False),
        (("pwd", "mfa", "phr"), ("sso", "otp"), False),
    ],
)
def test_an_essential_acr_is_met_or_stepped_up_to_once_or_refused(
    acr: tuple[str, ...], amr: tuple[str, ...], meets: bool
) -> None:
    """§12 no. 80; Core §5.5.1.1; RFC 9470; and by prompt=none never with a page."""
    who = SignedIn("s1", Subject("bob"), NOW - 100, amr)
    must = asked(acr=acr, wanted=Wanted(acr=acr, acr_essential=True))
    assert next_step(must, who, YES, {}, NOW) == (Granted() if meets else LoginNeeded())
    assert next_step(asked(acr=acr, wanted=Wanted(acr=acr)), who, YES, {}, NOW) == Granted()
    assert next_step(asked(acr=acr), who, YES, {}, NOW) == Granted()
    if meets:
        assert next_step(must, who, YES, answered("login"), NOW) == Granted()
        return
    with pytest.raises(OAuthError) as refused:
        next_step(must, who, YES, answered("login"), NOW)
    assert refused.value.code == "unmet_authentication_requirements"
    with pytest.raises(OAuthError) as refused:
        without_asking(next_step(must, who, YES, {}, NOW))
    assert refused.value.code == "login_required"


@pytest.mark.parametrize(
    ("acr", "amr", "said"),
    [
        (("pwd",), PWD, "pwd"),
        (("mfa", "pwd"), PWD, "pwd"),
        (("mfa", "pwd"), OTP, "mfa"),
        (("pwd", "mfa"), OTP, "pwd"),
        (("phr", "mfa"), KEY, "phr"),
        (("phr",), OTP, "mfa"),
        (("1", "2"), PWD, "pwd"),
        (("urn:unknown",), KEY, "phr"),
        (("pwd",), SSO, None),
        (("pwd",), ("sso", "pop"), None),
        (("pwd",), ("sso", "pwd"), None),
    ],
)
def test_the_answer_says_an_acr_that_it_really_is(acr: tuple[str, ...], amr: tuple[str, ...], said: str | None) -> None:
    """§12 no. 80; Core §3.1.2.1: the first that was asked for and is met, else the best that it is; security §8."""
    assert acr_for(acr, amr) == said
    assert said is None or said in ACRS


@pytest.mark.parametrize("amr", [AMR, OTP_AMR, ALONE, SECOND])
def test_what_a_sign_in_says_of_its_methods_is_registered(amr: tuple[str, ...]) -> None:
    """RFC 8176 §2; `mfa` where there was more than one."""
    assert set(amr) <= {"pwd", "otp", "pop", "mfa"}
    assert ("mfa" in amr) is (met_by(amr) != ("pwd",))


@pytest.mark.parametrize("consent", [NO, LESS, None])
@pytest.mark.parametrize("sub", ["bob", "eve", None])
@pytest.mark.parametrize("max_age", [None, 99])
def test_a_client_that_was_never_allowed_does_not_learn_who_it_is(
    max_age: int | None, sub: str | None, consent: ConsentCopy | None
) -> None:
    """Asked without a page, for whomever, it is answered the same."""
    request = asked(prompt="none", expected_sub=sub and Subject(sub), max_age=max_age)
    expected = ConsentNeeded() if max_age is None else LoginNeeded()
    assert next_step(request, BOB, consent, {}, NOW) == expected
    must = replace(request, acr=("phr",), wanted=Wanted(acr=("phr",), acr_essential=True))
    assert next_step(must, BOB, consent, {}, NOW) == expected


@pytest.mark.parametrize(
    ("step", "code"),
    [(LoginNeeded(), "login_required"), (AccountNeeded(), "login_required"), (ConsentNeeded(), "consent_required")],
)
def test_what_cannot_be_had_without_a_page_is_an_error(step: Any, code: str) -> None:
    """B4 is the last row."""
    with pytest.raises(OAuthError) as refused:
        without_asking(step)
    assert refused.value.code == code
    assert without_asking(Granted()) == Granted()
