"""Base and twin answer the same prompts: held-out titles of the author's, then the test prompts.

In: held-out examples, settings, a deployed twin. Out: questions, and two answers to each, by the same engine with the same
sampling. The base answers from a GGUF made for the purpose, under a name of its own that is gone afterwards.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from blogtwin import __version__, atomic, defaults
from blogtwin.adapter_folder import find_base
from blogtwin.chat_template import TEMPLATES
from blogtwin.config import EvaluationSettings, Settings
from blogtwin.errors import ConfigError, RuntimeUnavailable
from blogtwin.export.gguf import write_gguf
from blogtwin.manifest import hash_file
from blogtwin.progress import Progress
from blogtwin.records import AdapterCard, Deployment, Example, Sampling, content_id
from blogtwin.runtimes.base import Runtime
from blogtwin.runtimes.choose import choose
from blogtwin.stages.answers import Answers
from blogtwin.workspace import Workspace


@dataclass(frozen=True)
class Question:
    """One prompt; for a held-out title, the author's own post under it."""

    prompt: str
    post: str | None


def questions(held_out: Sequence[Example], settings: Settings) -> list[Question]:
    """Up to `samples` held-out titles, chosen by the seed, then the test prompts."""
    titles: dict[str, Example] = {}
    for example in held_out:
        if example.kind == "topic" and not example.input:
            titles.setdefault(example.post_id, example)
    evaluation = settings.evaluation
    order = sorted(titles, key=lambda post_id: content_id(post_id, str(evaluation.seed)))[: evaluation.samples]
    chosen = [Question(titles[post_id].instruction, titles[post_id].output) for post_id in order]
    asked = {question.prompt for question in chosen}
    return chosen + [Question(prompt, None) for prompt in _test_prompts(evaluation) if prompt not in asked]


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


def side_by_side(
    settings: Settings,
    workspace: Workspace,
    twin: Deployment,
    card: AdapterCard,
    asked: Sequence[Question],
    progress: Progress,
) -> tuple[list[str], list[str], Sampling]:
    """What base and twin say, by the same engine, with the same prompts, sampling and seeds."""
    runtime = choose(twin.runtime, settings.deployment.ollama_base_url, settings.machine.threads)
    evaluation = settings.evaluation
    sampling = twin.artifact.sampling.model_copy(update={"seed": evaluation.seed, "max_tokens": evaluation.max_tokens})
    prompts = [question.prompt for question in asked]
    answers = Answers.at(workspace.report.with_name(f".{workspace.report.stem}.answers.jsonl"))
    served = content_id(
        runtime.name, twin.artifact.system, twin.artifact.template, str(twin.artifact.context_length), __version__
    )

    def ask(model: str, label: str, name: str) -> list[str]:
        return answers.ask(
            model, label, prompts, sampling, lambda messages, options: runtime.chat(name, messages, options), progress
        )

    twin_answers = ask(f"{twin.artifact.weights()} {served}", "Answers of the twin", twin.name)
    base = f"{card.base_hash} {twin.artifact.quantization} {served}"
    if answers.missing(base, prompts, sampling):
        weights = find_base(Path(twin.adapter), card, settings.machine.offline, progress)
        with _base_in_service(runtime, twin, card, weights, workspace.report.parent / ".base-model", progress) as name:
            base_answers = ask(base, "Answers of its base", name)
    else:
        base_answers = ask(base, "Answers of its base", "")
    answers.keep_used()
    return base_answers, twin_answers, sampling


@contextlib.contextmanager
def _base_in_service(
    runtime: Runtime, twin: Deployment, card: AdapterCard, base: Path, folder: Path, progress: Progress
) -> Iterator[str]:
    """The base model under a name of its own, exported as the twin was; what a killed run left is removed first.

    base: its weights. folder: where its files stand while it is needed.
    """
    family = twin.name.partition(":")[0]
    for stale in runtime.names():
        if re.fullmatch(rf"{re.escape(family)}:base-[0-9a-f]{{8}}", stale):
            runtime.remove(stale)
    name = None
    try:
        source = _base_with_our_template(base, Path(twin.adapter), card, folder)
        gguf = write_gguf(source, folder / "base.gguf", twin.artifact.quantization, "base", progress)
        digest = hash_file(gguf)
        name = f"{family}:base-{digest[:8]}"
        base_alone = {"gguf": str(gguf.absolute()), "gguf_sha256": digest, "lora": None, "lora_sha256": None}
        artifact = twin.artifact.model_copy(update=base_alone)
        runtime.install(artifact, name, progress)
        yield name
    finally:
        if name:
            with contextlib.suppress(RuntimeUnavailable):  # what went wrong before is what the user has to hear
                runtime.remove(name)
        shutil.rmtree(folder, ignore_errors=True)


def _base_with_our_template(base: Path, adapter: Path, card: AdapterCard, into: Path) -> Path:
    """The base's weights with the tokenizer and the chat template that the twin was trained with."""
    wanted = {path.name: path for ending in ("json", "safetensors") for path in base.glob(f"*.{ending}")}
    wanted |= {path.name: path for path in adapter.glob("tokenizer*.json")}
    shutil.rmtree(into, ignore_errors=True)
    with atomic.writing_to(into):
        into.mkdir(parents=True)
        for name, path in wanted.items():
            try:
                (into / name).symlink_to(path.resolve())
            except OSError:  # Windows asks for a privilege
                shutil.copyfile(path, into / name)
        (into / "chat_template.jinja").write_text(TEMPLATES[card.template].jinja, encoding="utf-8", newline="\n")
    return into
