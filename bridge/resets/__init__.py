"""Signed reset links: asked for, followed, used once — DESIGN §4."""
