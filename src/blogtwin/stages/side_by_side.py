"""Three sides answer the same prompts: the twin, its base, and for held-out titles the base shown three real posts.

In: questions, settings, a twin in service. Out: Answered. All with the same sampling and the same seed for each prompt; the
base as the twin was exported (served_twin.py). A run that was cut off has what was answered in the user's home, and goes on.

Most of the error of a voice score is the luck of what was said this time (five seeds on twelve titles: a standard deviation of
0.11, where the interval is ±0.2), so that where titles are few, further answers to each narrow the interval about as much as
further titles.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from blogtwin.config import EvaluationSettings, Settings
from blogtwin.evaluation.verdict import Side
from blogtwin.progress import Progress
from blogtwin.records import Sampling
from blogtwin.stages import held_out
from blogtwin.stages.answers import Answers
from blogtwin.stages.few_shot import Shown
from blogtwin.stages.held_out import Question
from blogtwin.stages.served_twin import Served, base_in_service


@dataclass(frozen=True)
class Said:
    """What one side said. answers: one to each question. to_titles: all answers to each held-out title, one text a title."""

    answers: list[str]
    to_titles: list[str]


@dataclass(frozen=True)
class Answered:
    """What each side said, in the order of the questions; few_shot: of the first questions, those that had posts shown.

    to_titles: side → all its answers to each held-out title, one text a title, `a_title` of them.
    """

    base: list[str]
    twin: list[str]
    few_shot: list[str]
    to_titles: dict[Side, list[str]]
    a_title: int
    sampling: Sampling

    def sides(self) -> dict[Side, list[str]]:
        """Each side that answered, by its name."""
        told: dict[Side, list[str]] = {"base": self.base, "twin": self.twin}
        return told | {"few-shot": self.few_shot} if self.few_shot else told


def side_by_side(
    settings: Settings,
    served: Served,
    asked: Sequence[Question],
    shown: Sequence[Shown],
    progress: Progress,
    a_title: int = 1,
) -> Answered:
    """Ask all sides. asked: held-out titles first. shown: for the first questions, the posts before them.

    a_title: answers to each title, each with a seed of its own.
    Raises RuntimeUnavailable, ModelError (no base) and OutputError; what was answered by then is kept.
    """
    twin = twin_alone(settings, served, asked, progress, a_title)
    base, few_shot = _base(settings, served, asked, shown, progress, a_title)
    to_titles: dict[Side, list[str]] = {"base": base.to_titles, "twin": twin.to_titles}
    if few_shot.answers:
        to_titles["few-shot"] = few_shot.to_titles
    sampling = served.sampling(settings.evaluation)
    return Answered(base.answers, twin.answers, few_shot.answers, to_titles, a_title, sampling)


def base_alone(
    settings: Settings, served: Served, asked: Sequence[Question], progress: Progress, a_title: int = 1
) -> Said:
    """What its base says. Raises RuntimeUnavailable, ModelError and OutputError."""
    return _base(settings, served, asked, [], progress, a_title)[0]


def twin_alone(
    settings: Settings, served: Served, asked: Sequence[Question], progress: Progress, a_title: int = 1
) -> Said:
    """What the twin says. Raises RuntimeUnavailable and OutputError."""
    answers, key = Answers.of(served.twin_key), served.twin_key
    rounds = _rounds(asked, served, settings.evaluation, a_title)
    missing = any(answers.missing(key, prompts, sampling) for prompts, sampling in rounds)
    at_once = served.at_once(served.runtime, served.name, settings.evaluation) if missing else 1
    chat = partial(served.runtime.chat, served.name)
    label = f"Answers of {served.twin.name}"
    return _said(
        [
            answers.ask(key, _again(label, number, a_title), prompts, sampling, chat, progress, at_once)
            for number, (prompts, sampling) in enumerate(rounds, start=1)
        ],
        asked,
    )


def _base(
    settings: Settings,
    served: Served,
    asked: Sequence[Question],
    shown: Sequence[Shown],
    progress: Progress,
    a_title: int,
) -> tuple[Said, Said]:
    """What the base says, and what it says to the first prompts behind real posts."""
    answers, key = Answers.of(served.base_key), served.base_key
    rounds = _rounds(asked, served, settings.evaluation, a_title)
    behind = [question.prompt for question in asked[: len(shown)]]
    before = {prompt: one.turns for prompt, one in zip(behind, shown, strict=True)}
    missing = any(
        answers.missing(key, prompts, sampling) or answers.missing(key, behind, sampling, before)
        for prompts, sampling in rounds
    )
    alone, few = [], []
    with contextlib.ExitStack() as stack:
        name, at_once = "", 1
        if missing:
            name = stack.enter_context(base_in_service(served, settings, progress))
            at_once = served.at_once(served.beside, name, settings.evaluation)
        chat = partial(served.beside.chat, name)
        for number, (prompts, sampling) in enumerate(rounds, start=1):
            label = _again("Answers of its base", number, a_title)
            alone.append(answers.ask(key, label, prompts, sampling, chat, progress, at_once))
            if behind:
                label = _again("Answers of the base shown your posts", number, a_title)
                few.append(answers.ask(key, label, behind, sampling, chat, progress, at_once, before))
    return _said(alone, asked), _said(few, asked[: len(shown)])


def _rounds(
    asked: Sequence[Question], served: Served, evaluation: EvaluationSettings, a_title: int
) -> list[tuple[list[str], Sampling]]:
    """What is asked, and with which seed: everything once, then the titles again."""
    everything = [question.prompt for question in asked]
    titles = [question.prompt for question in held_out.titles(asked)]
    return [
        (titles if number else everything, served.sampling(replace(evaluation, seed=evaluation.seed + number)))
        for number in range(a_title)
    ]


def _again(label: str, number: int, rounds: int) -> str:
    return label if rounds == 1 else f"{label}, {number} of {rounds}"


def _said(rounds: Sequence[list[str]], asked: Sequence[Question]) -> Said:
    """rounds: the answers of each; titles are asked first, so that they are the first answers of every round."""
    if not rounds:
        return Said([], [])
    titles = len(held_out.titles(asked))
    return Said(rounds[0], ["\n\n".join(answers) for answers in zip(*(said[:titles] for said in rounds), strict=True)])
