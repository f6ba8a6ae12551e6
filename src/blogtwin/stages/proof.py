"""The template proof: what the runtime shows the model is what training showed it, token for token.

In: a name in a runtime, the template and tokenizer of training. Out: how many prompts were proved, or a ProofFailed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from blogtwin.chat_template import ChatTemplate
from blogtwin.errors import ProofFailed
from blogtwin.evaluation.parity import first_difference
from blogtwin.progress import Progress
from blogtwin.records import Message, Role
from blogtwin.runtimes.base import Runtime, with_system


def _turns(*contents: str, system: str | None = None) -> tuple[Message, ...]:
    roles: tuple[Role, Role] = ("user", "assistant")
    turns = [Message(role=roles[number % 2], content=content) for number, content in enumerate(contents)]
    return (*([Message(role="system", content=system)] if system is not None else []), *turns)


CONVERSATIONS = {
    "one turn": _turns("Write a post about winter light."),
    "its own system prompt": _turns("Write a post about winter light.", system="Answer in one sentence."),
    "many turns": _turns("Suggest a title.", "Low Sun", "Shorter.", "Sun", "Now write the post."),
    "spaces and newlines at the edges": _turns("  A ", "\n B\n\n", "\tC\n"),
    "braces and quotes": _turns('{{ .Content }} {% if x %} """ \'q\' \\n `code` $HOME </s>', system="{{- .System }}"),
    "numbers and other scripts": _turns("1234567 3.14 l'été — don't WE'RE “quoted” 日本語 Ελληνικά 🙂  x\r\n\r\n\ty"),
}


def prove(runtime: Runtime, name: str, template: ChatTemplate, system: str, tokenizer: Path, progress: Progress) -> int:
    """Compare every conversation's prompt and its number of tokens; returns how many were equal.

    system: what training put first. tokenizer: the tokenizer.json of training.
    Raises ProofFailed that names the conversation and the first token that differs, with its neighbours.
    """
    from tokenizers import Tokenizer

    words = Tokenizer.from_file(str(tokenizer))
    with progress.task("Proving the chat template", len(CONVERSATIONS), "prompts") as task:
        for kind, messages in CONVERSATIONS.items():
            expected = template.prompt(with_system(messages, system))
            _same_text(runtime, name, kind, messages, expected, words)
            _same_count(runtime, name, kind, messages, len(_ids(words, expected)))
            task.advance()
    return len(CONVERSATIONS)


def _ids(tokenizer: object, text: str) -> list[int]:
    return list(tokenizer.encode(text, add_special_tokens=False).ids)  # type: ignore[attr-defined]


def _same_text(
    runtime: Runtime, name: str, kind: str, messages: Sequence[Message], expected: str, tokenizer: object
) -> None:
    found = runtime.render(name, messages)
    if found == expected:
        return

    def word(token: int) -> str:
        return str(tokenizer.decode([token], skip_special_tokens=False))  # type: ignore[attr-defined]

    difference = first_difference(_ids(tokenizer, expected), _ids(tokenizer, found), word)
    where = (
        f"at token {difference.position}: trained on {difference.expected}, shown {difference.found}"
        if difference
        else f"in characters that the tokenizer drops: trained on {expected!r}, shown {found!r}"
    )
    raise ProofFailed(f"{runtime.name} would show the twin another prompt ({kind}) than training did, {where}", _HINT)


def _same_count(runtime: Runtime, name: str, kind: str, messages: Sequence[Message], expected: int) -> None:
    found = runtime.prompt_tokens(name, messages)
    if found != expected:
        raise ProofFailed(
            f"{runtime.name} feeds {found} tokens for a prompt ({kind}) that had {expected} in training: "
            + ("a token is put in front twice" if found == expected + 1 else "it cuts the text in another way"),
            _HINT,
        )


_HINT = (
    "nothing was replaced: the earlier version answers as before; try the other runtime with --runtime, and report it"
)
