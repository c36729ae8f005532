"""Persistence: SQL through SQLAlchemy Core, on SQLite or PostgreSQL; `sqlite://` keeps it in memory."""
