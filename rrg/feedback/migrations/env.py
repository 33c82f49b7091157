"""Alembic's entry: migrates on the connection, and in the transaction, that the store hands over."""

from __future__ import annotations

from alembic import context

from rrg.feedback.tables import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
context.run_migrations()
