"""The login bridge: one login for a legacy API, for ASGI apps and for OpenID Connect."""

__version__ = "0.1.0"
