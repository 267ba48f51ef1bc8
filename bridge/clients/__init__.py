"""Whoever calls us: registered OAuth clients and API credentials — DESIGN §4."""
