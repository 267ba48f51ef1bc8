"""Makes the HTML of a page model — DESIGN §7."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from gettext import GNUTranslations
from pathlib import Path
from urllib.parse import urlencode

from babel import Locale
from babel.dates import format_date, format_time, format_timedelta
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_eval_context
from jinja2.nodes import EvalContext
from markupsafe import Markup

from bridge.asgi import Headers
from bridge.brand import Brand
from bridge.i18n import Languages, html_lang
from bridge.pages.headers import page_headers
from bridge.pages.kept import KeptPages, Manner
from bridge.pages.models import Page
from bridge.pages.options import PagesOptions
from bridge.pages.paths import Paths
from bridge.pages.stylesheet import Script, Stylesheet

_HERE = Path(__file__).parent


class Pages:
    """Every page in every language, with the operator's templates, translations and brand.

    Raises ValueError when a directory of translations cannot be read.
    """

    def __init__(self, options: PagesOptions) -> None:
        self.brand: Brand = options.brand
        self.languages: Languages = Languages(*options.locale_dirs, _HERE / "locale")
        css = (_HERE / "static" / "bridge.css").read_text(encoding="utf-8")
        self.stylesheet: Stylesheet = Stylesheet.coloured(css, self.brand)
        folders = [*options.template_dirs, _HERE / "templates"]
        self.script: Script = Script.of((_HERE / "static" / "passkey.js").read_bytes())
        self._speaking = {name: self._environment(folders, name) for name in self.languages.names}
        # What an operator's own template does with its words nobody knows: it is asked every time.
        self._kept = None if options.template_dirs else KeptPages(self._anew)

    def render(
        self, page: Page, *, locale: str, paths: Paths, now: int, asked_locale: bool = False, nonce: str = ""
    ) -> bytes:
        """The HTML, UTF-8.

        `locale`: one of `languages.names`; `asked_locale`: it was chosen on the page, so links and forms must keep it;
        `now`: Unix seconds, for "5 minutes ago"; `nonce`: the one in the headers, for FormPost.
        """
        manner = Manner(locale, paths.root, asked_locale)
        html = self._kept.html(page, manner, nonce) if self._kept else None
        return (self._anew(page, manner, nonce, now) if html is None else html).encode("utf-8", "replace")

    def headers(self, page: Page, *, locale: str, https: bool, nonce: str = "") -> Headers:
        """What goes with it: `bridge.pages.headers.page_headers`."""
        return page_headers(page, self.brand, locale=locale, https=https, nonce=nonce)

    def _anew(self, page: Page, manner: Manner, nonce: str, now: int = 0) -> str:
        link = Links(Paths(manner.root), manner.locale if manner.asked_locale else None)
        template = self._speaking[manner.locale].get_template(page.template)
        return template.render(page=page, link=link, times=Times(manner.locale, now), nonce=nonce)

    def _environment(self, folders: list[Path], locale: str) -> Environment:
        environment = Environment(
            loader=FileSystemLoader(folders),
            autoescape=True,
            undefined=StrictUndefined,
            extensions=["jinja2.ext.i18n"],
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        environment.policies["ext.i18n.trimmed"] = True
        # newstyle: what is put into a translated sentence is escaped, the sentence is not
        environment.install_gettext_translations(self.languages.catalog(locale), newstyle=True)  # type: ignore[attr-defined]
        environment.globals |= {
            "gettext": _gettext(self.languages.catalog(locale)),
            "brand": self.brand,
            "locale": locale,
            "lang": html_lang(locale),
            "dir": Locale.parse(locale).text_direction,
            "style_version": self.stylesheet.version,
            "script_version": self.script.version,
            "languages": [(name, html_lang(name), self._own_name(name)) for name in self.languages.names],
        }
        drawn = environment.get_template("_drawn.html").module  # alike on every page, and slow to draw
        environment.globals |= {"drawn_mark": drawn.mark(), "drawn_icon": drawn.icon()}  # type: ignore[attr-defined]
        return environment

    def _own_name(self, locale: str) -> str:
        """A language as its readers call it: their catalog says so."""
        name = self.languages.catalog(locale).pgettext("the name of this language in itself", "English")
        return name if name != "English" or locale == "en" else (Locale.parse(locale).get_display_name() or locale)


def _gettext(catalog: GNUTranslations) -> Callable[..., str]:
    """What the extension gives to templates, but a sentence is looked up and marked as safe when it is first said.

    Nor is it given the context, of which Jinja makes a copy at every call in a block that has set anything.
    """

    def marked(sentence: str) -> Markup:
        return Markup(catalog.gettext(sentence))  # noqa: S704  # who translates it writes the page, as of a template

    @lru_cache(maxsize=1_024)
    def said(sentence: str) -> str:
        return marked(sentence) % {}

    @pass_eval_context
    def gettext(context: EvalContext, sentence: str, /, **values: object) -> str:
        if not context.autoescape:
            return catalog.gettext(sentence) % values
        return marked(sentence) % values if values else said(sentence)

    return gettext


@dataclass(frozen=True, slots=True)
class Links:
    """Makes the addresses in a page: below the mount prefix, and keeping a language that was asked for."""

    paths: Paths
    kept: str | None

    def __call__(self, place: str, *, lang: str | None = None, **parameters: str | None) -> str:
        """`link("login", interaction=page.interaction)`; parameters that are None are left out."""
        wanted = {**parameters, "lang": lang or self.kept}
        query = urlencode({name: value for name, value in wanted.items() if value is not None})
        return f"{self.paths[place]}?{query}" if query else self.paths[place]


@dataclass(frozen=True, slots=True)
class Times:
    """Says times in a person's language. Moments are UTC: the server does not know where he is."""

    locale: str
    now: int

    def ago(self, at: int) -> str:
        """`5 minutes ago`; never "in 0 seconds", nor ahead of our clock."""
        past = timedelta(seconds=min(-1, at - self.now))
        return format_timedelta(past, add_direction=True, locale=self.locale)

    def wait(self, seconds: int) -> str:
        """`3 minutes`: never less than there is to wait."""
        minutes = timedelta(minutes=max(1, -(-seconds // 60)))
        return format_timedelta(minutes, granularity="minute", locale=self.locale)

    def iso(self, at: int) -> str:
        """For the machine: the `datetime` attribute."""
        return datetime.fromtimestamp(at, UTC).isoformat()

    def date(self, at: int) -> str:
        return format_date(datetime.fromtimestamp(at, UTC), "long", locale=self.locale)

    def clock(self, at: int) -> str:
        return format_time(datetime.fromtimestamp(at, UTC), "HH:mm", tzinfo=UTC, locale=self.locale)
