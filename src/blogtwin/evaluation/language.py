"""Is an answer in the language that was asked for? In: answers, the languages that would be right, a detector. Out: a Languages.

The detector comes from outside: the one that read the posts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence

from blogtwin.evaluation.words import prose
from blogtwin.records import Record

Detector = Callable[[str], str | None]  # a text → ISO 639-1, None where there is too little to tell


class Languages(Record):
    """counts: language → answers, the commonest first; "?" where there was too little prose to tell.

    wrong: number of an answer → its language, where that is none that would be right. reasons: in words.
    """

    counts: dict[str, int]
    wrong: dict[int, str]
    reasons: tuple[str, ...]


def expected_languages(
    prompts: Sequence[str], posts: Sequence[str | None], background: Sequence[str], detect: Detector
) -> list[set[str]]:
    """For each prompt the languages of a right answer; an empty set: any.

    Where there is the author's own post it is that post's. Else the prompt's is right, and so is the one that most of the
    author's posts are in: a Japanese writer's twin may be asked in English. background: some of the author's posts.
    """
    usual = Counter(found for text in background if (found := detect(text))).most_common(1)
    out = []
    for prompt, post in zip(prompts, posts, strict=True):
        own = detect(post) if post else None
        out.append({own} if own else {one for one in (detect(prompt), *(name for name, _ in usual)) if one})
    return out


def wrong_language(answers: Sequence[str], expected: Sequence[Collection[str]], detect: Detector) -> Languages:
    """Which answers are in none of their expected languages. Code and addresses have no language."""
    found = [detect(prose(answer)) for answer in answers]
    wrong = {
        number: language
        for number, (language, right) in enumerate(zip(found, expected, strict=True))
        if language and right and language not in right
    }
    kinds = Counter(wrong.values())
    said = ", ".join(f"{many} in {language}" for language, many in kinds.most_common())
    return Languages(
        counts=dict(Counter(language or "?" for language in found).most_common()),
        wrong=wrong,
        reasons=(f"{len(wrong)} of {len(answers)} answers are in another language than their prompts: {said}",)
        if wrong
        else (),
    )
