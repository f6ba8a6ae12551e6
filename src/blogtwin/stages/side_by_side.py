"""Three sides answer the same prompts: the twin, its base, and for held-out titles the base shown three real posts.

In: questions, settings, a twin in service. Out: Answered. All with the same sampling and the same seed for each prompt; the
base as the twin was exported (served_twin.py). A run that was cut off has what was answered in the user's home, and goes on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from blogtwin.config import Settings
from blogtwin.evaluation.verdict import Side
from blogtwin.progress import Progress
from blogtwin.records import Sampling
from blogtwin.stages.answers import Answers
from blogtwin.stages.few_shot import Shown
from blogtwin.stages.held_out import Question
from blogtwin.stages.served_twin import Served, base_in_service


@dataclass(frozen=True)
class Answered:
    """What each side said, in the order of the questions; few_shot: of the first questions, those that had posts shown."""

    base: list[str]
    twin: list[str]
    few_shot: list[str]
    sampling: Sampling

    def sides(self) -> dict[Side, list[str]]:
        """Each side that answered, by its name."""
        told: dict[Side, list[str]] = {"base": self.base, "twin": self.twin}
        return told | {"few-shot": self.few_shot} if self.few_shot else told


def side_by_side(
    settings: Settings, served: Served, asked: Sequence[Question], shown: Sequence[Shown], progress: Progress
) -> Answered:
    """Ask all sides. shown: for the first questions, the posts before them.

    Raises RuntimeUnavailable, ModelError (no base) and OutputError; what was answered by then is kept.
    """
    prompts = [question.prompt for question in asked]
    twin = twin_alone(settings, served, prompts, progress)
    base, few_shot = _base(settings, served, prompts, shown, progress)
    return Answered(base, twin, few_shot, served.sampling(settings.evaluation))


def base_alone(settings: Settings, served: Served, prompts: Sequence[str], progress: Progress) -> list[str]:
    """What its base says. Raises RuntimeUnavailable, ModelError and OutputError."""
    return _base(settings, served, prompts, [], progress)[0]


def twin_alone(settings: Settings, served: Served, prompts: Sequence[str], progress: Progress) -> list[str]:
    """What the twin says. Raises RuntimeUnavailable and OutputError."""
    answers, key, sampling = Answers.of(served.twin_key), served.twin_key, served.sampling(settings.evaluation)
    missing = answers.missing(key, prompts, sampling)
    at_once = served.at_once(served.runtime, served.name, settings.evaluation) if missing else 1
    chat = partial(served.runtime.chat, served.name)
    return answers.ask(key, f"Answers of {served.twin.name}", prompts, sampling, chat, progress, at_once)


def _base(
    settings: Settings,
    served: Served,
    prompts: Sequence[str],
    shown: Sequence[Shown],
    progress: Progress,
) -> tuple[list[str], list[str]]:
    """What the base says, and what it says to the first prompts behind real posts."""
    answers, key, sampling = Answers.of(served.base_key), served.base_key, served.sampling(settings.evaluation)
    behind = prompts[: len(shown)]
    before = {prompt: one.turns for prompt, one in zip(behind, shown, strict=True)}
    alone, few = answers.missing(key, prompts, sampling), answers.missing(key, behind, sampling, before)
    with contextlib.ExitStack() as stack:
        name, at_once = "", 1
        if alone or few:
            name = stack.enter_context(base_in_service(served, settings, progress))
            at_once = served.at_once(served.beside, name, settings.evaluation)
        chat = partial(served.beside.chat, name)
        base = answers.ask(key, "Answers of its base", prompts, sampling, chat, progress, at_once)
        label = "Answers of the base shown your posts"
        few_shot = answers.ask(key, label, behind, sampling, chat, progress, at_once, before) if behind else []
    return base, few_shot
