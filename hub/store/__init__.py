"""What the hub keeps: the log of events (`log.py`) and, apart from it, persons' secrets
(`keystore.py`). Both on SQLite or PostgreSQL, both durable when a call returns."""
