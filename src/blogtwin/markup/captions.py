"""What stands under a picture. In: a caption, text or Markdown. Out: whether it is prose, which stays when the picture goes."""

from __future__ import annotations

import re

from blogtwin.words import count_words

_LEAST = 8  # words; a sentence that says less only names what the picture shows
_SENTENCE = re.compile(r"[.!?…](?:[\"'”’)\]*_]*)(?:\s|\Z)|[。！？]")
_CREDIT = re.compile(
    r"\W*(?:(?:cover|header|title) )?(?:photo(?:graph)?s?|images?|pictures?|illustrations?|credits?|source|foto|bild|写真)\b"
    r"[^.\n]{0,40}(?:\bby\b|\bfrom\b|\bvia\b|\bcourtesy\b|\bvon\b|:|©)",
    re.IGNORECASE,
)


def is_prose(caption: str) -> bool:
    """Whether the author says something in it: a sentence, and none that credits the picture."""
    caption = " ".join(re.sub(r"<[^<>]{0,500}>", "", caption).split())
    return bool(_SENTENCE.search(caption)) and not _CREDIT.match(caption) and count_words(caption) >= _LEAST
