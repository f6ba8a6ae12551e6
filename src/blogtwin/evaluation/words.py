"""A text as the measures see it: its prose, its words, its sentences and its paragraphs.

In: Markdown. Out: lists of strings. Scripts that put no spaces between words (Chinese, Japanese, Thai and their
neighbours) are taken character by character, which is what stylometry does for them; Korean has spaces.
"""

from __future__ import annotations

import re

_UNSPACED = (
    "\u0e00-\u0eff"  # Thai and Lao
    "\u1000-\u109f\u1780-\u17ff"  # Burmese and Khmer
    "\u3040-\u30ff\u31f0-\u31ff"  # Hiragana and Katakana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
)
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+(?:['’][^\W_{_UNSPACED}]+)*")
_FENCED = re.compile(r"^ {0,3}(`{3,}|~{3,})[^\n]*\n.*?(?:^ {0,3}\1[`~]*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:(?<=\n\n)|\A)(?:(?: {4}|\t)[^\n]*\n?)+")
_LINK = re.compile(r"!?\[([^\]\n]*)\](?:\([^)\n]*\)|\[[^\]\n]*\])")
_DEFINITION = re.compile(r"^ {0,3}\[[^\]^\n][^\]\n]*\]:[ \t]+\S[^\n]*$", re.MULTILINE)
_ADDRESS = re.compile(r"<?\b(?:https?://|www\.)[^\s>)\]]+>?")
_INLINE_CODE = re.compile(r"(`+)[^`\n]+\1")
_TAG = re.compile(r"</?[a-zA-Z][^<>\n]*>")
# A full stop ends a sentence when a space follows it; the full-width marks end one on their own.
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’)\]*_]*\s+|(?<=[。！？])[」』）]*")
_TOKEN = re.compile(rf"{_WORD.pattern}|\n(?=\s*\n)|[^\w\s]")
_LEVEL = str.maketrans({"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'"})  # curly or straight is the editor's choice
SIGNS = CODE_BLOCK, CODE, LINK, PICTURE = (
    "\ue000",
    "\ue001",
    "\ue002",
    "\ue003",
)  # of private use: in no text, and no word
_NO_SIGNS = str.maketrans("", "", "".join(SIGNS))
_BLANK_LINE = re.compile(r"\n[ \t]*\n\s*")


def outline(text: str) -> str:
    """`text` without code, addresses and HTML tags: what nobody writes in a voice of their own. Markdown marks stay.

    Where a block of code, code, a link or a picture was stands one of `SIGNS`: how often one shows them is a habit.
    """
    text = text.translate(_NO_SIGNS)
    text = _FENCED.sub(f"\n{CODE_BLOCK}\n", text)
    text = _INDENTED.sub(f"{CODE_BLOCK}\n", text)
    text = _DEFINITION.sub("", text)
    text = _LINK.sub(lambda link: (PICTURE if link[0].startswith("!") else LINK) + link[1], text)
    text = _ADDRESS.sub(LINK, text)
    text = _INLINE_CODE.sub(CODE, text)
    return _TAG.sub("", text).strip()


def prose(text: str) -> str:
    """`outline` without its signs: words, punctuation and Markdown marks."""
    return outline(text).translate(_NO_SIGNS).strip()


def unsigned(text: str) -> str:
    """An outline without its signs."""
    return text.translate(_NO_SIGNS)


def words(text: str) -> list[str]:
    """The words of `text` in lower case, punctuation left out and ’ written as '."""
    return [word.lower().replace("’", "'") for word in _WORD.findall(text)]


def level(text: str) -> str:
    """`text` with straight quotation marks for typographic ones, of the same length."""
    return text.translate(_LEVEL)


def tokens(text: str) -> list[str]:
    """Words in lower case, each mark by itself, and a line feed where a paragraph ends."""
    return [one.lower() for one in _TOKEN.findall(level(text))]


def cut(text: str, length: int) -> str:
    """The beginning of `text` up to and with its word number `length`; all of it when it is shorter."""
    for number, found in enumerate(_WORD.finditer(text), start=1):
        if number > length:
            return text[: found.start()].rstrip()
    return text


def unspaced(text: str) -> bool:
    """Whether most words of `text` are single characters of a script without spaces."""
    found = _WORD.findall(text)
    return 2 * sum(re.match(f"[{_UNSPACED}]", word) is not None for word in found) > len(found)


def sentences(text: str) -> list[str]:
    """The sentences of `text`; a paragraph, a heading and a list item end one as well."""
    lines = (part for paragraph in paragraphs(text) for part in re.split(r"\n(?=\s*(?:[-*+#>]|\d+[.)]))", paragraph))
    return [one for line in lines for one in _SENTENCE_END.split(line) if _WORD.search(one)]


def paragraphs(text: str) -> list[str]:
    """The blocks of `text` between blank lines that have words."""
    return [one for one in _BLANK_LINE.split(text) if _WORD.search(one)]
