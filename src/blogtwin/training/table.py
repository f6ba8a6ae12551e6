"""The base models that blogtwin knows by name: their licences, and where each backend and Ollama find their weights."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KnownBase:
    """One row of the table. cpu, cuda, mlx: Hugging Face repositories of the same weights, unquantized, for each backend."""

    name: str
    parameters: float  # millions
    licence: str
    cpu: str
    cuda: str
    mlx: str
    ollama: str


TABLE = (
    KnownBase(
        "llama3.2:1b",
        1236,
        "Llama 3.2 Community License",
        "unsloth/Llama-3.2-1B-Instruct",
        "unsloth/Llama-3.2-1B-Instruct",
        "mlx-community/Llama-3.2-1B-Instruct-bf16",
        "llama3.2:1b",
    ),
    KnownBase(
        "llama3.2:3b",
        3213,
        "Llama 3.2 Community License",
        "unsloth/Llama-3.2-3B-Instruct",
        "unsloth/Llama-3.2-3B-Instruct",
        "mlx-community/Llama-3.2-3B-Instruct-bf16",
        "llama3.2:3b",
    ),
    KnownBase(
        "smollm2:135m",
        135,
        "Apache-2.0",
        "HuggingFaceTB/SmolLM2-135M-Instruct",
        "unsloth/SmolLM2-135M-Instruct",
        "mlx-community/SmolLM2-135M-Instruct",
        "smollm2:135m",
    ),
    KnownBase(
        "smollm2:360m",
        362,
        "Apache-2.0",
        "HuggingFaceTB/SmolLM2-360M-Instruct",
        "unsloth/SmolLM2-360M-Instruct",
        "mlx-community/SmolLM2-360M-Instruct",
        "smollm2:360m",
    ),
    KnownBase(
        "qwen3:0.6b",
        596,
        "Apache-2.0",
        "Qwen/Qwen3-0.6B",
        "unsloth/Qwen3-0.6B",
        "mlx-community/Qwen3-0.6B-bf16",
        "qwen3:0.6b",
    ),
)
KNOWN = {known.name: known for known in TABLE}


def known_base(base_model: str, base_path: str) -> KnownBase | None:
    """The row of a base, by the name the user gave or the repository it came from; None when the table has none."""
    by_name = KNOWN.get(base_model)
    return by_name or next((row for row in TABLE if base_path in (row.cpu, row.cuda, row.mlx)), None)
