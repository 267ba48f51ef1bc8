"""Databases for this room."""

from tests.databases import database_url, db, sqlite_template, sqlite_url

__all__ = ["database_url", "db", "sqlite_template", "sqlite_url"]
