"""The first tables: twins, what was drafted and judged, the versions, and the jobs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "twins",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("folder", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "contexts",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("twin", sa.Text, nullable=False),
        sa.Column("generation", sa.JSON, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_contexts_created_at", "contexts", ["created_at"])
    op.create_table(
        "feedback",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("twin", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("prompt", sa.Text, nullable=False),
        sa.Column("before", sa.JSON, nullable=False),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("drafts", sa.JSON, nullable=False),
        sa.Column("response", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("rating", sa.Integer),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("edited_text", sa.Text),
        sa.Column("chosen", sa.Integer),
        sa.Column("approved", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("judged_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("learned_by", sa.Text),
    )
    op.create_index("feedback_by_time", "feedback", ["created_at", "id"])
    if op.get_bind().dialect.name == "sqlite":
        counted = ["judged_at", "id", "twin", "subject", "version", "rating", "chosen", "approved", "learned_by"]
        op.create_index("feedback_counted", "feedback", counted)
    else:
        op.create_index("feedback_by_judgement", "feedback", ["judged_at", "id"])
    op.create_index("feedback_by_version", "feedback", ["version", "rating", "twin", "judged_at"])
    edited = sa.text("edited_text IS NOT NULL")
    op.create_index("feedback_edited", "feedback", ["judged_at", "twin"], sqlite_where=edited, postgresql_where=edited)
    op.create_table(
        "exported",
        sa.Column("id", sa.Text, sa.ForeignKey("feedback.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("exported_at", sa.DateTime(timezone=True), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "versions",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("twin", sa.Text, nullable=False),
        sa.Column("runtime", sa.Text, nullable=False),
        sa.Column("adapter", sa.Text, nullable=False),
        sa.Column("base_model", sa.Text, nullable=False),
        sa.Column("base_hash", sa.Text, nullable=False),
        sa.Column("parent", sa.Text),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("data_hash", sa.Text, nullable=False),
        sa.Column("settings_hash", sa.Text, nullable=False),
        sa.Column("sizes", sa.JSON, nullable=False),
        sa.Column("metrics", sa.JSON, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("share", sa.Integer, nullable=False),
        sa.Column("state_since", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_versions_twin", "versions", ["twin"])
    op.create_table(
        "version_posts",
        sa.Column("version", sa.Text, sa.ForeignKey("versions.name", ondelete="CASCADE"), primary_key=True),
        sa.Column("post_id", sa.Text, primary_key=True),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
    )
    op.create_index("posts_seen", "version_posts", ["post_id"])
    op.create_table(
        "version_events",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("twin", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("before", sa.Text),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_version_events_twin", "version_events", ["twin"])
    op.create_table(
        "jobs",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("twin", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("arguments", sa.JSON, nullable=False),
        sa.Column("host", sa.Text),
        sa.Column("pid", sa.Integer),
        sa.Column("pid_started", sa.Float),
        sa.Column("progress", sa.JSON, nullable=False),
        sa.Column("log", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("version", sa.Text),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
    )
    op.create_index("ix_jobs_state", "jobs", ["state"])
