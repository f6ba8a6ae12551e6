"""What a twin is asked for a new post. In: a topic, a length in words, how many drafts. Out: messages and samplings.

The wordings are those of training, because a twin answers best what it was asked then; any runtime can take the result.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from blogtwin.errors import UsageError
from blogtwin.records import Message, Sampling

# English takes about 1.4 tokens a word in a vocabulary of 128,000 and 2 in a starter's; other scripts take more. What is
# left is for the ending: a post that runs over its length by a third is whole, one that is cut off is not.
_TOKENS_A_WORD = 3
_LEAST_TOKENS_A_WORD = 1.4
_QUESTION = 160  # tokens kept free for the system prompt and the question
_LARGEST_SEED = 2**31
_PLACEHOLDER = re.compile(r"\{(title|words)\}")


@dataclass(frozen=True)
class Request:
    """messages: the question, to which a runtime adds the twin's system prompt. samplings: one a draft."""

    messages: tuple[Message, ...]
    samplings: tuple[Sampling, ...]


def request(
    topic: str,
    length: int | None,
    drafts: int,
    wordings: Sequence[str],
    sampling: Sampling,
    context_length: int,
    seed: int | None = None,
) -> Request:
    """What to ask for `drafts` posts of about `length` words on `topic`, each with a seed of its own.

    wordings: the instructions of the kind `topic`, with {title} and {words}; the first that fits is taken. length: None
    leaves it to the twin. sampling, context_length: as the twin was deployed. seed: of the first draft; None: a new one.
    Raises UsageError for an empty topic, and for a length that the twin's context cannot hold.
    """
    topic = " ".join(topic.split())
    if not topic:
        raise UsageError("there is no topic to write about", 'name one: blogtwin write "what the tide left"')
    if drafts < 1:
        raise UsageError(f"{drafts} drafts cannot be written", "ask for one or more: --options 3")
    room = context_length - min(_QUESTION, context_length // 4)
    most = int(room / _LEAST_TOKENS_A_WORD)
    if length is not None and not 1 <= length <= most:
        raise UsageError(
            f"a post of {length} words cannot be written: this twin sees {context_length} tokens at once",
            f"ask for 1 to {most} words: --length {min(600, most)}",
        )
    tokens = room if length is None else min(room, length * _TOKENS_A_WORD)
    first = secrets.randbelow(_LARGEST_SEED) if seed is None else seed
    return Request(
        messages=(Message(role="user", content=instruction(topic, length, wordings)),),
        samplings=tuple(
            sampling.model_copy(update={"seed": (first + number) % _LARGEST_SEED, "max_tokens": tokens})
            for number in range(drafts)
        ),
    )


def instruction(topic: str, length: int | None, wordings: Sequence[str]) -> str:
    """The first wording that speaks of a length when there is one, and of none when there is none, filled in."""
    fitting = [wording for wording in wordings if ("{words}" in wording) == (length is not None)]
    plain = [wording for wording in wordings if "{words}" not in wording]
    chosen = (fitting or plain or ["{title}"])[0]
    values = {"title": topic, "words": str(length)}
    return _PLACEHOLDER.sub(lambda found: values[found[1]], chosen)
