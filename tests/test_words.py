"""Words are counted as they are found."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from blogtwin.words import count_words, words


@given(
    st.text(alphabet=st.one_of(st.sampled_from("ab1'-’ _.\n—“é日กп한カ٣½²\u0301\ud800"), st.characters()), max_size=30)
)
@example("".join(map(chr, range(0xC0, 0x180))))  # more different signs than are replaced one by one
@example("it's a well-known -- 'quoted' --flag, and it’s 日本")
def test_as_many_words_are_counted_as_found(text: str) -> None:
    assert count_words(text) == len(words(text))
