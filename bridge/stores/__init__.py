"""Stores: where everything with an end lives — spec/store.md."""
