"""What a proved version was made of, for the register: its adapter's card, its data, the posts that it saw.

In: a dated deployment and its adapter folder. Out: a row of the register, at the end of every deploy, and the posts behind it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from blogtwin import jsonl
from blogtwin.adapter_folder import WEIGHTS, read_card
from blogtwin.config import Settings
from blogtwin.errors import InputError
from blogtwin.feedback import twins
from blogtwin.feedback.database import Database
from blogtwin.feedback.versions import SeenPost, Versions
from blogtwin.manifest import Manifest, hash_file
from blogtwin.records import AdapterCard, Deployment, Post, content_id
from blogtwin.service_records import Version
from blogtwin.stages.versions import family
from blogtwin.workspace import Workspace, deployments, manifest_beside

_TOLD = ("validation_loss", "validation_perplexity", "base_validation_perplexity", "validation_accuracy", "steps")


@contextmanager
def register(settings: Settings) -> Iterator[Versions]:
    """The register in the database of the settings, for one piece of work. Raises StoreError."""
    database = Database.open(settings.feedback.database_url)
    try:
        yield Versions(database)
    finally:
        database.close()


def record(register: Versions, deployed: Deployment, workspace: Workspace) -> tuple[Version, str]:
    """Keep `deployed`, a dated one, as a candidate; returns its row, and in words what could not be told of it, or "".

    Raises ModelError when its adapter folder does not say what it is.
    """
    adapter = Path(deployed.adapter)
    card = read_card(adapter)
    twin = family(deployed.name)
    now = datetime.now(UTC)
    parent, between = _parent(adapter, register.list(twin))
    known = [posts_seen(folder, workspace) for folder in (*between, adapter)]
    seen = [post for posts, _ in known for post in posts]
    remark = "; ".join(filter(None, dict.fromkeys(why for _, why in known)))
    inherited = register.saw(parent.name) if parent else ()
    row = Version(
        name=deployed.name,
        twin=twin,
        runtime=deployed.runtime,
        adapter=deployed.adapter,
        base_model=card.base_model,
        base_hash=card.base_hash,
        parent=parent.name if parent else None,
        method=card.method,
        data_hash=card.data_hash,
        settings_hash=card.settings_hash,
        sizes=_sizes(deployed, card),
        metrics=_metrics(deployed, card, adapter),
        created_at=deployed.deployed_at or now,
        state_since=now,
    )
    return register.record(row, (*inherited, *seen)), remark


def take_in(register: Versions, deployed: Deployment, workspace: Workspace, name: str, challenger: bool) -> str:
    """Record what a deploy has proved; `name`, which it took, makes it the champion. Returns what to tell of it, or "".

    A name with another tag than `latest` is the user's own: it makes a champion only where the twin has none.
    """
    version, remark = record(register, deployed, workspace)
    twins.settle(register.database, version.twin, Path.cwd())
    champion = register.champion(version.twin)
    if not challenger and (name == f"{version.twin}:latest" or champion is None):
        register.promote(version.name, f"deployed as {name}")
    elif champion is not None and champion.name != version.name:
        told = f"a candidate beside {champion.name}; it serves with: blogtwin models traffic {version.name}=10"
        remark = f"{told}. {remark}" if remark else told
    return remark


def deployed_from(adapter: Path, twin: str) -> Deployment | None:
    """The dated deployment of `twin` that was made last from the weights that lie in `adapter` now."""
    weights = hash_file(adapter / WEIGHTS) if (adapter / WEIGHTS).is_file() else None
    made = [
        one
        for one in deployments()
        if one.name == one.version
        and family(one.name) == twin
        and (one.adapter, one.adapter_sha256) == (str(adapter.absolute()), weights)
    ]
    return max(made, key=lambda one: (str(one.deployed_at), one.name), default=None)


def posts_seen(adapter: Path, workspace: Workspace) -> tuple[list[SeenPost], str]:
    """The posts whose examples an adapter was trained on, held-out ones not among them; and why there may be more, or "".

    The adapter's manifest names its training data; paths and titles are those of the posts that lie there now.
    """
    ids: dict[str, None] = {}
    missing: list[str] = []
    for path, digest in _training_files(adapter):
        if not path.is_file() or hash_file(path) != digest:
            missing.append(str(path))
            continue
        ids |= dict.fromkeys(filter(None, (_post_of(line) for _, line in jsonl.lines(path))))
    posts = _posts(workspace.posts)
    remark = ""
    if missing:
        remark = f"the posts it saw are not all known: {', '.join(missing)} changed since it was trained"
    elif _manifest(adapter) is None:
        remark = f"the posts it saw are not known: {manifest_beside(adapter)} is not there"
    unknown = Post(id="", path="", title="", text="", format="text", word_count=0, created_at=None, created_from=None)
    told = [(post_id, posts.get(post_id, unknown)) for post_id in ids]
    return [SeenPost(post_id=post_id, path=post.path, title=post.title) for post_id, post in told], remark


def _training_files(adapter: Path) -> Iterator[tuple[Path, str]]:
    """What the adapter learned from, with the hashes it had."""
    manifest = _manifest(adapter)
    for name, stamp in manifest.inputs.items() if manifest else ():
        if name.endswith(".jsonl") and "validation" not in Path(name).stem:
            yield Path(name), stamp.sha256


def _post_of(line: Mapping[str, Any]) -> str | None:
    """The post that an example was made of; None for a text that readers approved: its question stands for a post."""
    asked = content_id("asked", str(line.get("instruction")), *(turn["content"] for turn in line.get("before", ())))
    told = line.get("post_id")
    return None if told in (None, asked) else str(told)


def _manifest(adapter: Path) -> Manifest | None:
    """What `finetune` left in the adapter folder."""
    try:
        return Manifest.model_validate_json(manifest_beside(adapter).read_text("utf-8"))
    except (OSError, ValidationError, UnicodeDecodeError):
        return None


def _posts(path: Path) -> dict[str, Post]:
    try:
        return {post.id: post for post in jsonl.read(path, Post)}
    except InputError:  # without them a post is still known by its id
        return {}


def _parent(adapter: Path, known: Sequence[Version]) -> tuple[Version | None, list[Path]]:
    """The version whose adapter the training went on from; and adapters between the two, which were never deployed."""
    shas = {one.adapter_sha256: one.name for one in deployments() if one.name == one.version}
    named = {one.name: one for one in known}
    between: list[Path] = []
    folder: Path | None = adapter
    while folder and (digest := read_card(folder).parent) is not None:
        if (found := named.get(shas.get(digest, ""))) is not None:
            return found, between
        folder = _went_on_from(folder, digest)
        between += [folder] if folder else []
    return None, between


def _went_on_from(adapter: Path, digest: str) -> Path | None:
    """The folder whose weights, with this hash, `adapter` was trained on from, where it is still as it was."""
    try:
        manifest = Manifest.model_validate_json(manifest_beside(adapter).read_text("utf-8"))
    except (OSError, ValidationError, UnicodeDecodeError):
        return None
    named = [Path(name) for name, stamp in manifest.inputs.items() if stamp.sha256 == digest]
    return next((path.parent for path in named if path.is_file() and hash_file(path) == digest), None)


def _sizes(deployed: Deployment, card: AdapterCard) -> dict[str, float]:
    files = [Path(path) for path in (deployed.artifact.gguf, deployed.artifact.lora) if path and Path(path).is_file()]
    return {
        "megabytes": round(sum(path.stat().st_size for path in files) / 1e6, 1),
        "context_tokens": deployed.artifact.context_length,
        "examples": card.examples,
    }


def _metrics(deployed: Deployment, card: AdapterCard, adapter: Path) -> dict[str, float]:
    told = {"best_loss": card.best_loss}
    if manifest := _manifest(adapter):
        told |= {name: manifest.counts[name] for name in _TOLD if name in manifest.counts}
    if deployed.parity:
        told["agreement"] = round(deployed.parity.agreement, 4)
    return told
