"""The best checkpoint of a run that is over → a complete adapter folder, whichever backend trained it.

In: the job and its checkpoints. Out: the files that adapter_folder.py lists, moved into place together.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from blogtwin import adapter_folder, atomic
from blogtwin.records import AdapterCard, Example
from blogtwin.training import curve
from blogtwin.training.base import TrainJob
from blogtwin.training.checkpoints import Checkpoints


def write(
    job: TrainJob, libraries: Sequence[str], max_length: int, examples: int, checkpoints: Checkpoints
) -> AdapterCard:
    """Make the adapter folder at `job.output` of the best checkpoint; returns its card. Raises OutputError."""
    log = checkpoints.log()
    card = _card(job, libraries, max_length, examples, log)
    adapter_folder.promote(_staged(job, checkpoints, log, card), job.output, card)
    return card


def versions(libraries: Sequence[str]) -> dict[str, str]:
    """What computed it: blogtwin's version and those of the libraries."""
    return {library: version(library) for library in ("blogtwin", *libraries)}


def _card(job: TrainJob, libraries: Sequence[str], max_length: int, examples: int, log: curve.Log) -> AdapterCard:
    best = curve.best_step(log)
    assert best is not None  # the schedule's last step is a validation
    return AdapterCard(
        base_model=job.base.name,
        base_path=job.base.source,
        base_revision=job.base.revision,
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
        versions=versions(libraries),
        parent=job.parent_hash,
        settings={name: value for name, value in asdict(job.settings).items() if isinstance(value, int | float)},
        rewriting=_rewriting(job),
    )


def _rewriting(job: TrainJob) -> str | None:
    """What most examples of rewriting were told to do; without any, what the adapter was told that this one goes on from."""
    told = Counter(one.instruction for one in job.train if isinstance(one, Example) and one.kind == "rewrite")
    if told:
        return told.most_common(1)[0][0]
    return adapter_folder.read_card(job.parent).rewriting if job.parent else None


def _staged(job: TrainJob, checkpoints: Checkpoints, log: curve.Log, card: AdapterCard) -> Path:
    """Everything the adapter folder needs, from the best checkpoint, in a folder of its own."""
    best = checkpoints.at(card.best_step)
    with atomic.open_folder(checkpoints.folder / "finished") as staged:
        shutil.copyfile(best / adapter_folder.WEIGHTS, staged / adapter_folder.WEIGHTS)
        _write_peft_config(best, staged, card)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            if (job.base.folder / name).is_file():
                shutil.copyfile(job.base.folder / name, staged / name)
        (staged / "chat_template.jinja").write_text(job.base.template.jinja, "utf-8")
        curve.write_log(staged / "training_log.jsonl", log)
        curve.draw(staged / "loss.png", log, card.method)
        (staged / "README.md").write_text(_readme(card, log, job), "utf-8")
        if job.base.source == adapter_folder.OWN_BASE:
            shutil.copytree(job.base.folder, staged / adapter_folder.OWN_BASE)
    return checkpoints.folder / "finished"


def _write_peft_config(best: Path, staged: Path, card: AdapterCard) -> None:
    """PEFT's own file, with the base as the card names it, and its sets in one order, so that equal runs write equal bytes."""
    config = json.loads((best / "adapter_config.json").read_text("utf-8"))
    config["base_model_name_or_path"] = card.base_path
    config["target_modules"] = sorted(config["target_modules"])
    (staged / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")


def _readme(card: AdapterCard, log: curve.Log, job: TrainJob) -> str:
    first = curve.validations(log).get(0)
    was = f", from {first:.3f} {'before' if card.parent else 'for the base alone'}" if first is not None else ""
    unit = "nats a token" if card.method == "sft" else f"({card.method})"
    learned = {
        "sft": f"{card.examples} examples of one author's posts",
        "dpo": f"{card.examples} pairs of answers, one of which a reader preferred",
        "kto": f"{card.examples} answers that a reader rated",
    }[card.method]
    again = f"- {job.replayed} examples of the author's posts were mixed in.\n" if job.replayed else ""
    went_on = f"- It went on from the adapter whose weights have the SHA-256 {card.parent}.\n" if card.parent else ""
    return (
        f"# A twin of {card.base_model}\n\n"
        f"A LoRA adapter (PEFT) that blogtwin trained on {learned}. It answers in the author's voice, and it is as "
        f"private as the posts it was made from.\n\n"
        f"- Loss on held-out answers: {card.best_loss:.3f} {unit}{was}; step {card.best_step} was kept.\n"
        f"{went_on}{again}"
        f"- System prompt: {card.system}\n"
        f"- Settings: {', '.join(f'{name} {value:g}' for name, value in card.settings.items())}.\n"
        f"- What it was made from, by hash: see twin.json. The course of the training: training_log.jsonl, loss.png.\n\n"
        "Serve it: `blogtwin deploy --model-path` and this folder.\n"
    )
