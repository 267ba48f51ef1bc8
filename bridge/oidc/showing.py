"""What people see of an application, and of a request that can send them nowhere: at sign-in and at sign-out alike."""

from typing import Protocol

from bridge.asgi import Reply, Scope
from bridge.clients.client import Client
from bridge.interactions.record import Display
from bridge.oidc.errors import Shown


class ErrorPage(Protocol):
    """Shows a person what went wrong before there was anywhere to send him (`bridge.pages`)."""

    def render_error(
        self, scope: Scope, *, status: int, text: str, parameter: str, retry_after: int | None = None
    ) -> Reply: ...


def show(errors: ErrorPage, scope: Scope, shown: Shown) -> Reply:
    """The page that says what was wrong."""
    return errors.render_error(
        scope, status=shown.status, text=str(shown), parameter=shown.parameter, retry_after=shown.retry_after
    )


def display(client: Client, redirect_uri: str) -> Display:
    """The application as the pages show it."""
    return Display(
        client=client.client_id,
        name=client.name,
        redirect_uri=redirect_uri,
        verified=client.source != "registration",
        logo_uri=client.logo_uri,
        policy_uri=client.policy_uri,
        tos_uri=client.tos_uri,
    )
