"""Parallel: pairs of texts, one made from the other → what a twin that rewrites is trained on.

In: a TSV or JSONL file of pairs, perhaps a list of texts that cannot be rewritten. Out: examples of rewriting, with what is
held out beside them; where the file has worse rewritings too, preferences.jsonl of the same sources on the same sides; then their
manifest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from blogtwin import jsonl
from blogtwin.config import Settings
from blogtwin.dataset import parallel, prompts
from blogtwin.dataset.examples import Room
from blogtwin.dataset.judgements import said_by
from blogtwin.dataset.parallel import BadLine, SourcePair
from blogtwin.dataset.privacy import Privacy
from blogtwin.dataset.sides import held_out
from blogtwin.errors import BrokenRecord, NothingUsable
from blogtwin.manifest import Plan
from blogtwin.progress import Progress
from blogtwin.records import Example, Preference, content_id
from blogtwin.stages.preferences import held_out_beside
from blogtwin.stages.result import Problem, StageResult
from blogtwin.words import normalised
from blogtwin.workspace import Workspace, manifest_beside

_ALIKE = 0.5  # of the word sequences: sources that share them stand on one side
_MEND = "mend or remove that line, or leave --strict out"


@dataclass
class _Found:
    """What the files gave. problems: lines that were left out."""

    examples: dict[str, Example] = field(default_factory=dict)  # by id
    preferences: dict[str, Preference] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    lines: int = 0
    targeted: set[str] = field(default_factory=set)  # sources, by their hash
    alone: dict[str, str] = field(default_factory=dict)  # sources to be left as they are → the example
    both: int = 0


def examples_beside(training_data: Path) -> Path:
    """Where the examples of rewriting go, beside those of the posts."""
    return training_data.with_name("rewriting_data.jsonl")


def preferences_beside(examples: Path) -> Path:
    """Where better and worse rewritings go."""
    return examples.with_name(f"{examples.stem}_preferences.jsonl")


def run(
    settings: Settings,
    workspace: Workspace,
    progress: Progress,
    pairs: Path,
    instruction: str | None = None,
    cannot_rewrite: Path | None = None,
    output: Path | None = None,
) -> StageResult:
    """Make examples of `pairs`. instruction: what the twin is told to do; None: as prompts/instructions.yaml has it.

    cannot_rewrite: texts that are left as they are, beside the pairs without a target. output: where the examples go, else
    rewriting_data.jsonl beside the training data.
    Raises InputError for a file that is not there, with data.strict BrokenRecord for a line that cannot be used, NothingUsable
    when there are not two different sources, OutputError.
    """
    told = (instruction or prompts.load(prompts.file(settings.data)).by_task["rewrite"][0]).strip()
    output = output or examples_beside(workspace.training_data)
    plan = _plan(settings, pairs, cannot_rewrite, told, output)
    found = _Found()
    with progress.task("Reading pairs", None, "lines") as task:
        make = _maker(settings, told, found)
        for path, alone in ((pairs, False), *([(cannot_rewrite, True)] if cannot_rewrite else [])):
            for one in parallel.read(path, alone):
                task.advance()
                reason = one.reason if isinstance(one, BadLine) else make(one)
                if reason and settings.data.strict:
                    raise BrokenRecord(path, one.line, reason, _MEND)
                if reason:
                    found.problems.append(Problem(f"{path}, line {one.line}", reason))
    counts = _write(found, settings, output)
    plan.finish(counts)
    written = tuple(path for path in plan.outputs if path.is_file())
    return StageResult("rewriting", counts, written, tuple(_notes(found)), tuple(found.problems))


def _plan(settings: Settings, pairs: Path, cannot_rewrite: Path | None, told: str, output: Path) -> Plan:
    worse = preferences_beside(output)
    return Plan(
        stage="rewriting",
        settings={
            "instruction": told,
            "split": settings.data.split,
            "seed": settings.data.seed,
            "replace": sorted(settings.privacy.replace),
            "names": sorted(settings.privacy.names),
            "max_length": settings.training.max_length,
            "system_prompt": settings.training.system_prompt,
        },
        inputs=(pairs, *([cannot_rewrite] if cannot_rewrite else [])),
        outputs=(output, held_out_beside(output), worse, held_out_beside(worse)),
        manifest=manifest_beside(output),
    )


def _maker(settings: Settings, told: str, found: _Found) -> Callable[[SourcePair], str | None]:
    """What takes a pair in; it gives the reason for one that is left out, wholly or in part."""
    privacy = Privacy(settings.privacy.replace, settings.privacy.names)
    room = Room(settings.training.max_length, settings.training.system_prompt)

    def clean(text: str) -> str:
        return privacy.replaced(text, None)[0]

    def make(pair: SourcePair) -> str | None:
        found.lines += 1
        source = clean(pair.source)
        target = clean(pair.target) if pair.target else source
        of = content_id("source", normalised(source) or source)
        example = Example(
            id=content_id("rewrite", of, told, target),
            post_id=of,
            kind="rewrite",
            instruction=told,
            input=source,
            output=target,
        )
        if not room.fits(told, source, target):
            limit = f"{settings.training.max_length} tokens allow (training.max_length)"
            return f"source and target together are longer than {limit}"
        if example.id in found.examples:
            return "stands there twice"
        if pair.target is None and of in found.targeted:
            found.both += 1
            return None
        if pair.target is None:
            found.alone[of] = example.id
        else:
            found.targeted.add(of)
            found.both += found.examples.pop(found.alone.pop(of, ""), None) is not None
        found.examples[example.id] = example
        return "; ".join(_worse(pair, example, clean, found)) or None

    return make


def _worse(pair: SourcePair, example: Example, clean: Callable[[str], str], found: _Found) -> Iterator[str]:
    """Take in the pairs of target and worse rewritings; gives what is wrong with them."""
    for number, text in enumerate(pair.rejected if pair.target else (), start=1):
        prompt = f"{example.instruction}\n\n{example.input}"
        told = content_id("preference", prompt, example.output, clean(text))
        one = Preference(id=told, prompt=prompt, chosen=example.output, rejected=clean(text), origin="choice")
        problems = said_by(one, None).problems
        if not problems:
            found.preferences[told] = one
        yield from (f"rejected {number}: {problem}" for problem in problems)


def _write(found: _Found, settings: Settings, output: Path) -> dict[str, float]:
    examples = list(found.examples.values())
    sources = {one.post_id: one.input for one in examples}
    posts = list(sources)
    places = held_out(list(sources.values()), settings.data.split, _ALIKE, settings.data.seed)
    if not places:
        said = f"all {len(examples)} pairs have the same source" if examples else "there is no pair to learn from"
        raise NothingUsable(
            f"{said}: one side is for training and the other to measure on",
            "give pairs of at least two different texts",
        )
    held = {posts[place] for place in places}
    asked = {f"{one.instruction}\n\n{one.input}" for one in examples if one.post_id in held}
    train, validation = ([one for one in examples if (one.post_id in held) is wanted] for wanted in (False, True))
    jsonl.write(output, train)
    jsonl.write(held_out_beside(output), validation)
    worse = preferences_beside(output)
    for path, wanted in ((worse, False), (held_out_beside(worse), True)):
        _write_some(path, [one for one in found.preferences.values() if (one.prompt in asked) is wanted])
    return {
        "lines": found.lines,
        "sources": len(sources),
        "training examples": len(train),
        "validation examples": len(validation),
        "left as they are": len(found.alone),
        "preferences": len(found.preferences),
        "left out": len(found.problems),
    }


def _write_some(path: Path, records: Sequence[Preference]) -> None:
    if records:
        jsonl.write(path, records)
    else:
        path.unlink(missing_ok=True)


def _notes(found: _Found) -> Iterator[str]:
    if found.both:
        yield f"texts that are to be left as they are and have a target too, which is taken: {found.both}"
    if 2 * len(found.alone) > len(found.examples):
        yield (
            f"{len(found.alone)} of {len(found.examples)} texts are to be left as they are: a twin that sees so many learns "
            "to change nothing"
        )
