"""Every measure over the answers of all sides. In: questions, answers, what is known of the author. Out: Measures a side.

Nothing here asks a model; the rooms of evaluation/ do the measuring, and this says what is laid beside what.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from blogtwin.evaluation.copying import Source, copying
from blogtwin.evaluation.diversity import Diversity, diversity
from blogtwin.evaluation.faults import faults
from blogtwin.evaluation.language import expected_languages, wrong_language
from blogtwin.evaluation.length import length_match
from blogtwin.evaluation.overlap import overlap
from blogtwin.evaluation.privacy import leaks
from blogtwin.evaluation.relevance import relevance
from blogtwin.evaluation.report import Measures
from blogtwin.evaluation.structure import structure_match
from blogtwin.evaluation.verdict import Side
from blogtwin.privacy.stand_ins import StandIns
from blogtwin.progress import Progress
from blogtwin.sources.language import detect
from blogtwin.stages import held_out
from blogtwin.stages.held_out import Material, Question

_SOME, _FEW = 400, 40  # of the author's posts: what shows how common a word is, and what shows the language


def measure(
    sides: Mapping[Side, Sequence[str]],
    asked: Sequence[Question],
    material: Material,
    private: StandIns,
    seed: int,
    progress: Progress,
) -> tuple[dict[Side, Measures], Diversity | None]:
    """All measures of each side, and the author's own repetition beside them.

    sides: answers to the first of the questions, as many as the side has.
    """
    own = held_out.posts(asked)
    together: dict[str, Sequence[str]] = {"author": own}
    repetition = diversity(together | {str(side): answers for side, answers in sides.items()})
    found: dict[Side, Measures] = {}
    with progress.task("Measuring", len(sides), "sides") as task:
        for side, answers in sides.items():
            found[side] = _measured(asked[: len(answers)], answers, repetition[side], material, private, seed)
            task.advance()
    return found, repetition["author"] if own else None


def _measured(
    asked: Sequence[Question],
    answers: Sequence[str],
    repetition: Diversity,
    material: Material,
    private: StandIns,
    seed: int,
) -> Measures:
    prompts, posts = [question.prompt for question in asked], [question.post for question in asked]
    own = [(answer, post) for answer, post in zip(answers, posts, strict=True) if post is not None]
    some = evenly(material.posts, _SOME)
    expected = expected_languages(prompts, posts, evenly(material.posts, _FEW), detect)
    languages = wrong_language(answers, expected, detect)
    copied = copying(prompts, answers, [Source(post.id, post.title, post.text) for post in material.training])
    relevant = relevance(prompts, answers, posts, some, seed)
    return Measures(
        answers=len(answers),
        overlap=overlap(*map(list, zip(*own, strict=True))) if own else None,
        length=length_match([answer for answer, _ in own], [post for _, post in own]) if own else None,
        structure=structure_match(answers, some),
        diversity=repetition,
        relevance=relevant,
        languages=languages,
        copying=copied,
        privacy=leaks(answers, private),
        faults=faults(answers, repetition, languages, copied, relevant),
    )


def evenly(posts: Sequence[str], most: int) -> list[str]:
    """At most `most` posts, evenly from first to last."""
    many = min(len(posts), most)
    return [posts[number * len(posts) // many] for number in range(many)]
