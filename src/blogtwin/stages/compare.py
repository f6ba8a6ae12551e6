"""evaluate --compare: several versions of a twin → compare.json.

Reads what evaluate reads. Every version is asked the same prompts with the same seeds, and every two are compared prompt by
prompt; answers that an evaluation has gathered already are taken from the user's home.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from blogtwin import atomic
from blogtwin.config import Settings
from blogtwin.errors import UsageError
from blogtwin.evaluation.comparison import ComparedAnswers, Comparison, VersionMeasured, best_of, changed
from blogtwin.evaluation.report import Measures
from blogtwin.evaluation.style_diff import style_diff
from blogtwin.evaluation.verdict import Paired, against
from blogtwin.evaluation.voice import voice_score
from blogtwin.evaluation.voice_pairs import holm, loss_pairs, voice_pairs
from blogtwin.privacy import stand_ins
from blogtwin.progress import Progress
from blogtwin.stages import held_out, served_twin
from blogtwin.stages.findings import by_post
from blogtwin.stages.held_out import Material, Question
from blogtwin.stages.losses import Measured, losses
from blogtwin.stages.measuring import measure
from blogtwin.stages.served_twin import Served
from blogtwin.stages.side_by_side import Said, base_alone, twin_alone
from blogtwin.workspace import Workspace


def file(workspace: Workspace) -> Path:
    """Where the comparison goes: beside the report."""
    return workspace.report.with_name("compare.json")


def run(names: Sequence[str], settings: Settings, workspace: Workspace, progress: Progress) -> Comparison:
    """Compare the twins called `names`, and write compare.json beside the report.

    Raises UsageError (fewer than two), InputError (no such twin, a missing file), NothingUsable, ModelError, RuntimeUnavailable.
    """
    began = time.monotonic()
    twins = _different([served_twin.find(settings, name) for name in names])
    material = held_out.read(workspace)
    asked = held_out.questions(material.held_out, settings.evaluation)
    a_title = held_out.answers_a_title(asked, settings.evaluation)
    said = {one.twin.name: twin_alone(settings, one, asked, progress, a_title) for one in twins}
    answers = {name: one.answers for name, one in said.items()}
    base = base_alone(settings, twins[0], asked, progress, a_title).to_titles
    alone = replace(settings, evaluation=replace(settings.evaluation, few_shot_posts=0))
    lost = {one.twin.name: losses(alone, one, material, progress) for one in twins}
    private = stand_ins.read(stand_ins.file_beside(workspace.training_data))
    seed = settings.evaluation.seed
    versions = []
    for one in twins:
        name = one.twin.name
        measures, _ = measure({"twin": answers[name]}, asked, material, private, seed, progress)
        versions.append(_measured(one, asked, base, said[name], measures["twin"], lost[name], material, seed))
    prompts = [question.prompt for question in asked]
    pairs = _pairs(asked, base, said, lost, material, seed)
    changes = tuple(
        changed(one, other, style_diff(answers[other], answers[one], answers[one], prompts))
        for one, other in pairwise(answers)
    )
    best, sentence = best_of(versions, pairs)
    found = Comparison(
        sentence=sentence,
        best=best,
        versions=tuple(versions),
        pairs=pairs,
        changes=changes,
        samples=tuple(
            ComparedAnswers(prompt=prompt, answers={name: each[number] for name, each in answers.items()})
            for number, prompt in enumerate(prompts)
        ),
        held_out_titles=len(held_out.titles(asked)),
        prompts=len(asked),
        seed=seed,
        sampling=twins[0].sampling(settings.evaluation),
        remarks=tuple(_remarks(twins, lost)),
        seconds=round(time.monotonic() - began, 1),
    )
    atomic.write_text(file(workspace), found.model_dump_json(indent=2) + "\n")
    return found


def _different(twins: list[Served]) -> list[Served]:
    """Each once: two names may stand for the same version. Raises UsageError when fewer than two are left."""
    found = {one.twin_key: one for one in reversed(twins)}
    kept = [one for one in twins if found[one.twin_key] is one]
    if len(kept) < 2:
        raise UsageError(
            f"there is nothing to compare: {', '.join(one.twin.name for one in twins)} is one and the same version",
            "name two versions that differ",
        )
    return kept


def _measured(
    one: Served,
    asked: Sequence[Question],
    base: Sequence[str],
    said: Said,
    measures: Measures,
    lost: Measured,
    material: Material,
    seed: int,
) -> VersionMeasured:
    perplexities = lost.losses.perplexities() if lost.losses else {}
    return VersionMeasured(
        name=one.twin.name,
        version=one.twin.version,
        model_hash=one.twin.artifact.weights(),
        data_hash=one.card.data_hash,
        base_model=one.card.base_model,
        voice=voice_score(material.posts, held_out.posts(asked), base, said.to_titles, seed),
        perplexity=perplexities.get("perplexity"),
        perplexity_per_word=perplexities.get("perplexity_per_word"),
        copied_answers=len(measures.copying.copied),
        answers=len(said.answers),
        objections=against(len(said.answers), measures.copying, measures.relevance, measures.faults),
    )


def _pairs(
    asked: Sequence[Question],
    base: Sequence[str],
    said: Mapping[str, Said],
    lost: Mapping[str, Measured],
    material: Material,
    seed: int,
) -> tuple[Paired, ...]:
    """Every two versions by voice and by perplexity, each measure with its correction for how many pairs there are."""
    to_titles = {name: one.to_titles for name, one in said.items()}
    voices = voice_pairs(material.posts, held_out.posts(asked), base, to_titles, seed)
    nats = {name: [one.twin for one in by_post(found.losses)] for name, found in lost.items() if found.losses}
    words = next(([one.words for one in by_post(found.losses)] for found in lost.values() if found.losses), [])
    same = {name: values for name, values in nats.items() if len(values) == len(words)}
    return holm(voices) + holm(loss_pairs(same, words, seed))


def _remarks(twins: Sequence[Served], lost: Mapping[str, Measured]) -> list[str]:
    out = [remark for found in lost.values() for remark in found.remarks]
    if len({one.card.base_hash for one in twins}) > 1:
        out.append(
            f"they have different bases: 0 of each voice is {twins[0].card.base_model}, and of perplexities only those a word "
            "can be compared"
        )
    return list(dict.fromkeys(out))
