"""What to do after an evaluation: a Report → a few lines of advice, the most urgent first."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import dataclass

from blogtwin.evaluation.report import Report
from blogtwin.evaluation.report_page.wording import counted

_FAULTS = {
    "empty": "empty",
    "too short": "far too short",
    "looping": "going round in circles",
    "wrong language": "in the wrong language",
}


_MANY = 40  # answers to titles, with which most differences that matter can be told


@dataclass(frozen=True)
class Advice:
    """One thing to do. command: to be typed. section: of the page, where the grounds are; link: the words that lead there.

    warning: it comes before anything else.
    """

    text: str
    command: str = ""
    section: str = ""
    link: str = "Why?"
    warning: bool = False


def advice(report: Report) -> list[Advice]:
    """Warnings, then what to write with, then what would make the twin or the measurement better."""
    return [*_warnings(report), *_choice(report), *_better(report)]


def _warnings(report: Report) -> list[Advice]:
    twin, out = report.twin, []
    if said := sum(twin.privacy.originals.values()):
        out.append(
            Advice(f"It says {counted(said, 'private thing')} of yours. Show its drafts to nobody before you have read them.",
                   section="private", warning=True)
        )  # fmt: skip
    if twin.copying.flagged:
        out.append(
            Advice("It repeats passages of your posts. Compare a draft with them before you publish it.",
                   section="copying", warning=True)
        )  # fmt: skip
    if twin.relevance.flagged:
        out.append(
            Advice(
                "It seems not to write about what it is asked. Read its answers before anything else.",
                section="answers",
                warning=True,
            )
        )
    kinds = Counter(one.kind for one in twin.faults)
    if found := [f"{number} {_FAULTS[kind]}" for kind, number in kinds.items() if kind in _FAULTS]:
        text = f"Not every answer can be used: of {twin.answers}, {_listed(found)}."
        out.append(Advice(text, section="answers", link="See which", warning=True))
    return out


def _choice(report: Report) -> list[Advice]:
    use, refused = report.verdict.use, "twin" in report.verdict.against
    shown = report.few_shot_prompt.posts if report.few_shot_prompt else 3
    until = "Until the twin is better, write" if refused else "Write"
    if use == "twin":
        text = "Write with your twin, and read what it wrote before you publish it:"
        return [Advice(text, f'blogtwin write "your topic" --model {shlex.quote(report.model)}')]
    if use == "few-shot":
        why = "" if refused else " That does as much as the training did, or more."
        return [Advice(f"{until} with the base model: put {shown} of your posts before what you ask for.{why}")]
    if use == "base":
        why = "" if refused else ": nothing that was tried made it sound more like you"
        return [Advice(f"{until} with the base model as it is{why}.")]
    if report.counts.held_out_titles * report.counts.answers_a_title >= _MANY:
        return [Advice("They are too alike to choose by measure: take the one that you like to work with.")]
    return [
        Advice("Have more titles answered, so that the difference can be told:", f"blogtwin evaluate --samples {_MANY}")
    ]


def _better(report: Report) -> list[Advice]:
    out = []
    if report.twin.copying.flagged:
        # Fewer passes over the posts is the first remedy for learning them by heart.
        out.append(
            Advice(
                "It knows posts by heart: train it for a shorter time, or on more posts.",
                "blogtwin finetune --epochs 1",
            )
        )
    elif report.verdict.use in ("base", "few-shot"):
        out.append(
            Advice("To make the twin better, give it more posts, or train it longer:", "blogtwin finetune --epochs 5")
        )
    if 0 < report.counts.held_out_titles < 8 and report.verdict.use is not None:
        out.append(
            Advice(f"{counted(report.counts.held_out_titles, 'held-out post')} leave the figures uncertain. Hold out more:",
                   "blogtwin prepare-dataset --split 0.7")
        )  # fmt: skip
    length = report.twin.length
    if length is not None and length.twin_unfinished > max(0.2, 2 * length.author_unfinished):
        out.append(
            Advice(
                "Many answers stop in mid-sentence: raise evaluation.max_tokens in pipeline_config.yaml.",
                section="answers",
            )
        )
    return out


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
