"""What an evaluation knows of the author: held-out examples to be measured on, and the training posts that show the voice.

In: validation.jsonl, training_data.jsonl, prompts/test_prompts.txt. Out: a Material, and the questions that every side is asked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from blogtwin import defaults
from blogtwin.config import EvaluationSettings
from blogtwin.errors import ConfigError, InputError, NothingUsable
from blogtwin.records import Example, content_id
from blogtwin.training import examples as training_examples
from blogtwin.workspace import Workspace

_TITLE = re.compile(r"[“\"«「](.+?)[”\"»」]|\babout: (.+)$")
_HEADING = 8  # words by which a post without a title is called


@dataclass(frozen=True)
class Written:
    """A post that was trained on. instruction: what asks for it; title: as that says it, else its first words."""

    id: str
    title: str
    instruction: str
    text: str


@dataclass(frozen=True)
class Material:
    """held_out: examples, all of posts that were not trained on. training: the posts that were."""

    held_out: list[Example]
    training: list[Written]

    @property
    def posts(self) -> list[str]:
        """The texts of the training posts."""
        return [post.text for post in self.training]


@dataclass(frozen=True)
class Question:
    """One prompt; for a held-out title, the author's own post under it, and its id."""

    prompt: str
    post: str | None
    post_id: str | None = None


def read(workspace: Workspace) -> Material:
    """What is there to measure with. Raises InputError (a file that is missing or broken) and NothingUsable."""
    held_out = training_examples.read(workspace.validation)
    if not held_out:
        raise NothingUsable(
            f"{workspace.validation} holds no example to measure the twin on",
            "hold out more posts: blogtwin prepare-dataset --split 0.8, or name another file with --test-set",
        )
    if not workspace.training_data.is_file():
        raise InputError(
            f"{workspace.training_data} is not there: the author's voice is known from the posts in it",
            "put it beside the test set, or make both again with: blogtwin prepare-dataset",
        )
    held = {example.post_id for example in held_out}
    training = [one for one in training_examples.read(workspace.training_data) if one.post_id not in held]
    if not training:
        raise NothingUsable(
            f"{workspace.training_data} holds no post that is not in {workspace.validation} as well",
            "make both again with: blogtwin prepare-dataset",
        )
    return Material(held_out, _posts(training))


def questions(held_out: Sequence[Example], evaluation: EvaluationSettings) -> list[Question]:
    """Up to `samples` held-out titles, chosen by the seed, then the test prompts."""
    titles: dict[str, Example] = {}
    for example in held_out:
        if example.kind == "topic" and not example.input:
            titles.setdefault(example.post_id, example)
    order = sorted(titles, key=lambda post_id: content_id(post_id, str(evaluation.seed)))[: evaluation.samples]
    chosen = [Question(titles[post_id].instruction, titles[post_id].output, post_id) for post_id in order]
    asked = {question.prompt for question in chosen}
    return chosen + [Question(prompt, None) for prompt in _test_prompts(evaluation) if prompt not in asked]


def titles(asked: Sequence[Question]) -> list[Question]:
    """Those under which the author has a post; they are asked first."""
    return [question for question in asked if question.post is not None]


def posts(asked: Sequence[Question]) -> list[str]:
    """The author's own posts under these titles."""
    return [question.post for question in asked if question.post is not None]


def answers_a_title(asked: Sequence[Question], evaluation: EvaluationSettings) -> int:
    """How often each held-out title is answered, so that there are `samples` answers where there are fewer titles."""
    return max(1, evaluation.samples // max(1, len(titles(asked))))


def spread(examples: Sequence[Example], most: int) -> list[Example]:
    """At most `most` examples, from as many posts as can be: the first of each post, then the second, and so on."""
    seen: dict[str, int] = {}
    ranked = []
    for place, example in enumerate(examples):
        seen[example.post_id] = seen.get(example.post_id, 0) + 1
        ranked.append((seen[example.post_id], place))
    return [examples[place] for _, place in sorted(ranked)[:most]]


def _posts(examples: Sequence[Example]) -> list[Written]:
    """Each post once, though its text stands in several examples: the answers that are no part of a longer one."""
    by_post: dict[str, list[Example]] = {}
    for example in examples:
        by_post.setdefault(example.post_id, []).append(example)
    return [_written(post_id, of) for post_id, of in by_post.items()]


def _written(post_id: str, examples: Sequence[Example]) -> Written:
    text = "\n\n".join(_whole([example.output for example in examples]))
    asking = next((one.instruction for one in examples if one.kind == "topic" and not one.input), "")
    titles = (_TITLE.search(instruction) for instruction in (asking, *(one.instruction for one in examples)))
    first = " ".join(text.lstrip("# ").split()[:_HEADING])
    title = next((found[1] or found[2] for found in titles if found), first)
    return Written(post_id, title, asking or f"Write a blog post titled “{title}”.", text)


def _whole(outputs: Sequence[str]) -> list[str]:
    """Those that are part of no other, in their order."""
    kept: list[str] = []
    for output in sorted(dict.fromkeys(outputs), key=len, reverse=True):
        if not any(output in longer for longer in kept):
            kept.append(output)
    return [output for output in dict.fromkeys(outputs) if output in kept]


def _test_prompts(evaluation: EvaluationSettings) -> list[str]:
    path = evaluation.test_prompts_file
    if not path.is_file():
        if path != EvaluationSettings().test_prompts_file:
            raise ConfigError(f"{path} is not there", "check evaluation.test_prompts_file, or write one: blogtwin init")
        path = defaults.HERE / "test_prompts.txt"
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except UnicodeDecodeError as fault:
        raise ConfigError(f"{path} is not UTF-8: {fault.reason}", "save it as UTF-8") from fault
    return list(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
