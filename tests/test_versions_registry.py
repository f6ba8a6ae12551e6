"""The register of versions, on SQLite and PostgreSQL alike, and the routing by share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from blogtwin.service_records import Version

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def version(name: str, **changes: object) -> Version:
    """A version as a deploy records it."""
    made = Version(
        name=name,
        twin=name.partition(":")[0],
        runtime="llama-cpp",
        adapter="/models/my-twin",
        base_model="tiny",
        base_hash="b" * 16,
        method="sft",
        data_hash="d" * 16,
        settings_hash="s" * 16,
        sizes={"megabytes": 1.5},
        created_at=NOON + timedelta(seconds=sum(map(ord, name))),
        state_since=NOON,
    )
    return made.model_copy(update=changes)
