"""The one way weights come from the model hub: a repository's name → a folder in the hub's own cache, whole and checked.

In: org/name, and a revision or none. Out: a Snapshot, pinned to one commit. Only safetensors, JSON, templates and tokenizers
are fetched, never pickle: those files can run code when they are loaded.

huggingface_hub throws an unfinished file away, and after a kill it begins anew. Gigabytes are too many for that, so the
files are fetched here into its cache: one after the other, each below a name that is kept until its hash is the one that the
repository lists. Then huggingface_hub links them into a snapshot, where every other tool finds them too.
"""

from __future__ import annotations

import fnmatch
import hashlib
import logging
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from blogtwin import atomic
from blogtwin.errors import ModelError, OutputError
from blogtwin.progress import Progress, Silent, Task

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoFile, RepoFolder

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_WANTED = ("*.safetensors", "*.json", "*.jinja", "tokenizer.model")
_TWICE = "consolidated*"  # some makers add the same weights in a layout of their own
_MB = 1e6
_PASSING = (408, 429, 500, 502, 503, 504)  # answers of a server that is busy, or being restarted
_TRIES = 5  # connections in a row that bring nothing
_GO_ON = "run the same command again: it goes on where it stopped"


@dataclass(frozen=True)
class Snapshot:
    """folder: the files of a repository as they were at `commit`, 40 hexadecimal digits."""

    folder: Path
    commit: str


def is_repository(name: str) -> bool:
    """Whether `name` can be a repository of the hub: org/name."""
    return _REPOSITORY.fullmatch(name) is not None


def fetch(
    repository: str, revision: str | None = None, offline: bool = False, progress: Progress | None = None
) -> Snapshot:
    """The model in `repository` at `revision` (a commit, branch or tag; None: as it is now).

    Nothing is asked of the network for a commit that lies whole in the cache; without an answer from the hub the cached copy of a
    branch serves. offline: from the cache alone. A download that was cut off, by the network or by a kill, goes on.
    Raises ModelError that says what is missing, refused or damaged, and OutputError for a full disk.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_XET", "1")  # its transfers can neither be resumed nor watched from here
    from huggingface_hub import HfApi, constants
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()  # the command line draws its own, and has its own words for what fails
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    offline = offline or constants.HF_HUB_OFFLINE
    with _explained(repository, revision, offline):
        commit = HfApi().resolve_revision(repository, revision=revision, local_files_only=offline).resolved
        folder = _cached(repository, commit, offline) or _download(repository, commit, progress or Silent())
        return Snapshot(folder, commit)


def size_of(repository: str, revision: str | None = None) -> int:
    """Bytes that `fetch` would download of a repository of which nothing is here. Raises ModelError as it does."""
    from huggingface_hub import HfApi

    with _explained(repository, revision, offline=False):
        return sum(file.size for file in _wanted(HfApi().list_repo_tree(repository, revision=revision)))


def _cached(repository: str, commit: str, offline: bool) -> Path | None:
    """The snapshot in the cache when it is whole. Raises ModelError when it is not and `offline` forbids to mend it."""
    from huggingface_hub import get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError, LocalEntryNotFoundError

    folder = _storage(repository) / "snapshots" / commit
    try:
        files = _wanted(get_cached_repo_tree(repository, revision=commit))
    except CachedRepoTreeNotFoundError:  # another tool fetched it, or nobody; what it lacks is found where it is read
        if offline and not (folder / "config.json").is_file():
            raise LocalEntryNotFoundError(repository) from None
        return folder if offline else None
    broken = [file for file in files if _size(folder / file.path) != file.size]
    if broken and offline:
        name, there = broken[0].path, _size(folder / broken[0].path)
        raise ModelError(
            f"{folder / name} ends after {there:,} of {broken[0].size:,} bytes"
            if there
            else f"{repository} lies only partly in the local cache: {name} is missing",
            "go online once and run the same command again: what is missing is fetched",
        )
    for file in broken:
        (folder / file.path).unlink(missing_ok=True)  # or it would count as fetched
    return None if broken else folder


def _download(repository: str, commit: str, progress: Progress) -> Path:
    """Fetch what is not there yet, then let huggingface_hub link it."""
    from huggingface_hub import HfApi, snapshot_download

    listed = list(HfApi().list_repo_tree(repository, revision=commit))
    files = _wanted(listed)
    _check_weights(repository, files, [entry.path for entry in listed])
    blobs = _storage(repository) / "blobs"
    with atomic.writing_to(blobs):
        blobs.mkdir(parents=True, exist_ok=True)
        whole = sum(file.size for file in files)
        there = sum(
            file.size if _size(blob) == file.size else _size(_partial(blob))
            for file, blob in ((file, blobs / _hash(file)) for file in files)
        )
        _check_room(repository, blobs, whole - there)
        if there < whole:
            progress.note(
                f"going on with {repository}: {there / _MB:,.0f} of {whole / _MB:,.0f} MB are here"
                if there
                else f"downloading {repository}: {whole / _MB:,.0f} MB in {len(files)} files"
            )
        with progress.task(f"Downloading {repository}", whole / _MB, "MB") as task:
            for file in sorted(files, key=lambda file: file.size):  # the small ones first: they refuse first
                _fetch_blob(repository, commit, file, blobs / _hash(file), task)
        names = [file.path for file in files]
        return Path(snapshot_download(repository, revision=commit, allow_patterns=names))


def _fetch_blob(repository: str, commit: str, file: RepoFile, blob: Path, task: Task) -> None:
    """One file → `blob`, going on where an earlier run stopped. Raises ModelError when it is not what is listed."""
    from huggingface_hub import constants, hf_hub_url
    from huggingface_hub.file_download import repo_folder_name
    from huggingface_hub.utils._fixes import WeakFileLock

    locks = Path(constants.HF_HUB_CACHE) / ".locks" / repo_folder_name(repo_id=repository, repo_type="model")
    locks.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(locks / f"{blob.name}.lock"):  # huggingface_hub's own lock: two runs never write to one file
        if _size(blob) == file.size:
            task.advance(file.size / _MB)
            return
        partial = _partial(blob)
        if _size(partial) > file.size:
            partial.unlink()
        _receive(hf_hub_url(repository, file.path, revision=commit), partial, file.size, task)
        _check_hash(repository, file, partial)
        partial.replace(blob)


def _receive(url: str, partial: Path, size: int, task: Task) -> None:
    """Append what `partial` lacks of `size` bytes; a connection that breaks is taken up again as long as bytes come."""
    import httpx
    from huggingface_hub import constants
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.utils._headers import build_hf_headers
    from huggingface_hub.utils._http import get_session, hf_raise_for_status

    have = _size(partial)
    task.advance(have / _MB)
    fruitless = 0
    with partial.open("ab") as sink:
        while have < size:
            before = have
            headers = {**build_hf_headers(), "Accept-Encoding": "identity", "Range": f"bytes={have}-"}
            try:
                with get_session().stream(
                    "GET", url, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT
                ) as answer:
                    hf_raise_for_status(answer)
                    if answer.status_code == 200:  # this server knows no ranges, and begins at the beginning
                        sink.truncate(0)
                        task.advance(-have / _MB)
                        before = have = 0
                    for piece in answer.iter_bytes():
                        sink.write(piece)
                        have += len(piece)
                        task.advance(len(piece) / _MB)
            except (httpx.TransportError, HfHubHTTPError) as fault:
                if isinstance(fault, HfHubHTTPError) and fault.response.status_code not in _PASSING:
                    raise
                fruitless = 0 if have > before else fruitless + 1
                if fruitless == _TRIES:
                    raise
                time.sleep(2**fruitless / 2)


def _check_weights(repository: str, files: Iterable[RepoFile], listed: Iterable[str]) -> None:
    names = {file.path for file in files}
    if not any(name.endswith(".safetensors") for name in names):
        pickled = any(name.endswith((".bin", ".pt", ".pth")) for name in listed)
        raise ModelError(
            f"{repository} has no safetensors weights"
            + (" (pickled weights are not loaded, because they can run code)" if pickled else ""),
            "choose a repository of the same model with *.safetensors files",
        )
    for name in ("config.json", "tokenizer.json"):
        if name not in names:
            raise ModelError(f"{repository} has no {name}", "choose a complete repository of the same model")


def _check_room(repository: str, folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OutputError(
            f"{repository} needs {needed / _MB:,.0f} MB more in {folder}, where {free / _MB:,.0f} MB are free",
            "free some space, or set HF_HOME to a folder on another disk, then run the same command again",
        )


def _check_hash(repository: str, file: RepoFile, partial: Path) -> None:
    """Compare with what the repository lists: SHA-256 for large files, git's own hash of a blob for the others."""
    with partial.open("rb") as content:
        if file.lfs:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        else:
            header = f"blob {file.size}\0".encode()
            digest = hashlib.sha1(header + content.read(), usedforsecurity=False).hexdigest()
    if digest != _hash(file):
        partial.unlink()
        raise ModelError(
            f"{file.path} of {repository} arrived damaged: its hash is not the one that the repository lists",
            "run the same command again: that file is fetched anew",
        )


def _wanted(entries: Iterable[RepoFile | RepoFolder]) -> list[RepoFile]:
    """The files at the top of a repository that a base is made of."""
    from huggingface_hub.hf_api import RepoFile

    return [
        entry
        for entry in entries
        if isinstance(entry, RepoFile)
        and "/" not in entry.path
        and any(fnmatch.fnmatch(entry.path, pattern) for pattern in _WANTED)
        and not fnmatch.fnmatch(entry.path, _TWICE)
    ]


def _hash(file: RepoFile) -> str:
    """What the repository lists for a file, which is also its name in the cache."""
    return file.lfs.sha256 if file.lfs else file.blob_id


def _partial(blob: Path) -> Path:
    return blob.with_name(f"{blob.name}.blogtwin.incomplete")  # by this ending `hf cache` knows what may be removed


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _storage(repository: str) -> Path:
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    return Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repository, repo_type="model")


@contextmanager
def _explained(repository: str, revision: str | None, offline: bool) -> Iterator[None]:
    """The hub's refusals and the network's, each as a ModelError with what to do."""
    import httpx
    from huggingface_hub import constants, errors

    where = f"{constants.ENDPOINT}/{repository}"
    try:
        yield
    except errors.GatedRepoError as fault:
        raise ModelError(
            f"{repository} asks you to accept its licence first", f"accept it at {where}, then: hf auth login"
        ) from fault
    except errors.RepositoryNotFoundError as fault:
        raise ModelError(
            f"there is no public repository {repository}, or it needs you to log in",
            "check the name; for a private one: hf auth login",
        ) from fault
    except errors.RevisionNotFoundError as fault:
        raise ModelError(
            f"{repository} has no revision {revision}", f"choose one that {where}/commits/main lists"
        ) from fault
    except errors.RemoteEntryNotFoundError as fault:
        name = str(fault.response.request.url).rpartition("/")[2]
        raise ModelError(f"{repository} lists {name}, but the hub does not have it", _GO_ON) from fault
    except (errors.RevisionResolutionError, errors.LocalEntryNotFoundError) as fault:
        raise _out_of_reach(repository, offline) from fault
    except errors.HfHubHTTPError as fault:
        status = fault.response.status_code
        if status == 401:
            raise ModelError(
                f"the hub does not accept the login for {repository}", "log in again: hf auth login"
            ) from fault
        raise ModelError(f"{repository} cannot be downloaded: the hub answers {status}", _GO_ON) from fault
    except httpx.HTTPError as fault:
        raise _out_of_reach(repository, offline) from fault


def _out_of_reach(repository: str, offline: bool) -> ModelError:
    if offline:
        return ModelError(
            f"{repository} is not in the local cache, and downloads are switched off (offline)",
            "go online once and run the same command again",
        )
    return ModelError(
        f"{repository} cannot be downloaded: the model hub does not answer",
        f"check the network and {_GO_ON}",
    )
