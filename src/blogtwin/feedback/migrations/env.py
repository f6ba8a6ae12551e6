"""What Alembic runs. In: a connection in a transaction, among the configuration's attributes. Out: the changes, made in it."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=False)  # the caller commits
context.run_migrations()
