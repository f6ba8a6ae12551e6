"""Numbers and findings in plain words: what a figure means, and how sure it is. In: parts of a Report. Out: text, no markup."""

from __future__ import annotations

import re
from collections.abc import Sequence

from blogtwin.evaluation.copying import Copying, Passage
from blogtwin.evaluation.judge import Preferred
from blogtwin.evaluation.report import AuthorshipTest, Measures, PostLoss
from blogtwin.evaluation.verdict import Paired
from blogtwin.evaluation.voice import Voice

# Each habit in a reader's words: its name, and what it is.
HABITS = {
    "function words": ("Small words", "how often you use the, of, but, not and the like"),
    "word order": ("Word order", "which small words and marks you put next to each other"),
    "letter sequences": ("Letters", "your runs of three and four letters: endings, spellings, favourite words"),
    "punctuation": ("Punctuation", "how many commas, dashes, brackets and other marks you set"),
    "rhythm": ("Rhythm", "how long your sentences and paragraphs are"),
    "vocabulary": ("Vocabulary", "your favourite words, how long your words are, how often you take a new one"),
    "formatting": ("Formatting", "your headings, lists, quotations, bold and italics"),
}
# Each kind of example: what the models were asked for.
KINDS = {
    "topic": "a post, from its title",
    "outline": "a post, from its headings",
    "continuation": "what comes next",
    "section": "a part of a post",
}


def score(value: float) -> str:
    """A voice score: two digits, and a real minus sign."""
    return f"{value:.2f}".replace("-0.00", "0.00").replace("-", "−")


def percent(share: float) -> str:
    """A share as per cent, with the digits that can matter."""
    if 0 < share < 0.001:
        return "under 0.1%"
    if 0.999 < share < 1:
        return "over 99.9%"
    return f"{100 * share:.1f}%" if 0 < share < 0.0995 or 0.9905 <= share < 1 else f"{100 * share:.0f}%"


def many(value: float) -> str:
    """A number of things: one digit behind the point below ten, none above; words for what nobody can imagine."""
    if value >= 1e9:
        return "over a billion"
    if value >= 999_950:
        return f"{value / 1e6:,.1f} million"
    return f"{value:,.0f}" if value >= 9.95 or value == int(value) else f"{value:.1f}"


def ranged(value: float, low: float | None, high: float | None) -> str:
    """A score with its interval."""
    return score(value) if low is None or high is None else f"{score(value)} ({score(low)} to {score(high)})"


def sentence(text: str) -> str:
    """A finding as a sentence: with a capital, where it begins with a word and not with a name, and a full stop."""
    first = text.split(" ", 1)[0]
    text = text[:1].upper() + text[1:] if re.fullmatch(r"[a-z]+(?:['’][a-z]+)?[,:]?", first) else text
    return text if re.search(r"[.!?…。！？][”\"’)]?\Z", text) or not text else f"{text}."


def voice_answer(voice: Voice) -> str:
    """Where the twin stands, in one sentence."""
    if voice.score is None:
        return "There is no score: your posts and the base model’s answers are too few, or too short, to be told apart."
    if voice.low is None or voice.high is None:
        return f"It scores {score(voice.score)}, but one post says little: there is no telling how far chance moved it."
    if voice.high < 0:
        return "No: it is farther from you than the base model is."
    if voice.low <= 0:
        return "It cannot be told whether it is nearer to you than the base model is."
    return (
        "By these posts it cannot be told from you."
        if voice.high >= 1
        else "More than the base model does, but it can still be told from you."
    )


def voice_sure(voice: Voice) -> str:
    """How sure that is, with the number of posts behind it."""
    if voice.score is None or voice.low is None or voice.high is None:
        return "A range needs at least two of your posts that the twin was not trained on."
    where = (
        "the whole line lies left of 0, so it is more than chance"
        if voice.high < 0
        else "the line crosses 0, so chance alone could have put the mark there"
        if voice.low <= 0
        else "the whole line lies right of 0, so it is more than chance"
    )
    few = " With so few posts even the line is a guess: more would move it." if voice.prompts < 8 else ""
    return (
        f"The line is the range that {voice.prompts} of your posts leave open: the score lies in it 19 times out of 20. "
        f"Here {where}.{few}"
    )


def surprise_answer(twin: float, base: float, comparisons: Sequence[Paired]) -> str:
    """Perplexities a word, beside each other; where their interval is known and holds 1, nothing is claimed."""
    interval = _ratio(comparisons)
    if abs(twin / base - 1) < 0.005 or (interval and interval[0] <= 1 <= interval[1]):
        return "It cannot be told whether it expects your next word any better than its base does."
    if twin < base:
        fewer = percent(1 - twin / base)
        return f"It has {fewer} fewer words to choose from than its base: it learned what you tend to say next."
    more = f"{percent(twin / base - 1)} more words" if twin < 2 * base else f"{many(twin / base)} times as many words"
    return f"No: it has {more} to choose from than its base. It did not learn from your posts, or learned for too long."


def surprise_sure(losses: Sequence[PostLoss], comparisons: Sequence[Paired]) -> str:
    """By how many posts, and the interval where there is one."""
    better = sum(post.twin < post.base for post in losses)
    out = f"It was less surprised than its base by {better} of your {len(losses)} held-out posts." if losses else ""
    if interval := _ratio(comparisons):
        low, high = map(percent, interval)
        out += f" Its figure is between {low} and {high} of its base’s, 19 times out of 20."
    return out.strip()


def _ratio(comparisons: Sequence[Paired]) -> tuple[float, float] | None:
    """The interval of the twin's perplexity over its base's."""
    for one in comparisons:
        sides = (one.measure, one.first, one.second)
        if sides == ("perplexity per word", "twin", "base") and one.low is not None and one.high is not None:
            return one.low, one.high
    return None


def copying_answer(copying: Copying) -> str:
    """Whether the twin repeats posts."""
    if copying.flagged:
        return "Yes: it repeats your posts more than you repeat yourself."
    few = f", though {counted(len(copying.copied), 'answer')} did" if copying.copied else ""
    return f"No more than you repeat yourself from post to post{few}."


def copying_sure(copying: Copying) -> str:
    """What the lines of its chart are."""
    if copying.author is None:
        return "There is one post only, so there is no knowing how much you repeat yourself."
    return (
        "The lines are not about doubt: nine of ten texts lie on them, so a text far right of your own line is out of the "
        "ordinary. That is how an answer comes to be counted as copied."
    )


def from_where(passage: Passage) -> str:
    """How long a passage is, and how like its source; the title of the source stands beside it."""
    like = "word for word" if passage.verbatim else f"nearly word for word ({passage.matched} the same)"
    return f"{passage.words} words in a row, {like}"


def clipped(text: str, words: int = 60) -> str:
    """The beginning of a long passage, and how much more there is."""
    found = list(re.finditer(r"\S+", text))
    if len(found) <= words * 1.3:
        return f"… {text} …"
    return f"… {text[: found[words - 1].end()]} … (and {len(found) - words} words more)"


def authorship_answer(test: AuthorshipTest) -> str:
    """What the test makes of the twin's texts, beside the author's own."""
    twin, author = test.twin, test.author
    if None in (twin.low, twin.high, author.low, author.high):
        return f"It gives the twin’s texts {percent(twin.probability)}, your own {percent(author.probability)}."
    assert twin.high is not None
    assert author.low is not None
    apart = twin.high < author.low
    return (
        f"It gives the twin’s texts {percent(twin.probability)} on average and your own {percent(author.probability)}: "
        + ("it tells the two apart." if apart else "the two ranges meet, so it cannot tell them apart for sure.")
    )


def counted(number: int, thing: str) -> str:
    """3 answers, 1 answer."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def preferred(won: Preferred, over: str) -> str:
    """How a judge decided pairs."""
    sure = "that may be chance" if won.p is None or won.p > 0.05 else "that is more than chance"
    return (
        f"Beside {over} it preferred the twin in {won.first} pairs and the other in {won.second}, "
        f"with {won.undecided} undecided: {sure}."
    )


def faults(measures: Measures) -> dict[int, list[str]]:
    """Number of an answer → what is wrong with it, but for copying, which the page tells by itself."""
    found: dict[int, list[str]] = {}
    for one in measures.faults:
        if one.kind != "copied":
            found.setdefault(one.answer, []).append(f"{one.kind}: {one.reason}")
    return found


def faulty(measures: Measures) -> str:
    """How many answers have such a fault."""
    some, answers = len(faults(measures)), counted(measures.answers, "answer")
    if not some:
        return f"Yes: none of its {answers} is empty, goes round in circles or strays."
    return f"{some} of its {answers} {'has' if some == 1 else 'have'} something wrong."
