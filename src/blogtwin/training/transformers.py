"""The backend that runs everywhere: transformers, peft and trl on the processor.

In: a TrainJob. Out: an adapter folder. The training itself is in sft.py, which loads the heavy libraries.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import asdict
from importlib.metadata import version
from importlib.util import find_spec
from math import exp
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blogtwin import atomic
from blogtwin.errors import NothingUsable
from blogtwin.manifest import hash_settings
from blogtwin.progress import Progress
from blogtwin.records import AdapterCard
from blogtwin.training import adapter, curve
from blogtwin.training.base import Trained, TrainJob
from blogtwin.training.checkpoints import Checkpoints
from blogtwin.training.hardware import Hardware
from blogtwin.training.precision import Precision
from blogtwin.training.rows import Row, Rows, tokenized
from blogtwin.training.schedule import MOST_VALIDATION_ROWS, Schedule
from blogtwin.training.threads import limited
from blogtwin.training.tokenizer import load

if TYPE_CHECKING:
    from blogtwin.training.sft import Speed

_LIBRARIES = ("torch", "transformers", "peft", "trl", "accelerate", "datasets")


class Transformers:
    """LoRA on the processor."""

    name = "transformers"

    def unavailable(self, hardware: Hardware) -> str | None:
        """Any processor serves; the libraries have to be there."""
        missing = [library for library in _LIBRARIES if find_spec(library) is None]
        return f"{', '.join(missing)} not installed: install blogtwin again, with its dependencies" if missing else None

    def train(self, job: TrainJob, progress: Progress) -> Trained:
        """As the protocol says."""
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        tokenizer = load(job.base.folder)
        max_length = min(job.settings.max_length, job.base.context_length)
        train, validation, notes = _rows(job, tokenizer, max_length)
        schedule = Schedule.plan(len(train), job.settings.batch_size, job.settings.epochs, job.settings.patience)
        precision = Precision.choose(job.base.parameters, job.hardware)
        for warning in _short_of_memory(job, precision):
            progress.note(warning)  # now, not after the night it may cost
        checkpoints = Checkpoints(adapter.work_folder(job.output), _fingerprint(job, schedule, precision))
        checkpoints.keep(set(checkpoints.sealed()))  # what a kill left half-written, and what another run left
        speed: Speed | None = None
        began = time.monotonic()
        if not schedule.is_over(_log(checkpoints)):
            speed = _run(job, tokenizer, train, validation, schedule, precision, checkpoints, progress)
        log = _log(checkpoints)
        card = _card(job, max_length, len(train), log)
        adapter.promote(_staged(job, checkpoints, log, card), job.output, card)
        shutil.rmtree(adapter.work_folder(job.output), ignore_errors=True)
        figures = _figures(log, len(train), time.monotonic() - began, speed)
        return Trained(card, figures, (*notes, *_verdict(log, schedule)))


def _run(
    job: TrainJob,
    tokenizer: Any,
    train: list[Row],
    validation: list[Row],
    schedule: Schedule,
    precision: Precision,
    checkpoints: Checkpoints,
    progress: Progress,
) -> Speed:
    with progress.task("Loading the training libraries"):
        from blogtwin.training import sft
    sealed = checkpoints.sealed()
    if sealed:
        progress.note(f"going on from step {sealed[-1]} of {schedule.steps}")
    try:
        with atomic.writing_to(job.output), limited(job.threads or (None if precision.frugal else 1)):
            checkpoints.folder.mkdir(parents=True, exist_ok=True)
            return sft.train(
                job.base, tokenizer, train, validation, job.settings, schedule, precision, checkpoints, progress
            )
    finally:
        checkpoints.keep(set(checkpoints.sealed()))  # an interrupted run leaves nothing half-written


def _rows(job: TrainJob, tokenizer: Any, max_length: int) -> tuple[list[Row], list[Row], list[str]]:
    """Training rows, validation rows and remarks. Raises NothingUsable when one side is empty."""
    sides: dict[str, Rows] = {
        name: tokenized(examples, tokenizer, job.base.template, job.settings.system_prompt, max_length)
        for name, examples in (("training", job.train), ("validation", job.validation))
    }
    notes = []
    if max_length < job.settings.max_length:
        notes.append(f"{job.base.name} reads at most {max_length} tokens, so max_length is {max_length} here")
    for name, side in sides.items():
        if not side.rows:
            raise NothingUsable(
                f"none of the {side.left_out} {name} examples fits into {max_length} tokens",
                "give the examples more room: --max-length 2048, or make shorter ones: blogtwin prepare-dataset",
            )
        if side.cut or side.left_out:
            notes.append(
                f"{name}: {side.cut} of {len(side.rows)} answers end early, at a sentence, to fit into {max_length} "
                f"tokens; {side.left_out} examples were left out because their prompt alone fills them"
            )
    validation = sides["validation"].rows
    step = max(1, -(-len(validation) // MOST_VALIDATION_ROWS))
    return sides["training"].rows, validation[::step], notes


def _short_of_memory(job: TrainJob, precision: Precision) -> list[str]:
    need = precision.memory_needed(job.base.parameters)
    if not precision.frugal or not job.hardware.memory or need < job.hardware.memory:
        return []
    return [
        f"training {job.base.name} takes about {need / 2**30:.0f} GiB of memory and this machine has "
        f"{job.hardware.memory / 2**30:.0f}: if it is killed, take a smaller base, such as smollm2:360m"
    ]


def _fingerprint(job: TrainJob, schedule: Schedule, precision: Precision) -> str:
    """A hash of everything that decides what this run computes: its checkpoints serve no other run."""
    return hash_settings(
        {
            "data": job.data_hash,
            "settings": asdict(job.settings),
            "base": job.base.fingerprint,
            "template": job.base.template.jinja,
            "schedule": [schedule.steps, schedule.warm_up, sorted(schedule.validations)],
            "precision": [precision.bf16, precision.frugal],
            "versions": _versions(),
        }
    )


def _versions() -> dict[str, str]:
    return {library: version(library) for library in ("blogtwin", *_LIBRARIES)}


def _log(checkpoints: Checkpoints) -> curve.Log:
    """The numbers of the run so far, as the last checkpoint has them."""
    sealed = checkpoints.sealed()
    if not sealed:
        return []
    state = json.loads((checkpoints.at(sealed[-1]) / "trainer_state.json").read_text("utf-8"))
    log: curve.Log = state["log_history"]
    return log


def _card(job: TrainJob, max_length: int, examples: int, log: curve.Log) -> AdapterCard:
    best = curve.best_step(log)
    assert best is not None  # the schedule's last step is a validation
    return AdapterCard(
        base_model=job.base.name,
        base_path=job.base.source,
        base_hash=job.base.fingerprint,
        method=job.settings.method,
        template=job.base.template.name,
        system=job.settings.system_prompt,
        max_length=max_length,
        data_hash=job.data_hash,
        settings_hash=job.settings_hash,
        examples=examples,
        best_step=best,
        best_loss=round(curve.validations(log)[best], 6),
        versions=_versions(),
    )


def _staged(job: TrainJob, checkpoints: Checkpoints, log: curve.Log, card: AdapterCard) -> Path:
    """Everything the adapter folder needs, from the best checkpoint, in a folder of its own."""
    best = checkpoints.at(card.best_step)
    with atomic.open_folder(checkpoints.folder / "finished") as staged:
        shutil.copyfile(best / adapter.WEIGHTS, staged / adapter.WEIGHTS)
        _write_peft_config(best, staged, card)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            if (job.base.folder / name).is_file():
                shutil.copyfile(job.base.folder / name, staged / name)
        (staged / "chat_template.jinja").write_text(job.base.template.jinja, "utf-8")
        curve.write_log(staged / "training_log.jsonl", log)
        curve.draw(staged / "loss.png", log)
        (staged / "README.md").write_text(_readme(card, log), "utf-8")
        if job.base.source == adapter.OWN_BASE:
            shutil.copytree(job.base.folder, staged / adapter.OWN_BASE)
    return checkpoints.folder / "finished"


def _write_peft_config(best: Path, staged: Path, card: AdapterCard) -> None:
    """PEFT's own file, with the base as the card names it, and its sets in one order, so that equal runs write equal bytes."""
    config = json.loads((best / "adapter_config.json").read_text("utf-8"))
    config["base_model_name_or_path"] = card.base_path
    config["target_modules"] = sorted(config["target_modules"])
    (staged / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")


def _readme(card: AdapterCard, log: curve.Log) -> str:
    base_loss = curve.validations(log).get(0)
    was = f", from {base_loss:.3f} for the base alone" if base_loss is not None else ""
    return (
        f"# A twin of {card.base_model}\n\n"
        f"A LoRA adapter (PEFT) that blogtwin trained on {card.examples} examples of one author's posts. It answers in "
        f"the author's voice, and it is as private as the posts it was made from.\n\n"
        f"- Loss on held-out answers: {card.best_loss:.3f} nats a token{was}; step {card.best_step} was kept.\n"
        f"- System prompt: {card.system}\n"
        f"- What it was made from, by hash: see twin.json. The course of the training: training_log.jsonl, loss.png.\n\n"
        "Serve it: `blogtwin deploy --model-path` and this folder.\n"
    )


def _figures(log: curve.Log, examples: int, seconds: float, speed: Speed | None) -> dict[str, float]:
    measured = curve.validations(log)
    losses = [entry["loss"] for entry in log if "loss" in entry]
    figures: dict[str, float] = {
        "examples": examples,
        "steps": max(int(entry["step"]) for entry in log),
        "best_step": curve.best_step(log) or 0,
        "loss": round(sum(losses[-10:]) / len(losses[-10:]), 4),
        "validation_loss": round(min(loss for step, loss in measured.items() if step), 4),
        "validation_perplexity": round(exp(min(loss for step, loss in measured.items() if step)), 2),
    }
    if 0 in measured:
        figures["base_validation_perplexity"] = round(exp(measured[0]), 2)
    if speed and speed.seconds:
        figures["tokens_per_second"] = round(speed.tokens / speed.seconds, 1)
    figures["seconds"] = round(seconds, 1)
    return figures


def _verdict(log: curve.Log, schedule: Schedule) -> list[str]:
    measured = curve.validations(log)
    best = curve.best_step(log) or 0
    last = max(measured)
    notes = []
    if last < schedule.steps:
        notes.append(f"stopped early at step {last} of {schedule.steps}: no better than at step {best}, which was kept")
    if measured[best] >= measured.get(0, float("inf")):
        notes.append("the twin predicts the held-out posts no better than its base: try more posts, or another --lr")
    return notes
