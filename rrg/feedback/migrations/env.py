"""Entry point of Alembic: runs the migrations on the store's connection, in its transaction."""

from __future__ import annotations

from alembic import context

from rrg.feedback.tables import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
context.run_migrations()
