"""The store: SQL through SQLAlchemy Core, on SQLite or PostgreSQL. `sqlite://` is a store in memory."""
