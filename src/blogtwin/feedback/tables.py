"""The tables of the database, the same in SQLite and PostgreSQL.

    twins        one row a twin, with the folder it is trained in
    contexts     generations that can still be judged; each lives a quarter of an hour
    feedback     generations that were judged; exported: which of them were exported
    versions     every model that was proved; version_posts: the posts it was trained on; version_events: what became of it
    jobs         trainings that wait, run or have ended

A change here needs a new file in migrations/versions; a test compares the two.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    text,
)


class Moment(TypeDecorator[datetime]):
    """A point in time, in UTC; SQLite keeps no zones, so it is given back here."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Words(TypeDecorator[str]):
    """A text without NUL characters: SQLite takes them, PostgreSQL refuses the whole row."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return value.replace("\0", "") if value is not None and "\0" in value else value


metadata = MetaData()
_EDITED = text("edited_text IS NOT NULL")

twins = Table(
    "twins",
    metadata,
    Column("name", Words, primary_key=True),  # without a tag
    Column("folder", Words, nullable=False),  # where its settings, data and models lie, absolute
    Column("created_at", Moment, nullable=False),
)

contexts = Table(
    "contexts",
    metadata,
    Column("id", Words, primary_key=True),
    Column("twin", Words, nullable=False),
    Column("generation", JSON, nullable=False),  # a Generation
    Column("created_at", Moment, nullable=False, index=True),
)

feedback = Table(
    "feedback",
    metadata,
    Column("id", Words, primary_key=True),
    Column("twin", Words, nullable=False),
    Column("kind", Words, nullable=False),
    Column("subject", Words, nullable=False),
    Column("prompt", Words, nullable=False),
    Column("before", JSON, nullable=False),
    Column("place", Integer, nullable=False),
    Column("drafts", JSON, nullable=False),
    Column("response", Words, nullable=False),
    Column("version", Words, nullable=False),
    Column("rating", Integer),
    Column("comment", Words, nullable=False),
    Column("edited_text", Words),
    Column("chosen", Integer),
    Column("approved", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("judged_at", Moment, nullable=False),
    Column("learned_by", Words),
    Index("feedback_by_time", "created_at", "id"),
    # What is counted over very many rows is read from these, not from rows that hold whole texts. PostgreSQL keeps long texts
    # beside its rows anyway, and would refuse a long subject in an index.
    Index("feedback_by_judgement", "judged_at", "id").ddl_if(dialect="postgresql"),
    Index(
        "feedback_counted",
        *("judged_at", "id", "twin", "subject", "version", "rating", "chosen", "approved", "learned_by"),
    ).ddl_if(dialect="sqlite"),
    Index("feedback_by_version", "version", "rating", "twin", "judged_at"),
    Index("feedback_edited", "judged_at", "twin", sqlite_where=_EDITED, postgresql_where=_EDITED),
)

# Beside the feedback, in rows of a few bytes: a million can be marked in one transaction without keeping writers waiting.
exported = Table(
    "exported",
    metadata,
    Column("id", Words, ForeignKey("feedback.id", ondelete="CASCADE"), primary_key=True),
    Column("exported_at", Moment, nullable=False),
    sqlite_with_rowid=False,
)

versions = Table(
    "versions",
    metadata,
    Column("name", Words, primary_key=True),
    Column("twin", Words, nullable=False, index=True),
    Column("runtime", Words, nullable=False),
    Column("adapter", Words, nullable=False),
    Column("base_model", Words, nullable=False),
    Column("base_hash", Words, nullable=False),
    Column("parent", Words),
    Column("method", Words, nullable=False),
    Column("data_hash", Words, nullable=False),
    Column("settings_hash", Words, nullable=False),
    Column("sizes", JSON, nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("state", Words, nullable=False),
    Column("share", Integer, nullable=False),
    Column("state_since", Moment, nullable=False),
)

version_posts = Table(
    "version_posts",
    metadata,
    Column("version", Words, ForeignKey("versions.name", ondelete="CASCADE"), primary_key=True),
    Column("post_id", Words, primary_key=True),
    Column("path", Words, nullable=False),
    Column("title", Words, nullable=False),
    Index("posts_seen", "post_id"),
)

version_events = Table(
    "version_events",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("twin", Words, nullable=False, index=True),
    Column("version", Words, nullable=False),
    Column("event", Words, nullable=False),  # recorded, challenges, share, promoted, rolled back, retired
    Column("why", Words, nullable=False),
    Column("before", Words),  # the champion that it took over from
    Column("at", Moment, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Words, primary_key=True),
    Column("twin", Words, nullable=False),
    Column("kind", Words, nullable=False),  # learn, train
    Column("state", Words, nullable=False, index=True),  # queued, running, done, failed, cancelled
    Column("arguments", JSON, nullable=False),  # of the command line
    Column("host", Words),  # whose process it is: several machines may share a database
    Column("pid", Integer),
    Column("pid_started", Float),  # seconds since the epoch: a number may be given to another process
    Column("progress", JSON, nullable=False),  # what it told last
    Column("log", Words, nullable=False),  # a file
    Column("error", Words, nullable=False),
    Column("version", Words),  # that came of it
    Column("created_at", Moment, nullable=False),
    Column("started_at", Moment),
    Column("ended_at", Moment),
)
