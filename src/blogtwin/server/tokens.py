"""How many tokens a model saw and wrote, by its own tokenizer. In: a Part and its text. Out: two counts."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from blogtwin.chat_template import TEMPLATES
from blogtwin.runtimes.base import with_system
from blogtwin.server.generation import Part

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def counted(part: Part, text: str) -> tuple[int, int] | None:
    """Tokens of the prompt as the model saw it, and of the text; None where the model's tokenizer is not here."""
    speaker = part.speaker
    if speaker.adapter is None or speaker.template is None:
        return None
    file = speaker.adapter / "tokenizer.json"
    if not file.is_file():
        return None
    tokenizer = _tokenizer(file, file.stat().st_mtime_ns)
    prompt = TEMPLATES[speaker.template].prompt(with_system(part.messages, speaker.system))
    return tuple(len(tokenizer.encode(one, add_special_tokens=False).ids) for one in (prompt, text))  # type: ignore[return-value]


@lru_cache(maxsize=8)
def _tokenizer(file: Path, changed: int) -> Tokenizer:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(file))
