"""The weights that a deployed file has to hold, read straight from the base and the adapter, a few rows at a time.

In: a base's safetensors and, where they are merged, a PEFT adapter folder. Out: rows as float32. What writes the file reads the
same folders in a way of its own (checkpoint.py, adapter.py); nothing of that is used here, so that no mistake is made twice.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blogtwin.base_hash import weight_files

if TYPE_CHECKING:
    import numpy as np

_MODULE = "base_model.model."


class Trained:
    """adapter: the PEFT folder whose change is added to the base's weights; None: the base alone."""

    def __init__(self, base: Path, adapter: Path | None) -> None:
        from safetensors import safe_open

        files: list[Any] = [safe_open(str(path), "pt") for path in weight_files(base)]
        self._of: dict[str, Any] = {name: file for file in files for name in file.keys()}  # noqa: SIM118 (no dict)
        self._lora = Lora(adapter) if adapter else None

    def names(self) -> list[str]:
        """Of every weight, as the base calls it."""
        return sorted(self._of)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._of[name].get_slice(name).get_shape())

    def rows(self, name: str, start: int, stop: int) -> np.ndarray:
        """Rows `start` to `stop` of a matrix, or numbers of a vector, with the adapter's change added."""
        found: np.ndarray = self._of[name].get_slice(name)[start:stop].float().numpy()
        change = self._lora.change(name, start, stop) if self._lora else None
        return found if change is None else found + change


class Lora:
    """The factors of a PEFT adapter folder."""

    def __init__(self, folder: Path) -> None:
        from safetensors.torch import load_file

        settings = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        rank = settings["r"]
        self.scale = float(settings["lora_alpha"] / (math.sqrt(rank) if settings.get("use_rslora") else rank))
        self.factors = {
            name.removeprefix(_MODULE): numbers.float().numpy()
            for name, numbers in load_file(folder / "adapter_model.safetensors").items()
        }

    def changed(self) -> list[str]:
        """The base's names of the weights that it changes."""
        ending = ".lora_A.weight"
        return sorted(name.removesuffix(ending) + ".weight" for name in self.factors if name.endswith(ending))

    def pair(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """A, shape (rank, inputs), and B, shape (outputs, rank), of a weight that it changes, by the base's name."""
        module = name.removesuffix(".weight")
        return self.factors[f"{module}.lora_A.weight"], self.factors[f"{module}.lora_B.weight"]

    def change(self, name: str, start: int, stop: int) -> np.ndarray | None:
        """(alpha / r)·B·A in these rows (Hu et al., 2021, arXiv:2106.09685, section 4.1); None: it is not changed."""
        if f"{name.removesuffix('.weight')}.lora_A.weight" not in self.factors:
            return None
        a, b = self.pair(name)
        change: np.ndarray = self.scale * (b[start:stop] @ a)
        return change
