"""The database: tables, engine, migrations and the truth about endings — DESIGN §5."""
