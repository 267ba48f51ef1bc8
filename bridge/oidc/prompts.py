"""What must happen before an answer may be given: nothing, a login, a choice, a consent — Core §3.1.2.1, §3.1.2.3."""

from collections.abc import Mapping

from msgspec import Struct

from bridge.grants.consents import ConsentCopy
from bridge.interactions.record import Answer, Step
from bridge.oidc.acr import met_by
from bridge.oidc.claims import SCOPE_OF
from bridge.oidc.claims_parameter import NOTHING
from bridge.oidc.errors import OAuthError
from bridge.oidc.request import AuthorizationRequest
from bridge.sessions.judge import in_person
from bridge.types import Subject


class SignedIn(Struct, frozen=True):
    """Who is signed in at the issuer's pages."""

    session: str
    """The session's `id`, which rotation keeps."""
    sub: Subject
    auth_time: int
    amr: tuple[str, ...] = ()


class LoginNeeded(Struct, frozen=True):
    """The person must show who he is, again if he did so before."""


class AccountNeeded(Struct, frozen=True):
    """The person must say whether it is he who goes on."""


class CreateNeeded(Struct, frozen=True):
    """The person is to be offered an account of his own."""


class ConsentNeeded(Struct, frozen=True):
    """The person must allow it."""


class Granted(Struct, frozen=True):
    """A code may go out."""


NextStep = LoginNeeded | CreateNeeded | AccountNeeded | ConsentNeeded | Granted


def next_step(
    request: AuthorizationRequest,
    who: SignedIn | None,
    consent: ConsentCopy | None,
    answers: Mapping[Step, Answer],
    now: float,
) -> NextStep:
    """Reads only its arguments.  An answer counts if it was given under this very session, so `prompt=login` asks once
    and not for ever.  Raises OAuthError: turned back, or somebody else than was asked for."""
    if "deny" in answers:
        raise OAuthError("access_denied", "the person turned back")
    answered: set[Step] = {step for step, answer in answers.items() if who and answer.session == who.session}
    if "create" in request.prompt and not answered & {"login", "account"}:
        return CreateNeeded()  # also where somebody is signed in; he may say that he goes on as himself
    if who is None:
        return LoginNeeded()
    if "login" not in answered and _stale(request, who, now):
        return LoginNeeded()
    if "none" in request.prompt and not _consented(request, consent, answered):
        return ConsentNeeded()  # before it is judged who he is: a client that he never allowed does not learn that
    if request.wanted.acr_essential and set(request.acr).isdisjoint(met_by(who.amr)):
        if "login" in answered:
            raise OAuthError("unmet_authentication_requirements", "the sign-in is none of the essential acr values")
        return LoginNeeded()
    if request.expected_sub not in (None, who.sub):
        if "login" in answered:
            raise OAuthError("login_required", "somebody else than the expected person is signed in")
        return LoginNeeded()
    if "select_account" in request.prompt and not answered & {"login", "account"}:
        return AccountNeeded()
    return Granted() if _consented(request, consent, answered) else ConsentNeeded()


def without_asking(step: NextStep) -> Granted:
    """`prompt=none`: what cannot be had without a page is an error.  Raises OAuthError."""
    match step:
        case Granted():
            return step
        case LoginNeeded() | CreateNeeded() | AccountNeeded():
            raise OAuthError("login_required", "nobody is signed in who could be let through without being asked")
        case ConsentNeeded():
            raise OAuthError("consent_required", "the person has not allowed this yet")


def _stale(request: AuthorizationRequest, who: SignedIn, now: float) -> bool:
    if "login" in request.prompt or request.max_age == 0:
        return True
    return request.max_age is not None and (not in_person(who.amr) or now - who.auth_time > request.max_age)


def _consented(request: AuthorizationRequest, consent: ConsentCopy | None, answered: set[Step]) -> bool:
    if request.client.first_party:
        return True
    if request.asks_each_time and "consent" not in answered:
        return False
    if consent is None:
        return False
    if request.wanted is NOTHING:
        return consent.covers(request.scopes, place=request.place)
    # what a scope of before gives he has allowed, by whichever name it is asked for
    claims = [name for name in request.claims if SCOPE_OF[name] not in consent.scopes]
    return consent.covers(request.scopes, claims, request.place)
