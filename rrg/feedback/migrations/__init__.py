"""Alembic migrations of the feedback database, run each time a store is opened."""
