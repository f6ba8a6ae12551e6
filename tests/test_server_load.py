"""Many clients at once, on a server in a process of its own: nothing is lost, nothing is doubled, and texts go on meanwhile."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from blogtwin.feedback.database import Database
from blogtwin.feedback.store import Store
from blogtwin.records import Artifact
from blogtwin.service_records import Draft, Generation
from server_twins import TWIN, free_port, process, wait_for
from test_server_faults import deployed

CLIENTS, TURNS = 64, 3


def remembered(store: Store, name: str) -> None:
    """A text that can be judged."""
    store.remember(
        Generation(
            id=name,
            twin=TWIN,
            kind="write",
            subject="tides",
            prompt="Write about the tide.",
            drafts=(Draft(version=f"{TWIN}:latest", text="Six."), Draft(version=f"{TWIN}:latest", text="Seven.")),
            created_at=datetime.now(UTC),
        )
    )


def test_64_clients_judge_while_two_texts_are_written_and_every_word_is_kept_once(
    artifact: Artifact, tmp_path: Path
) -> None:
    deployed(artifact)
    (tmp_path / "pipeline_config.yaml").write_text(
        f"deployment: {{model_name: {TWIN}, runtime: llama-cpp}}\nmachine: {{threads: 1}}\n", encoding="utf-8"
    )
    store = Store(Database.open(None), timedelta(minutes=15))
    ids = [f"{client:02d}{turn:02d}" for client in range(CLIENTS) for turn in range(TURNS)]
    for name in ids:
        remembered(store, name)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    statuses: Counter[int] = Counter()
    written = 0

    async def judge(client: httpx.AsyncClient, number: int) -> None:
        for turn in range(TURNS):
            place = f"/api/feedback/{number:02d}{turn:02d}"
            # As a browser that heard nothing says it again, and a reader who chose and rated in the same moment.
            said = [{"rating": 1}, {"rating": 1}, {"chosen": 1}, {"comment": f"{number} {turn}"}]
            for answer in await asyncio.gather(*(client.post(place, json=one) for one in said)):
                statuses[answer.status_code] += 1

    async def have_written(client: httpx.AsyncClient, over: asyncio.Event) -> None:
        nonlocal written
        while not over.is_set():
            asked = {"prompt": "tides", "max_tokens": 60, "stream": True}
            async with client.stream("POST", "/api/generate", json=asked) as answer:
                written += "event: end" in (await answer.aread()).decode()

    async def everybody() -> None:
        over = asyncio.Event()
        limits = httpx.Limits(max_connections=CLIENTS + 2)
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60, limits=limits) as client:
            writers = [asyncio.create_task(have_written(client, over)) for _ in range(2)]
            await asyncio.gather(*(judge(client, number) for number in range(CLIENTS)))
            over.set()
            await asyncio.gather(*writers)

    with process(tmp_path, port) as running:
        wait_for(url, running)
        asyncio.run(everybody())
    assert statuses == {200: len(ids) * 4}
    assert written >= 2
    rows = [row for row in store.rows() if row.id in set(ids)]
    assert Counter(row.id for row in rows) == Counter(ids)
    for row in rows:
        assert (row.rating, row.chosen, row.response) == (1, 1, "Seven.")
        assert row.comment == f"{int(row.id[:2])} {int(row.id[2:])}"
    assert store.stats(twin=TWIN).total == len(ids)
