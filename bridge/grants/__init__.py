"""Consents and token families, shared by `oidc` and `pages` — DESIGN §4."""
