"""Weights from the model hub, against a server on loopback that speaks its API: whole, pinned, resumed, or refused."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

import hub_server
from blogtwin import adapter_folder, hub
from blogtwin.errors import ModelError, OutputError
from blogtwin.export.merge import merge
from blogtwin.manifest import hash_file
from blogtwin.progress import Silent, Task
from blogtwin.training import models
from blogtwin.training.table import TABLE
from hub_server import FIRST, REPOSITORY, SECOND, Hub
from tiny_models import save_adapter, write_card

WEIGHTS = "model.safetensors"
MEGABYTE = 1_000_000


@pytest.fixture
def server(tiny_base: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """The hub that this process asks, and an empty cache."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with hub_server.serving(tiny_base) as served:
        # Where HF_ENDPOINT was read at the first import.
        monkeypatch.setattr(constants, "ENDPOINT", served.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", served.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        yield served


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting between the tries of a download."""
    monkeypatch.setattr(hub.time, "sleep", lambda _: None)


class Watching(Silent):
    """Keeps what the bars are told."""

    def __init__(self) -> None:
        super().__init__()
        self.totals: dict[str, tuple[float | None, str]] = {}
        self.done = 0.0

    @contextmanager
    def task(self, label: str, total: float | None = None, unit: str = "") -> Iterator[Task]:
        self.totals[label] = (total, unit)
        yield self

    def advance(self, amount: float = 1, **figures: str) -> None:
        self.done += amount


def refused(*arguments: object) -> ModelError:
    with pytest.raises(ModelError) as caught:
        hub.fetch(*arguments)  # type: ignore[arg-type]
    assert caught.value.hint
    return caught.value


_FETCHING = [sys.executable, "-c", f"from blogtwin import hub; print(hub.fetch({REPOSITORY!r}).folder)"]


def asking(server: Hub, tmp_path: Path) -> dict[str, str]:
    """The environment of a process of its own that asks this hub."""
    kept = {key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"}
    return {**kept, "HF_ENDPOINT": server.url, "HF_HUB_CACHE": str(tmp_path / "cache")}


def unfinished(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache").rglob("*.incomplete"))


def test_a_repository_arrives_whole_and_is_pinned_to_its_commit(server: Hub, tiny_base: Path) -> None:
    progress = Watching()
    found = hub.fetch(REPOSITORY, progress=progress)
    assert found.commit == FIRST
    for name, content in server.files[FIRST].items():
        assert (found.folder / name).read_bytes() == content
    size = sum(map(len, server.files[FIRST].values())) / MEGABYTE
    assert progress.totals == {f"Downloading {REPOSITORY}": (pytest.approx(size), "MB")}
    assert progress.done == pytest.approx(size)
    assert server.sent[WEIGHTS] == (tiny_base / WEIGHTS).stat().st_size


def test_other_tools_find_it_in_the_cache_too(server: Hub) -> None:
    from huggingface_hub import snapshot_download

    found = hub.fetch(REPOSITORY)
    assert snapshot_download(REPOSITORY, local_files_only=True) == str(found.folder)


def test_a_commit_that_is_here_asks_nothing_of_the_network(server: Hub) -> None:
    first = hub.fetch(REPOSITORY)
    server.asked.clear()
    assert hub.fetch(REPOSITORY, FIRST) == first
    assert server.asked == []
    assert hub.fetch(REPOSITORY) == first  # a branch is asked for, and that is all
    assert len(server.asked) == 1


def test_only_files_that_cannot_run_code_are_fetched_and_none_twice(server: Hub) -> None:
    strangers = (
        "pytorch_model.bin",
        "modeling_tiny.py",
        "consolidated.safetensors",
        "tokenizer.pkl",
        "onnx/model.json",
    )
    server.files[FIRST] |= dict.fromkeys(strangers, b"!")
    folder = hub.fetch(REPOSITORY).folder
    assert not {path.name for path in folder.rglob("*")} & {Path(name).name for name in strangers}
    assert not set(server.sent) & set(strangers)


def test_a_connection_that_is_cut_again_and_again_ends_with_the_same_bytes(
    server: Hub, tiny_base: Path, quick: None
) -> None:
    server.cut_after = [50_000, 0, 100_000, 1]
    found = hub.fetch(REPOSITORY)
    assert hash_file(found.folder / WEIGHTS) == hash_file(tiny_base / WEIGHTS)
    assert server.sent[WEIGHTS] == (tiny_base / WEIGHTS).stat().st_size


def test_a_network_that_stays_away_keeps_what_came_and_the_next_run_fetches_the_rest(
    server: Hub, tiny_base: Path, tmp_path: Path, quick: None
) -> None:
    size = (tiny_base / WEIGHTS).stat().st_size
    server.cut_after = [100_000, *[0] * 20]
    failure = refused(REPOSITORY)
    assert "does not answer" in failure.message
    assert "goes on where it stopped" in failure.hint
    assert [path.stat().st_size for path in unfinished(tmp_path)] == [100_000]
    server.cut_after.clear()
    progress = Watching()
    hub.fetch(REPOSITORY, progress=progress)
    assert server.sent[WEIGHTS] == size
    assert progress.notes[0].startswith(f"going on with {REPOSITORY}")
    assert progress.done == pytest.approx(sum(map(len, server.files[FIRST].values())) / MEGABYTE)
    assert unfinished(tmp_path) == []


def test_a_process_that_was_killed_goes_on_and_does_not_fetch_the_whole_again(tmp_path: Path, tiny_base: Path) -> None:
    size = (tiny_base / WEIGHTS).stat().st_size
    with hub_server.serving(tiny_base) as server:
        server.bytes_a_second = size // 3
        running = subprocess.Popen(_FETCHING, env=asking(server, tmp_path), stdout=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while not any(path.stat().st_size > size // 4 for path in unfinished(tmp_path)) and time.monotonic() < until:
            assert running.poll() is None
            time.sleep(0.02)
        running.send_signal(signal.SIGKILL)
        running.wait()
    [left] = unfinished(tmp_path)
    kept = left.stat().st_size
    assert size // 4 < kept < size
    with hub_server.serving(tiny_base) as server:
        done = subprocess.run(
            _FETCHING, env=asking(server, tmp_path), capture_output=True, text=True, timeout=60, check=True
        )
    assert server.sent[WEIGHTS] == size - kept
    assert hash_file(Path(done.stdout.strip()) / WEIGHTS) == hash_file(tiny_base / WEIGHTS)
    assert unfinished(tmp_path) == []


def test_two_runs_at_once_fetch_each_file_once(server: Hub, tiny_base: Path) -> None:
    server.bytes_a_second = 2 * MEGABYTE
    with ThreadPoolExecutor(2) as runs:
        found = [run.result() for run in [runs.submit(hub.fetch, REPOSITORY) for _ in range(2)]]
    assert found[0] == found[1]
    assert server.sent[WEIGHTS] == (tiny_base / WEIGHTS).stat().st_size


def test_a_hub_that_is_busy_is_asked_again(server: Hub, quick: None) -> None:
    server.busy = 4
    assert hub.fetch(REPOSITORY).commit == FIRST
    server.files[SECOND] = {**server.files[FIRST], "config.json": b"{}"}
    server.main, server.busy = SECOND, 99
    assert "the hub answers 503" in refused(REPOSITORY).message


def test_the_login_goes_to_the_hub_and_not_to_where_it_sends_for_the_bytes(
    server: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.fetch(REPOSITORY)
    assert server.tokens[f"hub: {WEIGHTS}"] == "Bearer hf_secret"
    assert server.tokens[f"store: {WEIGHTS}"] is None


def test_an_unfinished_file_that_is_not_the_beginning_of_this_one_is_found_out_by_its_hash(
    server: Hub, tmp_path: Path, tiny_base: Path
) -> None:
    blobs = tmp_path / "cache" / "models--nobody--tiny" / "blobs"
    blobs.mkdir(parents=True)
    digest = hub_server.hash_of(WEIGHTS, server.files[FIRST][WEIGHTS])
    (blobs / f"{digest}.blogtwin.incomplete").write_bytes(b"\0" * 1000)
    assert "arrived damaged" in refused(REPOSITORY).message
    assert hash_file(hub.fetch(REPOSITORY).folder / WEIGHTS) == hash_file(tiny_base / WEIGHTS)


@pytest.mark.parametrize("name", [WEIGHTS, "tokenizer.json"])
def test_a_damaged_file_is_refused_and_fetched_anew(server: Hub, tmp_path: Path, name: str) -> None:
    server.damaged = {name}
    failure = refused(REPOSITORY)
    assert f"{name} of {REPOSITORY} arrived damaged" in failure.message
    assert unfinished(tmp_path) == []
    server.damaged = set()
    assert (hub.fetch(REPOSITORY).folder / name).read_bytes() == server.files[FIRST][name]


def test_a_file_that_was_cut_off_in_the_cache_is_mended_and_offline_it_is_named(server: Hub, tiny_base: Path) -> None:
    weights = hub.fetch(REPOSITORY).folder / WEIGHTS
    size = weights.stat().st_size
    os.truncate(weights.resolve(), 1000)
    assert f"ends after 1,000 of {size:,} bytes" in refused(REPOSITORY, None, True).message
    assert hash_file(hub.fetch(REPOSITORY, FIRST).folder / WEIGHTS) == hash_file(tiny_base / WEIGHTS)
    weights.unlink()
    assert f"{WEIGHTS} is missing" in refused(REPOSITORY, None, True).message


def test_offline_a_cached_copy_serves_and_the_hub_hears_nothing(server: Hub) -> None:
    found = hub.fetch(REPOSITORY)
    server.asked.clear()
    assert hub.fetch(REPOSITORY, offline=True) == found
    assert hub.fetch(REPOSITORY, FIRST, offline=True) == found
    assert server.asked == []


def test_offline_and_not_in_the_cache_is_said_so(server: Hub) -> None:
    for revision in (None, FIRST):
        assert "not in the local cache" in refused(REPOSITORY, revision, True).message
    assert server.asked == []


def test_a_hub_that_is_gone_is_no_matter_when_the_copy_is_here(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    found = hub.fetch(REPOSITORY)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert hub.fetch(REPOSITORY) == found
    assert "does not answer" in refused("nobody/other").message


@pytest.mark.parametrize(
    ("status", "code", "fact", "mend"),
    [
        (403, "GatedRepo", "accept its licence", "hf auth login"),
        (401, "GatedRepo", "accept its licence", "hf auth login"),
        (404, "RepoNotFound", "no public repository nobody/tiny", "check the name"),
        (401, "RepoNotFound", "no public repository nobody/tiny", "hf auth login"),
        (401, "", "does not accept the login", "hf auth login"),
        (418, "", "the hub answers 418", "run the same command again"),
    ],
)
def test_a_refusal_says_what_it_means_and_what_to_do(server: Hub, status: int, code: str, fact: str, mend: str) -> None:
    server.refusal = (status, code)
    failure = refused(REPOSITORY)
    assert fact in failure.message
    assert mend in failure.hint


def test_a_gated_repository_lets_itself_be_listed_and_refuses_its_files(server: Hub) -> None:
    server.refused_files = (403, "GatedRepo")
    assert f"{server.url}/{REPOSITORY}" in refused(REPOSITORY).hint


def test_a_file_that_is_listed_but_missing_is_named(server: Hub) -> None:
    server.absent = {WEIGHTS}
    assert f"lists {WEIGHTS}, but the hub does not have it" in refused(REPOSITORY).message


def test_a_revision_that_is_not_there_is_named(server: Hub) -> None:
    assert "no revision v9" in refused(REPOSITORY, "v9").message


@pytest.mark.parametrize("missing", [WEIGHTS, "config.json", "tokenizer.json"])
def test_a_repository_that_is_no_base_is_refused_before_gigabytes_are_fetched(server: Hub, missing: str) -> None:
    content = server.files[FIRST].pop(missing)
    server.files[FIRST]["pytorch_model.bin"] = content
    failure = refused(REPOSITORY)
    assert ("can run code" if missing == WEIGHTS else missing) in failure.message
    assert not server.sent


def test_a_disk_without_room_is_known_before_the_download(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr("blogtwin.hub.shutil.disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(OutputError, match="MB more") as caught:
        hub.fetch(REPOSITORY)
    assert "HF_HOME" in caught.value.hint
    assert not server.sent


def test_a_disk_that_fills_during_the_download_leaves_what_came_for_the_next_run(
    server: Hub, tmp_path: Path, tiny_base: Path
) -> None:
    """A process may write files of 100 kB here, no larger: for it the disk is full then."""
    script = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        f"from blogtwin import hub\nfrom blogtwin.errors import OutputError\n"
        f"try:\n    hub.fetch({REPOSITORY!r})\nexcept OutputError as failure:\n    print(failure)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=asking(server, tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "cannot be written" in done.stdout
    assert [path.stat().st_size for path in unfinished(tmp_path)] == [100_000]
    assert hash_file(hub.fetch(REPOSITORY).folder / WEIGHTS) == hash_file(tiny_base / WEIGHTS)


def test_a_base_from_the_hub_stays_what_it_was_when_the_repository_moves_on(
    server: Hub, tiny_base: Path, tmp_path: Path
) -> None:
    """The adapter is merged into the commit it was trained on, also on a machine that never had it."""
    base = models.resolve(REPOSITORY)
    assert (base.source, base.revision) == (REPOSITORY, FIRST)
    adapter = save_adapter(tiny_base, tmp_path / "adapter", std=0.1)
    expected = hash_file(merge(adapter, tmp_path / "expected") / WEIGHTS)
    write_card(adapter, tiny_base, base_path=base.source, base_revision=base.revision)
    other = bytearray(server.files[FIRST][WEIGHTS])
    other[-4:] = b"\0\0\0\0"
    server.files[SECOND] = server.files[FIRST] | {WEIGHTS: bytes(other)}
    server.main = SECOND
    assert models.resolve(REPOSITORY).revision == SECOND
    assert models.resolve(f"{REPOSITORY}@{FIRST}").fingerprint == base.fingerprint
    assert hash_file(merge(adapter, tmp_path / "again", offline=True) / WEIGHTS) == expected
    card = adapter_folder.read_card(adapter)
    assert adapter_folder.find_base(adapter, card).name == FIRST
    progress = Watching()
    shutil.rmtree(tmp_path / "cache")
    assert hash_file(merge(adapter, tmp_path / "elsewhere", progress) / WEIGHTS) == expected
    assert f"Downloading {REPOSITORY}" in progress.totals


def test_a_failed_download_of_a_base_names_the_ways_without_it(server: Hub) -> None:
    server.refusal = (403, "GatedRepo")
    with pytest.raises(ModelError, match=rf"^the base model {REPOSITORY}: ") as caught:
        models.resolve(REPOSITORY)
    assert "--base-model starter" in caught.value.hint


@pytest.mark.parametrize("known", TABLE, ids=lambda known: known.name)
def test_every_name_of_the_table_is_a_repository_for_every_platform(known: object) -> None:
    assert all(hub.is_repository(getattr(known, column)) for column in ("cpu", "cuda", "mlx"))
