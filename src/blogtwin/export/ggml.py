"""Numbers in ggml's formats: what stands in a GGUF, computed by the very code that will read it.

In: float32 rows, or bytes of a checkpoint. Out: bytes in a format of GGUF, or float32. The wheel of the embedded llama.cpp
carries ggml's own conversions; where they cannot be reached (a build that hides them) numpy does the plain ones, more slowly.
"""

from __future__ import annotations

import ctypes
import importlib.util
from functools import cache
from typing import Any

import numpy as np

from blogtwin.errors import ModelError
from blogtwin.records import Quantization

# The format of most matrices, for each name that llama.cpp has for a mix of formats.
MOST: dict[Quantization, str] = {
    "f32": "F32",
    "f16": "F16",
    "bf16": "BF16",
    "q8_0": "Q8_0",
    "q6_k": "Q6_K",
    "q5_k_m": "Q5_K",
    "q4_k_m": "Q4_K",
}
_SMALLER_BLOCKS = {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}  # for rows that blocks of 256 do not divide
_BY_NUMPY = ("F32", "F16", "BF16", "Q8_0")


def matrix_format(quantization: Quantization, name: str, columns: int, layer: int, layers: int, tied: bool) -> str:
    """The format of the matrix `name` (as GGUF names it), by llama.cpp's own rule for this mix (llama-quant.cpp).

    layer: of `layers`, which the K mixes give more bits at both ends, and at every third between. tied: the embedding also
    makes the logits.
    """
    kind = MOST[quantization]
    if kind.endswith("_K"):
        ends = layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2
        careful = name.endswith(("attn_v.weight", "ffn_down.weight")) and ends and quantization.endswith("_m")
        if careful or name == "output.weight" or (tied and name == "token_embd.weight"):
            kind = "Q6_K"
        if columns % 256:
            kind = _SMALLER_BLOCKS[kind]
    return "F16" if kind.startswith("Q") and columns % 32 else kind


def unavailable(quantization: Quantization) -> str | None:
    """Why this machine cannot compute it, or None when it can."""
    if MOST[quantization] in _BY_NUMPY or _library() is not None:
        return None
    return f"{quantization} needs llama.cpp's own arithmetic, which this build of xllamacpp does not give out"


def encode(rows: np.ndarray, kind: str) -> np.ndarray:
    """float32 numbers, shape (rows, columns) → their bytes in the format `kind`. Raises ModelError for one not to be had."""
    import gguf

    rows = np.ascontiguousarray(rows, dtype=np.float32)
    if kind == "F32":
        return rows.reshape(-1).view(np.uint8)
    library = _library()
    if library is None:
        return _by_numpy(rows, kind)
    block, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]]
    into = np.empty(rows.size // block * size, np.uint8)
    if kind in ("F16", "BF16"):
        convert = library.ggml_cpu_fp32_to_fp16 if kind == "F16" else library.ggml_cpu_fp32_to_bf16
        convert(rows.ctypes.data, into.ctypes.data, rows.size)
    else:
        columns = rows.shape[-1]
        number = gguf.GGMLQuantizationType[kind].value
        library.ggml_quantize_chunk(number, rows.ctypes.data, into.ctypes.data, 0, rows.size // columns, columns, None)
    return into


def decode(raw: np.ndarray, kind: str) -> np.ndarray:
    """The bytes of F32, F16 or BF16 numbers → float32, shape (n,)."""
    if kind == "F32":
        return raw.view(np.float32)
    library = _library()
    if library is None:
        if kind == "F16":
            return raw.view(np.float16).astype(np.float32)
        return (raw.view(np.uint16).astype(np.uint32) << np.uint32(16)).view(np.float32)
    into = np.empty(raw.size // 2, np.float32)
    convert = library.ggml_cpu_fp16_to_fp32 if kind == "F16" else library.ggml_cpu_bf16_to_fp32
    convert(raw.ctypes.data, into.ctypes.data, into.size)
    return into


def _by_numpy(rows: np.ndarray, kind: str) -> np.ndarray:
    import gguf

    if kind not in _BY_NUMPY:
        raise ModelError(f"{kind} numbers cannot be computed on this machine", "deploy with: --quantize q8_0")
    if kind == "F16":
        return rows.astype(np.float16).reshape(-1).view(np.uint8)
    made: np.ndarray = gguf.quants.quantize(rows, gguf.GGMLQuantizationType[kind])
    return made.reshape(-1).view(np.uint8)


@cache
def _library() -> Any:
    """ggml inside xllamacpp, its functions declared; None where it hides them."""
    found = importlib.util.find_spec("xllamacpp")
    places = [] if found is None else found.submodule_search_locations or []
    pointer, count = ctypes.c_void_p, ctypes.c_int64
    for place in places:
        spec = importlib.machinery.PathFinder.find_spec("xllamacpp.xllamacpp", [place])
        if spec is None or spec.origin is None:
            continue
        try:
            library = ctypes.CDLL(spec.origin)
            for name in ("fp32_to_fp16", "fp32_to_bf16", "fp16_to_fp32", "bf16_to_fp32"):
                function = getattr(library, f"ggml_cpu_{name}")
                function.argtypes, function.restype = (pointer, pointer, count), None
            library.ggml_quantize_chunk.argtypes = (ctypes.c_int, pointer, pointer, count, count, count, pointer)
            library.ggml_quantize_chunk.restype = ctypes.c_size_t
        except (OSError, AttributeError):
            continue
        return library
    return None
