"""The one place where a password is checked — DESIGN §4."""
