"""Texts that end an answer: the same wherever the pieces are cut."""

from __future__ import annotations

import itertools

import hypothesis
from hypothesis import strategies

from blogtwin.server.stops import Cut

LETTERS = "ab\n"


@hypothesis.given(
    text=strategies.text(LETTERS, max_size=30),
    stops=strategies.lists(strategies.text(LETTERS, min_size=1, max_size=4), max_size=3),
    cuts=strategies.lists(strategies.integers(0, 30), max_size=8),
)
@hypothesis.settings(database=None, derandomize=True, max_examples=400, deadline=None)
def test_an_answer_ends_before_the_first_stop_however_it_comes(text: str, stops: list[str], cuts: list[int]) -> None:
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    cut, shown = Cut(stops), ""
    for begin, end in itertools.pairwise(places):
        shown += cut.feed(text[begin:end])
        assert text.startswith(shown)
        assert not any(stop in shown for stop in stops)
    shown += cut.rest()
    found = [text.index(stop) for stop in stops if stop in text]
    assert cut.done == bool(found)
    # Of two stops that overlap, the one that is complete first ends the answer, as the pieces after it never came.
    assert shown == text if not found else min(found) <= len(shown) <= max(found)
    if len(stops) == 1:
        assert shown == text.partition(stops[0])[0]
