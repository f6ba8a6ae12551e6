"""The training's numbers: one JSON object a step, and a picture of the loss over the steps."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path

from blogtwin import atomic
from blogtwin.config import Method
from blogtwin.errors import ModelError

Log = Sequence[Mapping[str, float]]
_KEPT = ("step", "epoch", "loss", "eval_loss", "eval_accuracy", "eval_margin", "learning_rate", "grad_norm")


def validations(log: Log) -> dict[int, float]:
    """step → loss on the validation answers, nats a token; step 0 is the base alone."""
    return {int(entry["step"]): entry["eval_loss"] for entry in log if "eval_loss" in entry}


def best_step(log: Log) -> int | None:
    """The step with the lowest validation loss, the base's own aside; None before the first validation."""
    measured = {step: loss for step, loss in validations(log).items() if step > 0}
    return min(measured, key=lambda step: (measured[step], step)) if measured else None


def check(entry: Mapping[str, float], learning_rate: float) -> None:
    """Raises ModelError when a loss or gradient of this entry is no number: from there on every weight would be none.

    learning_rate: the peak rate, from which the error suggests a smaller one.
    """
    for name, what in (("loss", "loss"), ("grad_norm", "gradient"), ("eval_loss", "loss on the held-out answers")):
        value = entry.get(name, 0.0)
        if isfinite(value):
            continue
        if entry["step"] == 0:
            raise ModelError(
                f"before the first step the {what} is {value}: the base model's own weights are damaged or too large",
                "fetch or copy that model again, or choose another with --base-model",
            )
        rate = entry.get("learning_rate", learning_rate)
        raise ModelError(
            f"training diverged at step {entry['step']:g}: the {what} is {value} (learning rate {rate:.3g})",
            f"nothing was replaced, and the last good checkpoint is kept; try a smaller rate: --lr {learning_rate / 4:.2g}",
        )


def write_log(path: Path, log: Log) -> None:
    """One line an entry; figures that depend on the clock are left out, so that equal runs write equal bytes."""
    with atomic.open_text(path) as file:
        for entry in log:
            kept = {key: round(entry[key], 6) for key in _KEPT if key in entry}
            file.write(json.dumps(kept) + "\n")


def draw(path: Path, log: Log, method: Method = "sft") -> None:
    """A PNG of training and validation loss over the steps, the kept checkpoint marked."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    steps = [entry["step"] for entry in log if "loss" in entry]
    losses = [entry["loss"] for entry in log if "loss" in entry]
    measured = validations(log)
    best = best_step(log)
    figure = Figure(figsize=(7, 4), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.plot(steps, losses, color="#9bb7d4", linewidth=0.8, alpha=0.6)
    axes.plot(steps, _smoothed(losses), color="#2f6690", linewidth=1.6, label="training, smoothed")
    axes.plot(list(measured), list(measured.values()), color="#d1495b", marker="o", markersize=3.5, label="validation")
    if best is not None:
        axes.axvline(best, color="#d1495b", linewidth=0.8, linestyle=":")
        axes.annotate(
            f"kept: step {best}, {measured[best]:.3f}",
            (best, measured[best]),
            xytext=(-8, 14),
            textcoords="offset points",
            ha="right",
            color="#d1495b",
        )
    axes.set(
        xlabel="step",
        ylabel="loss (nats a token)" if method == "sft" else f"loss ({method})",
        title="How the twin learned",
    )
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    # Without the version of matplotlib in it, equal runs draw equal bytes.
    figure.savefig(path, metadata={"Software": None})


def _smoothed(values: Sequence[float], weight: float = 0.85) -> list[float]:
    """An exponential moving average, corrected for its start as in Adam (Kingma and Ba, 2015, arXiv:1412.6980, section 3)."""
    smooth, average = [], 0.0
    for count, value in enumerate(values, start=1):
        average = weight * average + (1 - weight) * value
        smooth.append(average / (1 - weight**count))
    return smooth
