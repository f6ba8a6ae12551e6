"""Prepare: posts → training and validation examples.

In: raw_blogs.jsonl. Out: training_data.jsonl, validation.jsonl, prepare_report.json and private/stand_ins.json, then their
manifest.

Posts are gone through three times, on all processor cores: once to take out what is private and to see what recurs in all of
them, once without what recurs to see which are alike, and once to make examples of those that stay. Their texts stay on disk.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from blogtwin import jsonl
from blogtwin.config import Settings
from blogtwin.dataset import prompts
from blogtwin.errors import NothingUsable
from blogtwin.jsonl import Line
from blogtwin.manifest import Plan, hash_file
from blogtwin.privacy import stand_ins
from blogtwin.progress import Progress
from blogtwin.records import ExampleKind
from blogtwin.stages.result import Problem, StageResult
from blogtwin.stages.spool import folder_beside
from blogtwin.workspace import Workspace, manifest_beside

if TYPE_CHECKING:
    from blogtwin.stages.preparation import Preparation

_KINDS: tuple[ExampleKind, ...] = ("topic", "outline", "continuation", "section")
_SHOWN = 5  # passages of boilerplate that are shown
_EXCERPT = 80  # characters of each


def plan(settings: Settings, workspace: Workspace) -> Plan:
    """What a preparation would read and write."""
    data = settings.data
    wordings = prompts.file(data)
    return Plan(
        stage="prepare",
        settings={
            "author": data.author,
            "drafts": data.drafts,
            "min_words": data.min_words,
            "near_duplicate": data.near_duplicate,
            "split": data.split,
            "seed": data.seed,
            "replace": sorted(settings.privacy.replace),
            "names": sorted(settings.privacy.names),
            "max_length": settings.training.max_length,
            "system_prompt": settings.training.system_prompt,
            "instructions": hash_file(wordings),
        },
        inputs=(workspace.posts,),
        outputs=(
            workspace.training_data,
            workspace.validation,
            report_beside(workspace.training_data),
            stand_ins.file_beside(workspace.training_data),
        ),
        manifest=manifest_beside(workspace.training_data),
    )


def report_beside(training_data: Path) -> Path:
    """Where the report on every post goes."""
    return training_data.with_name("prepare_report.json")


def run(settings: Settings, workspace: Workspace, progress: Progress) -> StageResult:
    """Take out what recurs and what is private, deduplicate, make examples, split by post.

    Raises InputError and BrokenRecord for posts that cannot be read, ConfigError for wordings that cannot be used, OutputError,
    and NothingUsable when fewer than two posts are left.
    """
    from blogtwin.stages.preparation import Preparation

    wordings = prompts.load(prompts.file(settings.data))
    plan_ = plan(settings, workspace)
    lines = array("q")
    for line in jsonl.places(workspace.posts):
        lines.extend(line)
    total = len(lines) // 3
    with folder_beside(workspace.training_data) as folder, progress.task("Preparing examples", total, "posts") as task:
        work = Preparation(settings, workspace.posts, folder, task)
        work.read(Line(*lines[place : place + 3]) for place in range(0, len(lines), 3))
        work.measure()
        work.deduplicate()
        work.make(wordings)
        work.report(report_beside(workspace.training_data))
        _require_some(work, settings)
        counts = _write(work, workspace)
    plan_.finish(counts)
    return StageResult("prepare", counts, plan_.outputs, tuple(_notes(work)), tuple(_problems(work)))


def _require_some(work: Preparation, settings: Settings) -> None:
    if work.usable():
        return
    if not work.cards:
        raise NothingUsable("there are no posts to prepare", "read some first: blogtwin ingest --input-dir ./blogs")
    kinds = _dropped(work)
    reasons = ", ".join(f"{count} {reason}" for reason, count in kinds.most_common())
    hint = "add longer posts to the blog folder"
    if "too short" in kinds:
        hint += f", or lower data.min_words (now {settings.data.min_words}) in pipeline_config.yaml"
    elif "draft" in kinds:
        hint = "take drafts in with: --drafts"
    raise NothingUsable(f"none of the {len(work.cards)} posts gives an example ({reasons})", hint)


def _write(work: Preparation, workspace: Workspace) -> dict[str, float]:
    """The map of stand-ins, then the examples; the figures of all."""
    held = work.split()
    usable = work.usable()
    stand_ins.write(stand_ins.file_beside(workspace.training_data), work.stand_ins)
    training = work.write(workspace.training_data, [card for card in usable if card.id not in held])
    validation = work.write(workspace.validation, [card for card in usable if card.id in held])
    counts: dict[str, float] = {"posts": len(work.cards), "kept": len(usable)}
    counts |= {f"dropped, {kind}": count for kind, count in sorted(_dropped(work).items())}
    counts |= {f"cut, {what}": words for what, words in sorted(_cut(work).items())}
    counts |= {f"replaced, {kind}": many for kind, many in sorted(work.replaced.items())}
    counts |= {
        "words": sum(card.words for card in usable),
        "training posts": len(usable) - len(held),
        "validation posts": len(held),
        "training examples": training.total(),
        "validation examples": validation.total(),
    }
    for side, kinds in (("training", training), ("validation", validation)):
        counts |= {f"{side}, {kind}": kinds[kind] for kind in _KINDS}
    return counts


def _dropped(work: Preparation) -> Counter[str]:
    return Counter(card.dropped[0] for card in work.cards if card.dropped)


def _cut(work: Preparation) -> Counter[str]:
    """What was cut → how many words of it, in the posts that are kept."""
    found: Counter[str] = Counter()
    for card in work.usable():
        found.update(card.cuts or {})
    found.pop("private data", None)  # replaced, not cut, and counted by kind
    return found


def _problems(work: Preparation) -> Iterator[Problem]:
    for card in work.cards:
        if card.dropped:
            yield Problem(card.path, card.dropped[1])
    yield from work.remarks


def _notes(work: Preparation) -> Iterator[str]:
    """The passages that recurred, so that a person can see whether they are boilerplate."""
    recurs = sorted(work.recurs.items(), key=lambda one: (-one[1], one[0]))
    for passage, posts in recurs[:_SHOWN]:
        said = passage if len(passage) <= _EXCERPT else passage[: _EXCERPT - 1] + "…"
        yield f"cut from {posts} post{'s' * (posts != 1)}: {said}"
    if len(recurs) > _SHOWN:
        yield f"and {len(recurs) - _SHOWN} other passages that recur; prepare_report.json has the words cut from each post"
