"""How the database's tables came to be as they are: one file a change, numbered, run in order by Alembic."""
