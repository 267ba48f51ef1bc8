"""Signing keys, encrypted in SQL, and everything of JOSE — DESIGN §4."""
