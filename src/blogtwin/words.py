"""Words in any script. In: texts. Out: words as written or as compared, and counts.

Chinese, Japanese, Thai and their like are written without spaces; there a character counts as a word, as word processors count.
"""

from __future__ import annotations

import re
import unicodedata

# Scripts without spaces between words: Thai to Khmer, kana, Han, Yi, half-width kana. Korean has spaces.
_UNSPACED = (
    "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\ua000-\ua4cf\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
# One character of an unspaced script, or a run of letters and digits that may hold apostrophes and hyphens inside.
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+(?:['’\-][^\W_{_UNSPACED}]+)*")


# In ASCII a table and `split` find words three times faster than the pattern; what holds an apostrophe or a hyphen is left to it.
_ASCII_WORD = re.compile(r"[A-Za-z0-9]+(?:['\-][A-Za-z0-9]+)*")
_APART = {code: " " for code in range(0x80) if not (chr(code).isalnum() or chr(code) in "'-")}
_LOOKS = bytes(ord("a" if chr(code).isalnum() else "-" if chr(code) in "'-" else " ") for code in range(0x80)).ljust(
    0x100
)
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")
_ALONE = re.compile(rf"[{_UNSPACED}]")  # a word by itself
_MANY_SIGNS = 40  # different ones outside ASCII: a text with more is quicker read by the pattern
_TYPOGRAPHIC = (("’", "'"), ("‘", " "), ("“", " "), ("”", " "), ("—", " "), ("–", " "), ("…", " "), ("\u00a0", " "))


def words(text: str) -> list[str]:
    """The words of `text`, as written."""
    if not text.isascii():
        return _WORD.findall(text)
    parts = text.translate(_APART).split()
    return [word for part in parts for word in ((part,) if part.isalnum() else _ASCII_WORD.findall(part))]


def count_words(text: str) -> int:
    """How many words `text` has: as many as `words` finds, told by where they begin, which is ten times as fast."""
    apart = 0
    if not text.isascii():
        signs = set(_BEYOND_ASCII.findall(text))
        if len(signs) > _MANY_SIGNS:
            return len(_WORD.findall(text))
        for sign in signs:
            alone = _ALONE.match(sign) is not None
            apart += text.count(sign) if alone else 0
            text = text.replace(sign, "a" if sign.isalnum() and not alone else "-" if sign == "’" else " ")
    # Each character as what it is: a letter or digit, a joint, or a gap. A word begins at a letter that no joint ties to another.
    looks = b" " + text.encode("ascii").translate(_LOOKS)
    return apart + looks.count(b" a") + looks.count(b" -a") + looks.count(b"--a")


def normalised(text: str) -> str:
    """`text` as it is compared: compatibility forms, case, white space and punctuation do not count."""
    text = _plain(text)
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return " ".join(words(text.casefold()))


def _plain(text: str) -> str:
    """Typographic signs that part words, or stand inside them, as a typewriter has them."""
    if not text.isascii():
        for sign, plain in _TYPOGRAPHIC:
            text = text.replace(sign, plain)
    return text
