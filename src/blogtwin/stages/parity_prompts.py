"""What the parity proof asks: held-out prompts, one of them as long as training ever saw, one whose answer is short.

In: the validation examples where there are any, else the test prompts. Out: Prompts, the two special ones first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from blogtwin.chat_template import ChatTemplate
from blogtwin.config import Settings
from blogtwin.evaluation.pieces import Pieces
from blogtwin.evaluation.words import cut, words
from blogtwin.records import AdapterCard, Example, Message, content_id
from blogtwin.runtimes.base import with_system
from blogtwin.stages.held_out import questions, spread
from blogtwin.training import examples as training_examples
from blogtwin.workspace import Workspace

_PROMPTS = 12
_TOKENS = 48  # of an answer
_TO_THE_END = 256  # tokens that the shortest answer may have
_LONG = 2048  # tokens; a longer prompt costs minutes on a processor


@dataclass(frozen=True)
class Prompt:
    """most: tokens that its answer may have. to_the_end: it is asked to see whether the answer stops."""

    messages: tuple[Message, ...]
    most: int = _TOKENS
    to_the_end: bool = False


def prompts(
    card: AdapterCard, settings: Settings, workspace: Workspace, pieces: Pieces, template: ChatTemplate
) -> list[Prompt]:
    """At most _PROMPTS prompts, of as many posts as can be, that fit into what the twin was trained with."""

    def length(messages: Sequence[Message]) -> int:
        return len(pieces.tokens(template.prompt(with_system(messages, card.system))))

    held_out = training_examples.read(workspace.validation) if workspace.validation.is_file() else []
    known = [(_asked(example), example.output) for example in _from_many_posts(held_out)]
    known += [((Message(role="user", content=one.prompt),), "") for one in questions([], settings.evaluation)]
    room = min(card.max_length, _LONG) - _TOKENS
    # Where nothing fits, the shortest one: a twin that was trained on very short texts has to be asked something too.
    fitting = [one for one in known if length(one[0]) <= room] or [min(known, key=lambda one: length(one[0]))]
    answered = [one for one in fitting if one[1]] or fitting[:1]
    short = min(answered, key=lambda one: len(one[1]))[0]
    plain = [Prompt(messages) for messages, _ in fitting if messages != short]
    long = _long(fitting[-1][0], [answer or messages[-1].content for messages, answer in known], room, length)
    end = Prompt(short, most=max(_TOKENS, min(_TO_THE_END, card.max_length - length(short))), to_the_end=True)
    return [*long, end, *plain][:_PROMPTS]


def _long(
    asked: tuple[Message, ...], texts: Sequence[str], room: int, length: Callable[[Sequence[Message]], int]
) -> list[Prompt]:
    """A conversation of nearly `room` tokens: positions far from the first are where a wrong rotary scaling shows."""
    text = "\n\n".join(texts)
    text = "\n\n".join([text] * (1 + room // max(1, len(words(text)))))
    many = room
    while many:
        before = (*asked, Message(role="assistant", content=cut(text, many).strip()))
        tokens = length((*before, *asked))
        if tokens <= room:
            return [Prompt((*before, *asked))]
        many = min(many - 1, many * room // tokens)
    return []


def _asked(example: Example) -> tuple[Message, ...]:
    """Without the system prompt, which the runtime puts first by itself."""
    return example.conversation("")[1:]


def _from_many_posts(examples: Sequence[Example]) -> list[Example]:
    """The examples in an order that their ids decide, the first of every post before the second of any."""
    return spread(sorted(examples, key=lambda one: content_id(one.id)), len(examples))
