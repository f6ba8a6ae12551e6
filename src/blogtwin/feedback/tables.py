"""The tables of the database, the same in SQLite and PostgreSQL.

    twins        one row a twin, with the folder it is trained in
    contexts     generations that can still be judged; each lives a quarter of an hour
    feedback     generations that were judged
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
    String,
    Table,
    Text,
    TypeDecorator,
)


class Moment(TypeDecorator[datetime]):
    """A point in time, in UTC; SQLite keeps no zones, so it is given back here."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData()

twins = Table(
    "twins",
    metadata,
    Column("name", String, primary_key=True),  # without a tag
    Column("folder", String, nullable=False),  # where its settings, data and models lie, absolute
    Column("created_at", Moment, nullable=False),
)

contexts = Table(
    "contexts",
    metadata,
    Column("id", String, primary_key=True),
    Column("twin", String, nullable=False),
    Column("generation", JSON, nullable=False),  # a Generation
    Column("created_at", Moment, nullable=False, index=True),
)

feedback = Table(
    "feedback",
    metadata,
    Column("id", String, primary_key=True),
    Column("twin", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("prompt", Text, nullable=False),
    Column("before", JSON, nullable=False),
    Column("place", Integer, nullable=False),
    Column("drafts", JSON, nullable=False),
    Column("response", Text, nullable=False),
    Column("version", String, nullable=False),
    Column("rating", Integer),
    Column("comment", Text, nullable=False),
    Column("edited_text", Text),
    Column("chosen", Integer),
    Column("approved", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("judged_at", Moment, nullable=False),
    Column("exported_at", Moment),
    Column("learned_by", String),
    Index("feedback_by_time", "twin", "judged_at", "id"),
    Index("feedback_by_version", "version"),
)

versions = Table(
    "versions",
    metadata,
    Column("name", String, primary_key=True),
    Column("twin", String, nullable=False, index=True),
    Column("runtime", String, nullable=False),
    Column("adapter", String, nullable=False),
    Column("base_model", String, nullable=False),
    Column("base_hash", String, nullable=False),
    Column("parent", String),
    Column("method", String, nullable=False),
    Column("data_hash", String, nullable=False),
    Column("settings_hash", String, nullable=False),
    Column("sizes", JSON, nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("state", String, nullable=False),
    Column("share", Integer, nullable=False),
    Column("state_since", Moment, nullable=False),
)

version_posts = Table(
    "version_posts",
    metadata,
    Column("version", String, ForeignKey("versions.name", ondelete="CASCADE"), primary_key=True),
    Column("post_id", String, primary_key=True),
    Column("path", String, nullable=False),
    Column("title", String, nullable=False),
    Index("posts_seen", "post_id"),
)

version_events = Table(
    "version_events",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("twin", String, nullable=False, index=True),
    Column("version", String, nullable=False),
    Column("event", String, nullable=False),  # recorded, challenges, share, promoted, rolled back, retired
    Column("why", Text, nullable=False),
    Column("before", String),  # the champion that it took over from
    Column("at", Moment, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String, primary_key=True),
    Column("twin", String, nullable=False),
    Column("kind", String, nullable=False),  # learn, train
    Column("state", String, nullable=False, index=True),  # queued, running, done, failed, cancelled
    Column("arguments", JSON, nullable=False),  # of the command line
    Column("host", String),  # whose process it is: several machines may share a database
    Column("pid", Integer),
    Column("pid_started", Float),  # seconds since the epoch: a number may be given to another process
    Column("progress", JSON, nullable=False),  # what it told last
    Column("log", String, nullable=False),  # a file
    Column("error", Text, nullable=False),
    Column("version", String),  # that came of it
    Column("created_at", Moment, nullable=False),
    Column("started_at", Moment),
    Column("ended_at", Moment),
)
