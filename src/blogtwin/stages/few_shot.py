"""The few-shot gate's prompts: three real posts in the conversation before the question, as whoever has no twin would ask.

In: prompts and the author's training posts. Out: for each prompt the turns that stand before it: the posts nearest to it in
topic, each as a question and its answer, cut so that all fit into the context and none costs a processor minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from blogtwin.evaluation.nearest import nearest
from blogtwin.evaluation.words import cut, sentences
from blogtwin.records import Message
from blogtwin.stages.held_out import Written

_LEAST = 30  # words of a post, below which it shows no voice

Length = Callable[[Sequence[Message]], int]  # a conversation → its tokens, system prompt included


@dataclass(frozen=True)
class Shown:
    """What stands before one prompt, and the titles of the posts; nothing where no post had room."""

    turns: tuple[Message, ...] = ()
    titles: tuple[str, ...] = ()


def shown(
    prompts: Sequence[str], posts: Sequence[Written], many: int, most: int, room: Sequence[int], length: Length
) -> list[Shown]:
    """The posts to show before each prompt.

    many: how many posts; most: words of each. room: for each prompt, tokens that posts and prompt may have together. The
    nearest post stands last, next to the question.
    """
    chosen = nearest(prompts, [post.text for post in posts], many)
    return [
        _fitted(prompt, [posts[number] for number in reversed(numbers)], most, tokens, length)
        for prompt, numbers, tokens in zip(prompts, chosen, room, strict=True)
    ]


def _fitted(prompt: str, posts: Sequence[Written], most: int, room: int, length: Length) -> Shown:
    question = Message(role="user", content=prompt)
    while posts and most >= _LEAST:
        turns = tuple(turn for post in posts for turn in _turns(post, most))
        tokens = length([*turns, question])
        if tokens <= room:
            return Shown(turns, tuple(post.title for post in posts))
        most = min(int(most * 0.9), most * room // tokens)
    return Shown()


def _turns(post: Written, most: int) -> tuple[Message, Message]:
    """A post as if it had been asked for. What is cut ends with a sentence: the base must not learn to stop in one."""
    text = cut(post.text, most)
    if text != post.text:
        begun = sentences(text)[-1]
        whole = text[: text.rindex(begun)].rstrip()
        text = whole if len(whole) * 2 > len(text) else text
    return Message(role="user", content=post.instruction), Message(role="assistant", content=text)
