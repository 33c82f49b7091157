"""Alembic migrations of the feedback database, run whenever a store opens."""
