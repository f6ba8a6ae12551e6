"""A topic → drafts, or a text → rewritings, by the twin in service, streamed as they are written.

In: a deployed name or a model at an endpoint, a topic, a length; or a text. Out: one iterator of pieces a draft; what becomes
of them is the caller's affair.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from blogtwin import adapter_folder
from blogtwin.chat_template import TEMPLATES
from blogtwin.config import DeploymentSettings, Settings
from blogtwin.dataset import prompts
from blogtwin.dataset.passages import Passage, passages
from blogtwin.dataset.sections import estimated_tokens
from blogtwin.errors import InputError, ModelError, UsageError
from blogtwin.records import Sampling
from blogtwin.runtimes.base import Runtime
from blogtwin.runtimes.choose import choose, endpoint
from blogtwin.runtimes.openai import OpenAI
from blogtwin.workspace import deployment, find_deployment
from blogtwin.writing import rewrite
from blogtwin.writing.draft import request

_CONTEXT = 4096  # tokens: what a model at an endpoint is taken to see at once, when nothing is known of it


def drafts(
    settings: Settings, topic: str, length: int | None, options: int, seed: int | None = None
) -> Iterator[Iterator[str]]:
    """`options` drafts of about `length` words (None: as long as the twin likes) by `settings.deployment.model_name`.

    Each draft is an iterator of pieces; closing it stops the generation. seed: of the first draft, for the same words again.
    Raises InputError for a name that was never deployed, UsageError for a topic or length that cannot be, RuntimeUnavailable.
    """
    runtime, name, sampling, context = _served(settings)
    wordings = prompts.load(prompts.file(settings.data)).by_task["topic"]
    asked = request(topic, length, options, wordings, sampling, context, seed)
    for one in asked.samplings:
        yield runtime.chat(name, asked.messages, one)


def rewrites(
    settings: Settings, text: str, options: int, seed: int | None = None, instruction: str | None = None
) -> Iterator[Iterator[str]]:
    """`options` rewritings of a Markdown text; a long one is rewritten passage by passage, its code and tables left alone.

    instruction: what the twin is told to do; None: what it was trained with, or as prompts/instructions.yaml has it.
    Each rewriting is an iterator of pieces; closing it stops the generation. Raises as `drafts`, and UsageError for an empty
    text.
    """
    if not text.strip():
        raise UsageError("there is nothing to rewrite: the text is empty", "name a file with words in it")
    runtime, name, sampling, context = _served(settings)
    told = (
        (instruction or "").strip()
        or _trained_to(settings)
        or prompts.load(prompts.file(settings.data)).by_task["rewrite"][0]
    )
    parts = passages(text, rewrite.budget(context))
    for number in rewrite.seeds(options, seed):
        yield _rewritten(runtime, name, parts, told, sampling, context, number)


def _rewritten(
    runtime: Runtime, name: str, parts: Sequence[Passage], told: str, sampling: Sampling, context: int, seed: int
) -> Iterator[str]:
    for place, part in enumerate(parts):
        if place:
            yield "\n\n"
        if not part.rewritten:
            yield part.text
            continue
        chosen = rewrite.sampling_of(sampling, seed, context, estimated_tokens(part.text))
        yield from rewrite.told(runtime.chat(name, (rewrite.message(part.text, told),), chosen), part.text)


def _trained_to(settings: Settings) -> str | None:
    """What the twin was told to do in training, where it learned rewriting and its adapter is still there."""
    with contextlib.suppress(UsageError, ModelError):
        twin = find_deployment(settings.deployment.model_name)
        return adapter_folder.read_card(Path(twin.adapter)).rewriting if twin else None
    return None


def remark(settings: Settings) -> str | None:
    """What a writer should know of where the twin is served: settings that an endpoint cannot be told."""
    if settings.deployment.runtime != "openai":
        return None
    runtime, name, sampling, _ = _endpoint(settings.deployment, settings.training.system_prompt)
    left_out = ", ".join(runtime.left_out(name, sampling))
    return (
        f"{runtime.base_url} is not told {left_out}, which it may not know; its own settings hold" if left_out else None
    )


def _served(settings: Settings) -> tuple[Runtime, str, Sampling, int]:
    """Where the twin answers, its name there, how it was deployed to choose words, and the tokens it sees at once."""
    if settings.deployment.runtime == "openai":
        return _endpoint(settings.deployment, settings.training.system_prompt)
    twin = deployment(settings.deployment.model_name)
    runtime = choose(twin.runtime, settings.deployment.ollama_base_url, settings.machine.threads)
    if twin.name not in runtime.names():
        raise InputError(
            f"{twin.name} was deployed, but {runtime.name} does not have it any more",
            f"deploy it again: blogtwin deploy --model-path {twin.adapter} --model-name {twin.name}",
        )
    return runtime, twin.name, twin.artifact.sampling, twin.artifact.context_length


def _endpoint(chosen: DeploymentSettings, system: str) -> tuple[OpenAI, str, Sampling, int]:
    """As the twin of that name was deployed here, if it was; else as the settings say."""
    try:
        twin = find_deployment(chosen.model_name)
    except UsageError:  # a name that the endpoint may have, and no twin
        twin = None
    if twin:
        stop = TEMPLATES[twin.artifact.template].stop
        runtime = endpoint(chosen.openai_base_url, twin.artifact.system, stop)
        return runtime, chosen.model_name, twin.artifact.sampling, twin.artifact.context_length
    return endpoint(chosen.openai_base_url, system), chosen.model_name, Sampling.chosen(chosen), _CONTEXT
