"""The template proof: what the runtime shows the model is what training showed it, token for token, and it ends where it did.

In: a name in a runtime, the template and tokenizer of training. Out: how many prompts were proved, or a ProofFailed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from blogtwin.chat_template import TEMPLATES, ChatTemplate
from blogtwin.errors import ModelError, ProofFailed
from blogtwin.evaluation.parity import first_difference
from blogtwin.progress import Progress
from blogtwin.records import AdapterCard, Artifact, Message, Role, Sampling
from blogtwin.runtimes.base import Runtime, with_system

_ANSWER_TOKENS = 48
_OPENING = 40  # characters of a prompt that are shown


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
    """Compare every conversation's prompt and its number of tokens, and where an answer ends; returns how many were equal.

    system: what training put first. tokenizer: the tokenizer.json of training.
    Raises ProofFailed that names the conversation and the first token that differs, with its neighbours; the token that
    stands twice in front; or the marker at which answers do not end.
    """
    from tokenizers import Tokenizer

    words = Tokenizer.from_file(str(tokenizer))
    with progress.task("Proving the chat template", len(CONVERSATIONS), "prompts") as task:
        for kind, messages in CONVERSATIONS.items():
            expected = template.prompt(with_system(messages, system))
            _same_text(runtime, name, kind, messages, expected, words)
            _same_count(runtime, name, kind, messages, expected, len(_ids(words, expected)), template)
            task.advance()
    end = words.token_to_id(template.turn_end)
    if end is None or not runtime.ends_at(name, template.turn_end, end):
        raise ProofFailed(
            f"{runtime.name} does not end an answer at {template.turn_end} (token {end}), where every answer ended in training",
            _HINT,
        )
    return len(CONVERSATIONS)


def template_of(adapter: Path, card: AdapterCard) -> ChatTemplate:
    """The template that an adapter was trained with. Raises ModelError for one that this version cannot serve."""
    kept = adapter / "chat_template.jinja"
    template = TEMPLATES.get(card.template)
    if template is None or not kept.is_file() or kept.read_text(encoding="utf-8") != template.jinja:
        raise ModelError(
            f"{kept} is not the chat template {card.template!r} that this version of blogtwin can serve",
            "train again with: blogtwin finetune",
        )
    return template


def as_sent(runtime: Runtime, name: str, artifact: Artifact) -> None:
    """Raises ProofFailed, naming the field, when what is served as `name` is not the artifact that was sent."""
    difference = runtime.difference(name, artifact)
    if difference is not None:
        raise ProofFailed(f"{runtime.name} serves {name} otherwise than it was sent, in {difference}", _HINT)


def speaks(runtime: Runtime, name: str, sampling: Sampling, template: ChatTemplate) -> None:
    """Raises ProofFailed when the twin says nothing, or a marker of the conversation stands in what it says."""
    question = [Message(role="user", content="Write the first paragraph of a post about an ordinary day.")]
    for seed in range(3):  # a small model may end at once by chance, but not three times
        options = sampling.model_copy(update={"seed": seed, "max_tokens": _ANSWER_TOKENS})
        answer = "".join(runtime.chat(name, question, options))
        marker = next((stop for stop in template.stop if stop in answer), None)
        if marker:
            raise ProofFailed(f"the twin's answer has the marker {marker} in it: {answer[:80]!r}", _HINT)
        if answer.strip():
            return
    raise ProofFailed("the deployed twin answers nothing at all", "look at the loss curve, and train again")


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


def _same_count(
    runtime: Runtime,
    name: str,
    kind: str,
    messages: Sequence[Message],
    prompt: str,
    expected: int,
    template: ChatTemplate,
) -> None:
    found = runtime.prompt_tokens(name, messages)
    if found == expected:
        return
    reason = (
        f"a second ▸{template.bos or 'beginning of text'}◂ is put in front of {prompt[:_OPENING]!r}"
        if found == expected + 1
        else "it cuts the text in another way"
    )
    raise ProofFailed(
        f"{runtime.name} feeds {found} tokens for a prompt ({kind}) that had {expected} in training: {reason}", _HINT
    )


_HINT = (
    "nothing was replaced: the earlier version answers as before; try the other runtime with --runtime, and report it"
)
