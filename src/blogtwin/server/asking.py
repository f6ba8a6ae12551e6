"""A request → what the twin is asked, in the words of its training, and how it shall choose its own.

In: a request, the wordings, a speaker. Out: Asked.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from blogtwin.dataset.passages import Passage, passages
from blogtwin.dataset.prompts import Wordings
from blogtwin.errors import UsageError
from blogtwin.records import Message, Sampling
from blogtwin.server.schemas import GenerateRequest
from blogtwin.server.speakers import Speaker
from blogtwin.writing import rewrite
from blogtwin.writing.draft import instruction, request
from blogtwin.writing.style import Style

_SEEDS = 2**31
_HEADING = re.compile(r"^#{1,6}\s+(.+)$", re.MULTILINE)
_POINT = re.compile(r"^\s*(?:[-*+]|#{1,6}|\d{1,3}[.)])\s+\S")
_CHARACTERS = (
    3  # a token, at least: what is estimated to be too long for the context may just fit, never the other way round
)


@dataclass(frozen=True)
class Asked:
    """prompt: the last message. before: the turns above it that fit. samplings: one for each text.

    passages: of a text that is to be rewritten, each with `instruction`; `prompt` is then what the whole would be asked with.
    """

    prompt: str
    before: tuple[Message, ...]
    samplings: tuple[Sampling, ...]
    passages: tuple[Passage, ...] = ()
    instruction: str = ""

    @property
    def messages(self) -> tuple[Message, ...]:
        """The conversation, to which a runtime adds the twin's system prompt."""
        return (*self.before, Message(role="user", content=self.prompt))


def asked(wanted: GenerateRequest, wordings: Wordings, speaker: Speaker, seed: int | None = None) -> Asked:
    """What to ask for. seed: of the first text; None: a new one.

    Raises UsageError for an empty prompt, a length that the context cannot hold, and a voice that cannot be weakened.
    """
    if wanted.style.voice < 1 and speaker.fixed:
        raise UsageError(
            f"the voice of {speaker.version} cannot be weakened: {speaker.fixed}", "leave style.voice at 1"
        )
    if not wanted.prompt.strip():
        raise UsageError("there is nothing to write about", "send a prompt")
    if wanted.kind == "rewrite":
        return _rewriting(wanted, wordings, speaker, seed)
    first = secrets.randbelow(_SEEDS) if seed is None else seed
    sampling = speaker.sampling
    if wanted.temperature is not None:
        sampling = sampling.model_copy(update={"temperature": wanted.temperature})
    topics = wordings.by_task["topic"]
    title = " ".join(wanted.prompt.split())
    plain = request(title, wanted.style.length, wanted.options, topics, sampling, speaker.context, first)
    samplings = plain.samplings
    if wanted.max_tokens is not None:
        most = min(wanted.max_tokens, speaker.context)
        samplings = tuple(one.model_copy(update={"max_tokens": most}) for one in samplings)
    prompt = _prompt(wanted, wordings, speaker)
    return Asked(prompt, _fitting(wanted.before, speaker.context, len(prompt)), samplings)


def _rewriting(wanted: GenerateRequest, wordings: Wordings, speaker: Speaker, seed: int | None) -> Asked:
    """As `blogtwin rewrite` asks. The prompt beside a source is a wish; without one it is the text."""
    text = (wanted.source or wanted.prompt).strip()
    wish = wanted.prompt.strip() if wanted.source else ""
    told = speaker.rewriting or wordings.by_task["rewrite"][0]
    told = " ".join(filter(None, (told, wish, wanted.style.sentences(with_length=True))))
    changed: dict[str, object] = {"max_tokens": min(wanted.max_tokens or speaker.context, speaker.context)}
    changed |= {} if wanted.temperature is None else {"temperature": wanted.temperature}
    return Asked(
        prompt=rewrite.message(text, told).content,
        before=(),
        samplings=tuple(
            speaker.sampling.model_copy(update=changed | {"seed": one}) for one in rewrite.seeds(wanted.options, seed)
        ),
        passages=tuple(passages(text, rewrite.budget(speaker.context))),
        instruction=told,
    )


def _prompt(wanted: GenerateRequest, wordings: Wordings, speaker: Speaker) -> str:
    """The last message."""
    given, style, by_task = (wanted.source or "").strip(), wanted.style, wordings.by_task
    if wanted.kind == "chat":
        return _joined(wanted.prompt.strip(), style.sentences(with_length=True), given)
    if wanted.kind == "continue":
        text = given or wanted.prompt.strip()
        heading = _HEADING.search(text)
        title = wanted.prompt if given else heading[1] if heading else wanted.subject or text[:60]
        ask = instruction(" ".join(title.split()), None, by_task["ending"])
        return _joined(ask, style.sentences(with_length=True), text)
    outline = _is_outline(given)
    ask, counted = _worded(wanted.prompt, style, by_task["outline" if outline else "topic"])
    if given and not outline:
        ask = f"{ask} Use these notes:"
    return _joined(ask, style.sentences(with_length=not counted), given)


def _worded(prompt: str, style: Style, wordings: Sequence[str]) -> tuple[str, bool]:
    """The instruction, and whether it tells the length."""
    counted = style.length is not None and any("{words}" in one for one in wordings)
    return instruction(" ".join(prompt.split()), style.length, wordings), counted


def _joined(ask: str, style: str, given: str) -> str:
    """As examples have it: the instruction, and below a blank line what it is about."""
    return f"{ask} {style}".strip() + (f"\n\n{given}" if given else "")


def _is_outline(given: str) -> bool:
    """Points and headings alone, three or more: what the kind `outline` was trained on."""
    lines = [line for line in given.splitlines() if line.strip()]
    return len(lines) >= 3 and all(_POINT.match(line) for line in lines)


def _fitting(before: Sequence[Message], context: int, taken: int) -> tuple[Message, ...]:
    """The last turns that leave half of the context for the answer; a conversation begins with its user."""
    room = context * _CHARACTERS // 2 - taken
    kept: list[Message] = []
    for message in reversed(before):
        room -= len(message.content)
        if room < 0:
            break
        kept.insert(0, message)
    system = before[0] if before and before[0].role == "system" else None
    while kept and kept[0].role != "user":
        del kept[0]
    return (system, *kept) if system else tuple(kept)
