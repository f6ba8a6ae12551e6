"""Tokens as the bytes they stand for: how a runtime's answer, which is text, is laid against a model's tokens.

In: a tokenizer.json (byte-level BPE, or one with ▁ for spaces). Out: the bytes of a token, and tokens for a text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")


class Pieces:
    """The tokens of one tokenizer.json. path: that file."""

    def __init__(self, tokenizer: Path) -> None:
        from tokenizers import Tokenizer

        self.path = tokenizer
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        decoder = json.dumps(json.loads(tokenizer.read_text(encoding="utf-8")).get("decoder"))
        self._byte_level = '"ByteLevel"' in decoder
        self._added = self._tokenizer.get_added_tokens_decoder()

    def tokens(self, text: str) -> list[int]:
        """`text` cut as the tokenizer cuts it, with no token added."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def tokens_of_bytes(self, piece: bytes) -> list[int] | None:
        """Tokens for the rest of a text, which may begin in the middle of a character; None where no token holds its bytes."""
        start = next((place for place in range(len(piece)) if whole(piece[place:])), len(piece))
        single = [self._of_byte.get(byte) for byte in piece[:start]]
        return (
            None
            if None in single
            else [*(one for one in single if one is not None), *self.tokens(piece[start:].decode())]
        )

    def text(self, tokens: Sequence[int]) -> str:
        """What a runtime shows for these tokens; parts of characters are left out."""
        return b"".join(map(self.bytes, tokens)).decode(errors="ignore")

    def number(self, token: str) -> int | None:
        """The number of the token that is written so, or None."""
        found: int | None = self._tokenizer.token_to_id(token)
        return found

    def bytes(self, token: int) -> bytes:
        """What stands in an answer for `token`: nothing for a special one, and nothing for a number that is no token."""
        if token in self._added:
            added = self._added[token]
            return b"" if added.special else str(added.content).encode()
        written = self._tokenizer.id_to_token(token)
        if written is None:
            return b""
        if self._byte_level:
            return bytes(_BYTES[letter] for letter in written)
        byte = _BYTE.fullmatch(written)
        return bytes([int(byte[1], 16)]) if byte else str(written).replace("▁", " ").encode()

    @cached_property
    def _of_byte(self) -> dict[int, int]:
        singles = ((self.bytes(number), number) for number in range(self._tokenizer.get_vocab_size()))
        return {piece[0]: number for piece, number in singles if len(piece) == 1}

    @cached_property
    def partial(self) -> tuple[int, ...]:
        """Tokens that hold a part of a character: a runtime's text does not show them until the rest has come."""
        return tuple(number for number in range(self._tokenizer.get_vocab_size()) if not whole(self.bytes(number)))


def whole(piece: bytes) -> bool:
    """Whether these bytes are whole characters."""
    try:
        piece.decode()
    except UnicodeDecodeError:
        return False
    return True


def _byte_letters() -> dict[str, int]:
    """Byte-level BPE's letter for each byte: printable Latin-1 stands for itself, the others for U+0100 and up.

    Radford et al., 2019, Language Models are Unsupervised Multitask Learners, section 2.2; the order is that of their encoder.
    """
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}


_BYTES = _byte_letters()
