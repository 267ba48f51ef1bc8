"""Databases for the consents."""

from tests.databases import database_url, db, sqlite_template

__all__ = ["database_url", "db", "sqlite_template"]
