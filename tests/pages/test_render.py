"""Every page, as HTML: what forms carry, what a screen reader needs, and that nothing of others becomes markup."""

import re
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_args
from urllib.parse import parse_qs, urlsplit

import pytest
from jinja2 import Environment

from bridge.oidc.claims import SCOPE_OF
from bridge.pages import render
from bridge.pages.app import App
from bridge.pages.headers import has_script
from bridge.pages.masking import masked
from bridge.pages.models import AddressProblem, AllowedApp, ChangeProblem, LinkOver, NewAddress, Page, SessionRow
from bridge.pages.options import PagesOptions
from bridge.pages.paths import Paths
from bridge.pages.render import Pages
from tests.pages import samples
from tests.pages.reading import Element, read
from tests.pages.samples import ACCOUNT, CONSENT, FORM_POST, HERE, LOGIN, LOGIN_TO, NOW, PORTAL, SCREENS, SECOND

PAGES = Pages(PagesOptions())
NONCE = "n" * 22


def show(page: Page, *, locale: str = "en", root: str = "", **more: Any) -> Element:
    return read(PAGES.render(page, locale=locale, paths=Paths(root), now=NOW, nonce=NONCE, **more))


@pytest.fixture(params=list(SCREENS.values()), ids=list(SCREENS))
def page(request: pytest.FixtureRequest) -> Page:
    model: Page = request.param
    return model


@pytest.fixture(params=["en", "zh_Hans"])
def locale(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def test_a_sample_of_every_model_is_looked_at() -> None:
    assert {type(page) for page in SCREENS.values()} == set(get_args(Page))


def test_a_page_has_a_language_a_title_one_heading_and_one_main_part(page: Page, locale: str) -> None:
    shown = show(page, locale=locale)
    assert shown.one("html")["lang"] == locale.replace("_", "-")
    heading = shown.one("h1").text
    assert heading and heading in shown.one("title").text and "Login Bridge" in shown.one("title").text
    assert shown.one("main").one("h1").text == heading


def test_between_chinese_sentences_there_is_no_gap(page: Page) -> None:
    for element in show(page, locale="zh_Hans").one("main").all("h1", "h2", "p"):
        assert not re.search("[。，：；？！] ", element.text), element.text


def test_every_id_is_there_once_and_every_reference_leads_to_one(page: Page) -> None:
    shown = show(page)
    ids = shown.ids()
    assert len(ids) == len(set(ids))
    for element in shown.all():
        for name in ("aria-describedby", "aria-labelledby", "for"):
            assert set((element.get(name) or "").split()) <= set(ids), (element.name, name)


def test_every_field_has_a_label(page: Page) -> None:
    shown = show(page)
    labelled = {label["for"] for label in shown.all("label") if label.text}
    typed = [i for i in shown.all("input") if i["type"] != "hidden" and "hidden" not in i.attributes]
    assert {each["id"] for each in typed} == labelled


def test_every_form_is_a_post_with_the_csrf_token_and_a_button(page: Page) -> None:
    if page is FORM_POST:
        return
    for form in show(page).all("form"):
        assert form["method"] == "post"
        assert form.one("input", name="csrf")["value"] == "the-csrf"
        assert [each for each in form.all("button") if each.get("type") == "submit"]


def test_the_interaction_is_kept_by_forms_and_by_links_between_its_pages(page: Page) -> None:
    if getattr(page, "interaction", None) is None:
        assert not [i for i in show(page).all("input") if i.get("name") == "interaction"]
        return
    shown = show(page)
    for form in shown.all("form"):
        assert form.one("input", name="interaction")["value"] == "the-interaction"
    ours = [a["href"] for a in shown.all("a") if a["href"].startswith("/")]
    assert ours
    assert all(parse_qs(urlsplit(href).query)["interaction"] == ["the-interaction"] for href in ours)


def test_everything_of_ours_lies_below_the_mount_prefix(page: Page) -> None:
    shown = show(page, root="/sso")
    addresses = [each[name] for each in shown.all() for name in ("href", "action", "src") if each.get(name)]
    ours = [each for each in addresses if not urlsplit(each).scheme]
    assert ours and all(each.startswith("/sso/") for each in ours)


def test_no_page_carries_styles_or_scripts_that_the_policy_would_stop(page: Page) -> None:
    shown = show(page)
    assert not shown.all("style")
    for element in shown.all():
        assert not [name for name in element.attributes if name == "style" or name.startswith("on")]
    scripts = shown.all("script")
    assert [script["nonce"] for script in scripts] == ([NONCE] if has_script(page) else [])
    assert all(script.get("src") for script in scripts) or page is FORM_POST


def test_the_ids_that_drivers_look_for_are_there() -> None:
    present = {each for page in SCREENS.values() for each in show(page).ids()}
    assert present >= {
        "login-submit",
        "login-cancel",
        "second-factor-submit",
        "consent-allow",
        "consent-deny",
        "logout-confirm",
        "reset-submit",
        "new-password-submit",
        "change-password-submit",
        "totp-submit",
        "signup-submit",
        "signup-finish",
    }


@pytest.mark.parametrize(
    ("page", "wanted"),
    [
        (LOGIN, {"email": "username", "password": "current-password"}),
        (SECOND, {"code": "one-time-code"}),
        (replace(SECOND, way="recovery-code"), {"recovery_code": "off"}),
        (samples.TOTP_SETUP, {"code": "one-time-code"}),
        (samples.FORGOT, {"email": "username"}),
        (samples.NEW_PASSWORD, {"new_password": "new-password", "new_password_again": "new-password"}),
        (
            ACCOUNT,
            {
                "new_email": "email",
                "current_password": "current-password",
                "new_password": "new-password",
                "new_password_again": "new-password",
            },
        ),
    ],
)
def test_a_field_tells_the_password_manager_what_it_is(page: Page, wanted: dict[str, str]) -> None:
    named = {i["name"]: i["autocomplete"] for i in show(page).all("input") if i["type"] != "hidden" and i.get("name")}
    assert named == wanted


def test_the_code_asks_for_a_keyboard_of_digits() -> None:
    assert show(SECOND).one("input", name="code")["inputmode"] == "numeric"


def test_enter_in_a_field_signs_in_and_does_not_cancel() -> None:
    """Browsers press the first submit button of the form."""
    assert [each["id"] for each in show(LOGIN_TO).all("button")] == ["login-submit", "login-cancel"]


def test_without_an_app_there_is_nothing_to_cancel() -> None:
    assert "login-cancel" not in show(LOGIN).ids()


def test_a_wrong_password_is_said_in_an_alert_that_both_fields_refer_to() -> None:
    shown = show(replace(LOGIN_TO, problem="wrong"))
    assert "do not match" in shown.one("div", role="alert").text
    for name in ("email", "password"):
        field = shown.one("input", name=name)
        assert field["aria-invalid"] == "true" and field["aria-describedby"] == "problem"
    assert shown.one("title").text.startswith("Error")


@pytest.mark.parametrize(("locale", "error"), [("en", "Error: "), ("zh_Hans", "错误：")])
def test_the_title_says_first_that_something_was_refused(locale: str, error: str) -> None:
    """Of every form of the page: who hears it read is told before all else."""
    refused: list[Page] = [replace(LOGIN, problem="wrong"), replace(ACCOUNT, problem="wrong-current")]
    refused += [replace(ACCOUNT, address=NewAddress(problem=each)) for each in get_args(AddressProblem)]
    for page in refused:
        shown = show(page, locale=locale)
        assert shown.one("title").text == f"{error}{shown.one('h1').text} · Login Bridge"
    for page in (LOGIN, ACCOUNT, replace(ACCOUNT, address=None)):
        shown = show(page, locale=locale)
        assert shown.one("title").text == f"{shown.one('h1').text} · Login Bridge"


def test_a_missing_address_is_said_at_its_field_which_has_the_focus() -> None:
    shown = show(replace(LOGIN, problem="no-email"))
    field = shown.one("input", name="email")
    assert field["aria-describedby"] == "email-problem" and "autofocus" in field.attributes
    assert shown.one("p", id="email-problem")["role"] == "alert"
    assert shown.one("input", name="password").get("aria-invalid") is None


def test_the_focus_goes_to_the_first_thing_to_type() -> None:
    assert "autofocus" in show(LOGIN).one("input", name="email").attributes
    assert "autofocus" in show(LOGIN_TO).one("input", name="password").attributes
    assert all(sum("autofocus" in i.attributes for i in show(p).all("input")) <= 1 for p in SCREENS.values())


@pytest.mark.parametrize("problem", samples.choices(ChangeProblem))
def test_a_refused_new_password_has_the_focus_at_the_field_of_which_something_is_said(problem: ChangeProblem) -> None:
    """The form of the account page stands below all the lists."""
    fields = show(replace(ACCOUNT, problem=problem)).all("input")
    wrong = [field["id"] for field in fields if field.get("aria-invalid") == "true"]
    assert [field["id"] for field in fields if "autofocus" in field.attributes] == wrong
    elsewhere = {"wrong-current": ["current_password"], "different": ["new_password_again"]}
    above = problem in ("stale", "unreachable", "too-many")
    assert wrong == ([] if above else elsewhere.get(problem, ["new_password"]))


def test_the_typed_address_comes_back_and_no_password_ever_does() -> None:
    shown = show(replace(LOGIN_TO, problem="wrong"))
    assert shown.one("input", name="email")["value"] == "ada@example.com"
    for page in SCREENS.values():
        assert not [i for i in show(page).all("input") if i["type"] == "password" and i.get("value")]


@pytest.mark.parametrize("index", range(len(list(samples.faces()))))
def test_no_two_answers_read_alike(index: int, locale: str) -> None:
    """A problem, notice or reason that the template does not know would show as the page without it."""
    pages = list(samples.faces())[index]
    read_as = [show(page, locale=locale).one("main").text for page in pages]
    assert len(set(read_as)) == len(pages)


def test_a_login_for_an_app_shows_who_it_is_with_logo_policy_and_terms() -> None:
    shown = show(LOGIN_TO)
    assert "Acme Notes" in shown.one("main").text and "notes.example.com" in shown.one("main").text
    logo = next(each for each in shown.all("img"))
    assert logo["src"] == "https://static.example.com/notes.png" and logo["referrerpolicy"] == "no-referrer"
    outside = {a["href"]: a["rel"] for a in shown.all("a") if a["href"].startswith("https:")}
    assert outside == {
        "https://notes.example.com/privacy": "noopener noreferrer",
        "https://notes.example.com/terms": "noopener noreferrer",
    }


def test_consent_names_host_person_and_each_scope_in_words() -> None:
    words = show(CONSENT).one("main").text
    for each in ("notes.example.com", "ada@example.com", "your email address", "your phone number", "“invoices”"):
        assert each in words
    assert "not verified" not in words
    assert "read your invoices" in show(SCREENS["consent-on-this-device"]).one("main").text


@pytest.mark.parametrize("name", SCOPE_OF)
def test_every_claim_that_may_be_asked_for_by_name_has_words_of_its_own(name: str, locale: str) -> None:
    """Core §5.5: what is asked for is named, on the page that asks and on the page that takes it back."""
    (words,) = {li.text for li in show(replace(CONSENT, scopes=(), claims=(name,)), locale=locale).all("li")} - {
        li.text for li in show(replace(CONSENT, scopes=()), locale=locale).all("li")
    }
    others = show(replace(CONSENT, scopes=(), claims=tuple({*SCOPE_OF} - {name})), locale=locale)
    assert words not in {li.text for li in others.all("li")}
    assert "“" not in words and words.isascii() is (locale == "en")
    allowed = AllowedApp(client="a", name="A", scopes=(), claims=(name,))
    assert words in show(replace(ACCOUNT, apps=(allowed,)), locale=locale).text


def test_a_client_that_registered_itself_is_marked_wherever_it_is_shown() -> None:
    for page in (replace(CONSENT, app=samples.CALENDAR), replace(LOGIN_TO, app=samples.CALENDAR)):
        words = show(page).one("main").text
        assert "not verified" in words and "calendar.example.net:8443" in words


def test_an_error_page_holds_its_detail_in_plain_english_in_every_language(locale: str) -> None:
    shown = show(SCREENS["error"], locale=locale)
    assert shown.one("dd", lang="en").text == "redirect_uri is not registered for this client"
    assert "01JD8Q2M7H" in shown.one("main").text


@pytest.mark.parametrize(
    ("what", "first"), [("invite", "/login"), ("email", "/account"), ("signup", "/signup")], ids=str
)
def test_a_link_that_is_over_leads_to_where_another_is_asked_for(what: Any, first: str) -> None:
    button = show(LinkOver(what=what)).one("a", **{"class": "button button-main"})
    assert button["href"] == first


def test_the_account_lists_sessions_with_buttons_to_end_one_the_others_or_all() -> None:
    shown = show(ACCOUNT)
    ends = [each["value"] for each in shown.all("button") if each.get("name") == "end"]
    assert ends == ["phone", "portal", "others", "all"]
    words = shown.one("main").text
    for each in (
        "Chrome · Windows",
        "this device",
        "5 minutes ago",
        "2001:db8::7348",
        "Not used yet",
        "through Portal",
    ):
        assert each in words
    assert "Acme Notes, Billing" in words


def test_somebody_with_one_session_has_no_others_to_end() -> None:
    ends = [
        each["value"] for each in show(replace(ACCOUNT, sessions=(HERE,))).all("button") if each.get("name") == "end"
    ]
    assert ends == ["all"]


def test_each_button_that_ends_a_session_says_which() -> None:
    rows = (HERE, replace(PORTAL, id="a", device="Firefox · Linux"), replace(PORTAL, id="b", device="curl"))
    buttons = [b for b in show(replace(ACCOUNT, sessions=rows)).all("button") if b.get("value") in ("a", "b")]
    assert [each["aria-label"] for each in buttons] == ["Sign out: Firefox · Linux", "Sign out: curl"]


def test_devices_that_stay_signed_in_are_listed_with_a_button_for_each_but_this_one() -> None:
    shown = show(ACCOUNT)
    buttons = [each for each in shown.all("button") if each.get("name") == "device"]
    assert [(each["value"], each["aria-label"]) for each in buttons] == [("tablet", "Forget: Safari · iPad")]
    words = shown.one("section", **{"aria-labelledby": "devices-title"}).text
    for each in ("Chrome · Windows", "this device", "Active now", "Last used 1 day ago", "2001:db8::7348"):
        assert each in words
    assert "Devices that stay signed in" not in show(replace(ACCOUNT, devices=())).one("main").text


def test_where_the_password_is_kept_elsewhere_there_is_no_form_for_it() -> None:
    assert "change-password-submit" not in show(replace(ACCOUNT, shortest=None)).ids()


def test_the_least_length_is_said_and_counted(locale: str) -> None:
    assert "15" in show(samples.NEW_PASSWORD, locale=locale).one("p", id="new_password-hint").text
    one = replace(samples.NEW_PASSWORD, shortest=1, problem="too-short")
    assert "1 character." in show(one).one("main").text and "1 characters" not in show(one).one("main").text


def test_a_wait_is_never_said_shorter_than_it_is() -> None:
    words = show(replace(LOGIN, problem="too-many", wait=121)).one("main").text
    assert "3 minutes" in words


def test_form_post_carries_every_value_unchanged() -> None:
    values = {"state": 'a b+c%20 {"a":"b"} é <>&"\'', "submit": "1", "id_token": "x.y.z"}
    shown = show(replace(FORM_POST, fields=tuple(values.items())))
    form = shown.one("form")
    assert form["action"] == FORM_POST.target
    assert {i["name"]: i["value"] for i in form.all("input")} == values
    assert form.one("button").get("name") is None


def test_a_language_that_was_asked_for_is_kept_by_links_and_forms() -> None:
    shown = show(LOGIN_TO, locale="zh_Hans", asked_locale=True)
    assert shown.one("form").one("input", name="lang")["value"] == "zh_Hans"
    forgot = next(a["href"] for a in shown.all("a") if a["href"].startswith("/reset"))
    assert parse_qs(urlsplit(forgot).query) == {"interaction": ["the-interaction"], "lang": ["zh_Hans"]}
    assert not [i for i in show(LOGIN_TO).all("input") if i.get("name") == "lang"]


def test_the_switcher_names_each_language_in_itself_and_comes_back_to_the_same_page() -> None:
    switcher = show(CONSENT).one("nav")
    assert switcher.one("span").text == "English"
    other = switcher.one("a")
    assert other.text == "简体中文" and other["lang"] == "zh-Hans"
    assert other["href"] == "/consent?interaction=the-interaction&lang=zh_Hans"


def test_where_to_go_afterwards_is_kept_by_the_form_and_by_the_switcher() -> None:
    for page in (replace(LOGIN, next="/app?a=1&b=2"), replace(SECOND, next="/app?a=1&b=2")):
        shown = show(page)
        assert shown.one("form").one("input", name="next")["value"] == "/app?a=1&b=2"
        assert parse_qs(urlsplit(shown.one("nav").one("a")["href"]).query)["next"] == ["/app?a=1&b=2"]


# --- what comes from others


def _hostile(model: Any, text: Callable[[str], str]) -> Any:
    """The model with every free text in it replaced; words of a Literal stay."""
    changed: dict[str, Any] = {}
    for each in fields(model):
        value = getattr(model, each.name)
        if is_dataclass(value):
            changed[each.name] = _hostile(value, text)
        elif isinstance(value, tuple):
            changed[each.name] = tuple(_hostile(v, text) if is_dataclass(v) else _twisted(v, text) for v in value)
        elif each.name not in _WORDS and isinstance(value, str):
            changed[each.name] = text(each.name)
    return replace(model, **changed)


def _twisted(value: Any, text: Callable[[str], str]) -> Any:
    return tuple(text("pair") for _ in value) if isinstance(value, tuple) else text("item")


_WORDS = {
    "problem",
    "notice",
    "ended",
    "why",
    "kind",
    "face",
    "what",
    "second_factor",
    "way",
    "others",
    "redirect_uri",
    "logo_uri",
    "policy_uri",
    "tos_uri",
}


def test_nothing_that_others_wrote_becomes_markup(page: Page, locale: str) -> None:
    plain = [each.name for each in show(page, locale=locale).all()]
    shown = show(
        _hostile(page, lambda name: f"{name}\"'><b id=x><script>alert(1)</script>{{{{ 7*7 }}}}&amp;"), locale=locale
    )
    assert [each.name for each in shown.all()] == plain or isinstance(page, SessionRow)
    assert "x" not in shown.ids()


def test_a_name_cannot_turn_the_words_around_it() -> None:
    app = App(name="Good\u202egnivlE\u2066\n\t App\x00", redirect_uri="https://x.example", verified=True)
    assert app.name == "GoodgnivlE App"


def test_a_client_without_a_name_is_called_by_its_host() -> None:
    assert App(name=" \u200b", redirect_uri="https://x.example/cb", verified=True).name == "x.example"


@pytest.mark.parametrize(
    "uri", ["javascript:alert(1)", "data:text/html,x", "//evil.example", "https:///x", "https://a b/", ""]
)
def test_only_web_addresses_become_links_and_pictures(uri: str) -> None:
    app = App(name="A", redirect_uri="https://x.example", verified=True, logo_uri=uri, policy_uri=uri, tos_uri=uri)
    assert (app.logo_uri, app.policy_uri, app.tos_uri) == (None, None, None)


@pytest.mark.parametrize(
    ("uri", "host", "on_device"),
    [
        ("https://app.example.com/cb", "app.example.com", False),
        ("https://user@app.example.com:8443/cb", "app.example.com:8443", False),
        ("https://аpple.example/cb", "xn--pple-43d.example", False),
        ("http://127.0.0.1:49152/cb", "127.0.0.1:49152", True),
        ("http://[::1]:49152/cb", "[::1]:49152", True),
        ("com.example.app:/cb", "com.example.app", True),
    ],
)
def test_the_host_is_shown_as_it_is_on_the_wire(uri: str, host: str, on_device: bool) -> None:
    app = App(name="A", redirect_uri=uri, verified=True)
    assert (app.host, app.on_this_device) == (host, on_device)


@pytest.mark.parametrize("root", ["//evil.example", "evil.example", "https://evil.example", "/\\evil.example"])
def test_a_mount_prefix_cannot_send_the_password_elsewhere(root: str) -> None:
    try:
        paths = Paths(root)
    except ValueError:
        return
    assert paths["login"] == "/%5Cevil.example/login"


@pytest.mark.parametrize(
    ("email", "shown"),
    [
        ("jo.smith@example.co.uk", "j•••h@e•••e.co.uk"),
        ("ada@x.com", "a•••@x•••.com"),
        ("a@localhost", "a•••@l•••t"),
        ("", "•••@•••"),
    ],
)
def test_an_address_is_masked(email: str, shown: str) -> None:
    assert masked(email) == shown


# --- the operator's own templates


def test_the_operators_template_goes_before_ours(tmp_path: Path) -> None:
    (tmp_path / "signed_out.html").write_text('{% extends "_layout.html" %}{% block heading %}Bye{% endblock %}')
    own = Pages(PagesOptions(template_dirs=(tmp_path,)))
    shown = read(own.render(SCREENS["signed-out"], locale="en", paths=Paths(), now=NOW))
    assert shown.one("h1").text == "Bye"
    assert read(own.render(LOGIN, locale="en", paths=Paths(), now=NOW)).one("h1").text == "Sign in"


@pytest.mark.parametrize(
    "body",
    [
        '{{ gettext("Sign in") }} {{ gettext("<b>new</b> & own") }} {{ _("100%% sure") }}',
        "{% set said = 1 %}{% trans %}Sign in{% endtrans %}{% trans %}Sign in{% endtrans %}",
        "{% trans sentence=page.csrf, context=page.email %}{{ sentence }} of {{ context }}{% endtrans %}",
        "{% for n in (1,2) %}{% trans count=n %}& {{ count }}{% pluralize %}all {{ count }}{% endtrans %}{% endfor %}",
        "{% autoescape false %}{% trans who=page.email %}<b>{{who}}{% endtrans %}{{ _('<i>1%%') }}{% endautoescape %}",
        '{{ gettext("Sign in")|replace("S", "<") }} {{ gettext("Sign in") ~ page.email }}',
    ],
)
def test_a_sentence_is_said_as_jinjas_own_extension_says_it(tmp_path: Path, body: str, locale: str) -> None:
    model = replace(LOGIN, csrf="<&'\"%s%(who)s", email="%(who)s\"'><b>")
    (tmp_path / "login.html").write_text(body)
    plain = Environment(autoescape=True, extensions=["jinja2.ext.i18n"])
    plain.install_gettext_translations(PAGES.languages.catalog(locale), newstyle=True)  # type: ignore[attr-defined]
    own = Pages(PagesOptions(template_dirs=(tmp_path,)))
    for _ in range(2):
        shown = own.render(model, locale=locale, paths=Paths(), now=NOW)
        assert shown.decode() == plain.from_string(body).render(page=model)


def test_the_operators_own_parts_are_on_every_page_of_ours(tmp_path: Path) -> None:
    ours = Path(render.__file__).with_name("templates") / "_parts.html"
    drawn = '<b class="{{ brand.colour }} {{ brand.colour.on_top() }}">{{ brand.name }}</b>'
    mark = f"{{% macro brand_mark() %}}{drawn}{{% endmacro %}}"
    icon = "{% macro icon() %}/{{ page.csrf }}.ico{% endmacro %}"
    (tmp_path / "_parts.html").write_text(f"{ours.read_text()}{mark}{icon}")
    own = Pages(PagesOptions(template_dirs=(tmp_path,), brand_name="A & B", accent="#ffe14d"))
    shown = read(own.render(LOGIN, locale="en", paths=Paths(), now=NOW))
    assert shown.one("header").one("b")["class"] == "#ffe14d #000000" and shown.one("header").one("b").text == "A & B"
    assert shown.one("link", rel="icon")["href"] == "/the-csrf.ico"
