"""The small JSON API for sessions — DESIGN §7."""
