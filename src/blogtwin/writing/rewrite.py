"""What a twin is asked to rewrite a text. In: a passage, the instruction, how the twin was deployed. Out: messages and samplings.

The question is that of an example of rewriting: the instruction and, below a blank line, the text.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from blogtwin.errors import UsageError
from blogtwin.records import Message, Sampling

QUESTION = 160  # tokens kept free for the system prompt and the instruction
_LARGEST_SEED = 2**31
_LEAST = 64  # tokens for a passage: less is a sentence or two
_OVER = 1.5  # a rewriting may be longer than its text by half


def budget(context_length: int) -> int:
    """How many tokens a passage may have, so that it and its rewriting fit. Raises UsageError for a context too small."""
    most = int((context_length - min(QUESTION, context_length // 4)) / (1 + _OVER))
    if most < _LEAST:
        raise UsageError(
            f"this twin sees {context_length} tokens at once, too few for a text and its rewriting",
            "deploy a twin of a larger base model: blogtwin finetune --help",
        )
    return most


def message(text: str, instruction: str) -> Message:
    """The question."""
    return Message(role="user", content=f"{instruction}\n\n{text}".strip())


def seeds(options: int, seed: int | None) -> list[int]:
    """The seed of each of `options` rewritings; the first is `seed`, None: a new one. Raises UsageError for none wanted."""
    if options < 1:
        raise UsageError(f"{options} rewritings cannot be made", "ask for one or more: --options 3")
    first = secrets.randbelow(_LARGEST_SEED) if seed is None else seed
    return [(first + number) % _LARGEST_SEED for number in range(options)]


def sampling_of(sampling: Sampling, seed: int, context_length: int, tokens: int) -> Sampling:
    """As the twin was deployed, with room for the rewriting of a passage of about so many tokens."""
    room = context_length - min(QUESTION, context_length // 4) - tokens
    return sampling.model_copy(update={"seed": seed, "max_tokens": max(_LEAST, room)})


def told(pieces: Iterator[str], otherwise: str) -> Iterator[str]:
    """An answer as it comes, without white space around it; where nothing comes, `otherwise`. Closing it closes `pieces`."""
    held = ""
    begun = False
    try:
        for piece in pieces:
            held += piece if begun else piece.lstrip()
            if text := held.rstrip():
                held = held[len(text) :]
                begun = True
                yield text
    finally:
        if close := getattr(pieces, "close", None):
            close()
    if not begun:
        yield otherwise
