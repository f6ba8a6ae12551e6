"""Which to write with: the base model, the base shown three posts, or the twin; and why.

In: how sides compare by voice and by perplexity, prompt by prompt, and what disqualifies a side. Out: a Verdict.
"""

from __future__ import annotations

from typing import Literal

from blogtwin.records import Record

Side = Literal["base", "few-shot", "twin"]
Measure = Literal["voice", "perplexity per word"]


class Paired(Record):
    """One side beside another by one measure, on the same prompts or posts.

    difference: `first` minus `second`; of voice it is in units of the score (above 0: `first` is nearer to the author), of
    perplexity the ratio first / second (below 1: `first` is less surprised). low, high: its 95% paired bootstrap interval; None
    with fewer than two prompts. p: two-sided, of no difference; corrected (Holm) where several pairs were looked at.
    """

    measure: Measure
    first: str
    second: str
    difference: float
    low: float | None
    high: float | None
    p: float | None
    prompts: int


class Verdict(Record):
    """sentence: the whole in one sentence. use: what to write with; None: it cannot be told with so few posts.

    why: reasons, the weightiest first. against: side → what speaks against it whatever its voice is. comparisons: the figures.
    """

    sentence: str
    use: Side | None
    why: tuple[str, ...]
    against: dict[Side, tuple[str, ...]]
    comparisons: tuple[Paired, ...]
