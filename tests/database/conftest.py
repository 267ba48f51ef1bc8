"""Databases for this room."""

from tests.databases import database_url, db, empty_url, sqlite_template, sqlite_url

__all__ = ["database_url", "db", "empty_url", "sqlite_template", "sqlite_url"]
