"""An adapter → a GGUF LoRA: a few megabytes that llama.cpp and Ollama add to the base's own GGUF while they compute.

In: Changes (adapter.py). Out: one file in the layout that llama.cpp loads (src/llama-adapter.cpp): general.type `adapter`,
adapter.type `lora`, its alpha, and for each changed matrix a NAME.lora_a, shape (r, inputs), and a NAME.lora_b, shape
(outputs, r), in F16. Ollama advises against adapters that were trained on quantized weights (QLoRA), which fit those rounded
weights alone; ours are trained on 16-bit ones, and fit them and, as near as a merged twin, what is quantized from them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from blogtwin.errors import ModelError
from blogtwin.export.adapter import Changes
from blogtwin.export.checkpoint import read_json
from blogtwin.export.gguf import interleaved
from blogtwin.export.gguf_architectures import CHOOSE, architecture_of, head_dim
from blogtwin.export.gguf_file import writing
from blogtwin.export.merge import LARGEST

if TYPE_CHECKING:
    import numpy as np


def write_lora(changes: Changes, into: Path, name: str) -> Path:
    """Write the adapter as the file `into`, which appears whole or not at all. name: what the file calls itself.

    Raises ModelError (a weight that the base's GGUF does not have, or numbers that 16 bits cannot hold), InputError and
    OutputError.
    """
    import gguf

    config = read_json(changes.base / "config.json", "the base model's shape")
    architecture = architecture_of(config, changes.base)
    tensors = _tensors(changes, config)
    rank = next(iter(changes.factors.values()))[0].shape[0]
    with writing(into, architecture.name) as writer:
        writer.add_type(gguf.GGUFType.ADAPTER)
        writer.add_name(name)
        writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
        writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, changes.scale * rank)  # llama.cpp divides it by the rank
        for written, numbers in tensors.items():
            writer.add_tensor(written, numbers)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    return into


def _tensors(changes: Changes, config: dict[str, Any]) -> dict[str, np.ndarray]:
    """The factors by their names in the file, rows in the order that the base's GGUF has them in."""
    import gguf
    import numpy as np

    architecture = architecture_of(config, changes.base)
    kind = gguf.MODEL_ARCH[architecture.name.upper()]
    names = gguf.get_tensor_name_map(kind, int(config["num_hidden_layers"]))
    found: dict[str, np.ndarray] = {}
    for name, (a, b) in changes.factors.items():
        written = names.get_name(name, try_suffixes=(".weight",))
        if written is None:
            raise ModelError(f"{name} has no place in a GGUF of the {architecture.name} family", CHOOSE)
        if architecture.paired and name.endswith(("q_proj.weight", "k_proj.weight")):
            b = interleaved(b, head_dim(config))
        for part, numbers in (("a", a), ("b", b)):
            largest = float(np.abs(numbers).max())
            if not largest <= LARGEST:  # also true for a NaN
                raise ModelError(
                    f"the adapter's {name} reaches {largest:g}, which 16-bit numbers cannot hold",
                    "the training diverged: train again with a smaller --lr",
                )
            found[f"{written}.lora_{part}"] = numbers.astype(np.float16)
    return found
