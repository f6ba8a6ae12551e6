"""How quickly feedback is written by many at once, and what an export of very many rows costs.

    python bench/feedback.py [--url postgresql://…] [--rows 1000000] [--clients 64] [--seconds 60]

In: a new SQLite database, or an empty PostgreSQL one. Out: write times (a text is remembered, then judged: two writes), lost and
doubled rows, rows exported a second and peak memory of the process that exports, and how long writers waited meanwhile.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from blogtwin.feedback.database import Database
from blogtwin.feedback.store import Store
from blogtwin.service_records import Draft, Feedback, Generation, Judgement

LIFE = timedelta(minutes=15)
TEXT = "A garden in November is not a sad place at all, once you look at it. " * 12  # 830 characters: a short draft


def generation(id: str) -> Generation:
    """A text with two drafts."""
    drafts = (Draft(version="my-twin:1", text=TEXT), Draft(version="base", text=TEXT))
    now = datetime.now(UTC)
    return Generation(
        id=id, twin="my-twin", kind="write", subject="gardens", prompt=TEXT[:200], drafts=drafts, created_at=now
    )


def row(number: int) -> Feedback:
    """A judged text."""
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number)
    return Feedback(
        id=f"{number:012x}",
        twin="my-twin",
        kind="write",
        subject=f"subject {number % 50}",
        prompt=TEXT[:200],
        drafts=(Draft(version="my-twin:1", text=TEXT),),
        response=TEXT,
        version="my-twin:1",
        rating=1 if number % 3 else -1,
        created_at=at,
        judged_at=at,
    )


def percentiles(times: list[float]) -> str:
    """Milliseconds at the middle, at 95 and 99 of 100, and at the end."""
    ordered = sorted(times)
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    told = [f"{name} {ordered[int(len(ordered) * share)] * 1000:.1f}" for name, share in shares.items()]
    return ", ".join([*told, f"max {ordered[-1] * 1000:.1f} ms"])


def writing(store: Store, clients: int, seconds: float, pause: float = 0.0) -> None:
    """`clients` threads that judge, one text after another, `pause` seconds apart."""
    times: list[list[float]] = [[] for _ in range(clients)]
    until = time.monotonic() + seconds

    def client(number: int) -> None:
        turn = 0
        while time.monotonic() < until:
            id = f"{seconds}-{pause}-{number}-{turn}"
            for write in (
                lambda id: store.remember(generation(id)),
                lambda id: store.judge(id, Judgement(rating=1, comment="fine")),
            ):
                began = time.perf_counter()
                write(id)
                times[number].append(time.perf_counter() - began)
            turn += 1
            time.sleep(pause)

    before, began = store.stats().total, time.monotonic()
    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    count = sum(map(len, times)) // 2
    kept = store.stats().total - before
    rate = 2 * count / (time.monotonic() - began)
    print(
        f"{clients} clients, {pause:g} s between two: {count} texts remembered and judged, {rate:,.0f} writes/s,",
        end=" ",
    )
    print(f"{percentiles([one for own in times for one in own])}; kept {kept}, lost {count - kept}", flush=True)


def exporting(url: str) -> None:
    """In a process of its own: export everything, then print rows, seconds, and the megabytes it grew by."""
    from blogtwin.feedback.export import written

    store = Store(Database.open(url), LIFE)
    next(store.rows(limit=1))
    began, base = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    bytes, peaks = 0, []
    for number, piece in enumerate(written(store.export(), "jsonl")):
        bytes += len(piece)
        if number % 100_000 == 0:
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    streamed = time.monotonic() - began
    grown = [f"{(peak - base) / 1024:.0f}" for peak in peaks]
    print(json.dumps({"seconds": streamed, "bytes": bytes, "grown": grown, "rows": number + 1}))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--export", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.export:
        exporting(given.url)
        return
    with tempfile.TemporaryDirectory() as folder:
        url = given.url or f"sqlite:///{Path(folder) / 'feedback.db'}"
        database = Database.open(url)
        store = Store(database, LIFE)
        writing(store, given.clients, given.seconds)
        writing(store, given.clients, given.seconds, pause=0.5)
        store.forget()
        began = time.monotonic()
        store.add(row(number) for number in range(given.rows))
        print(f"{given.rows:,} rows added: {given.rows / (time.monotonic() - began):,.0f}/s", flush=True)
        began = time.monotonic()
        store.stats()
        print(f"counted in {time.monotonic() - began:.1f} s", flush=True)
        command = [sys.executable, __file__, "--url", url, "--export"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            times = []
            while process.poll() is None:
                id = f"while-{len(times)}"
                store.remember(generation(id))
                began = time.perf_counter()
                store.judge(id, Judgement(rating=1))
                times.append(time.perf_counter() - began)
                time.sleep(0.02)
            assert process.stdout is not None
            told = json.loads(process.stdout.read())
        print(f"exported {told['rows']:,} rows, {told['bytes'] / 1e6:,.0f} MB, in {told['seconds']:.1f} s:", end=" ")
        print(
            f"{told['rows'] / told['seconds']:,.0f} rows/s; memory grew by, at each 100,000: {' '.join(told['grown'])} MB"
        )
        print(
            f"writes meanwhile: {percentiles(times)}; unexported now: {store.stats().unexported} (of {len(times)} new)"
        )
        store.forget()
        database.close()


if __name__ == "__main__":
    main()
