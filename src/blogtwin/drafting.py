"""A topic → drafts by the twin in service, streamed as they are written.

In: a deployed name, a topic, a length. Out: one iterator of pieces a draft; what becomes of them is the caller's affair.
"""

from __future__ import annotations

from collections.abc import Iterator

from blogtwin.config import Settings
from blogtwin.dataset import prompts
from blogtwin.errors import InputError
from blogtwin.runtimes.choose import choose
from blogtwin.workspace import deployment
from blogtwin.writing.draft import request


def drafts(
    settings: Settings, topic: str, length: int | None, options: int, seed: int | None = None
) -> Iterator[Iterator[str]]:
    """`options` drafts of about `length` words (None: as long as the twin likes) by `settings.deployment.model_name`.

    Each draft is an iterator of pieces; closing it stops the generation. seed: of the first draft, for the same words again.
    Raises InputError for a name that was never deployed, UsageError for a topic or length that cannot be, RuntimeUnavailable.
    """
    twin = deployment(settings.deployment.model_name)
    runtime = choose(twin.runtime, settings.deployment.ollama_base_url, settings.machine.threads)
    if twin.name not in runtime.names():
        raise InputError(
            f"{twin.name} was deployed, but {runtime.name} does not have it any more",
            f"deploy it again: blogtwin deploy --model-path {twin.adapter} --model-name {twin.name}",
        )
    wordings = prompts.load(prompts.file(settings.data)).by_task["topic"]
    asked = request(topic, length, options, wordings, twin.artifact.sampling, twin.artifact.context_length, seed)
    for sampling in asked.samplings:
        yield runtime.chat(twin.name, asked.messages, sampling)
