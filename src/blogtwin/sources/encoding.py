"""Bytes → text: UTF-8, UTF-16 and UTF-32 with a byte order mark, damaged UTF-8, and Windows-1252 as the last resort.

In: the bytes of one file. Out: its text, and a remark when the encoding had to be guessed or mended. Text that was
decoded wrongly long ago ("â€™") is left alone: some posts are about exactly that.
"""

from __future__ import annotations

import codecs
import re

_MARKS = (  # the longer marks first: UTF-32's begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BINARY_CONTROLS = bytes([*range(1, 9), *range(0x0E, 0x1B), *range(0x1C, 0x20)])
_HIGH = re.compile(rb"[\x80-\xff]")


class NotText(ValueError):
    """These bytes are no text that can be trusted; the message says why."""


def decode(data: bytes) -> tuple[str, str | None]:
    """The text of `data`, and what was guessed or mended in it (None: nothing). Raises NotText."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            return _with_mark(data, name)
    if b"\0" in data:
        raise NotText("holds NUL bytes: a binary file, or UTF-16 without its byte order mark")
    # Text has next to none; of compressed bytes, one in ten is a control character.
    if len(data) - len(data.translate(None, _BINARY_CONTROLS)) > max(4, len(data) / 50):
        raise NotText("is a binary file, not text")
    try:
        return data.decode("utf-8"), None
    except UnicodeDecodeError as fault:
        return _not_utf8(data, data.count(b"\n", 0, fault.start) + 1)


def _with_mark(data: bytes, name: str) -> tuple[str, str | None]:
    text = data.decode(name, "replace")
    if "\0" in text:
        raise NotText("holds NUL characters: a binary file, not text")
    try:
        data.decode(name)
    except UnicodeDecodeError:
        line = text.count("\n", 0, text.find("\ufffd")) + 1
        return text, f"line {line} holds bytes that are not {name.removesuffix('-sig').upper()}; they were replaced"
    return text, None


def _not_utf8(data: bytes, line: int) -> tuple[str, str]:
    mended = data.decode("utf-8", "replace")
    broken = mended.count("\ufffd")
    sound = sum(character > "\x7f" for character in mended) - broken
    if sound > broken:  # by chance, bytes of another encoding hardly ever make sound UTF-8 sequences
        return mended, f"line {line} holds bytes that are not UTF-8; they were replaced by \ufffd"
    # Western European text has one accented letter in ten at most; Cyrillic or Japanese in an old encoding has
    # them almost everywhere, and would become nonsense that the twin then learns to write.
    if len(_HIGH.findall(data)) > len(data) * 0.3:
        raise NotText(f"is neither UTF-8 nor Western European text (line {line}); convert it with: iconv -t UTF-8 -f …")
    try:
        return data.decode("cp1252"), f"is not UTF-8 (line {line}); it was read as Windows-1252"
    except UnicodeDecodeError:  # five byte values stand for nothing there
        return data.decode("latin-1"), f"is not UTF-8 (line {line}); it was read as Latin-1"
