"""A merged model → one GGUF file that llama.cpp and Ollama load.

In: a Hugging Face folder with safetensors, a byte-level BPE tokenizer and our chat template. Out: F16 or Q8_0 weights,
norms in F32, tokenizer and template inside. Streamed: memory stays far below the model's size.
"""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from blogtwin import atomic
from blogtwin.chat_template import template_for
from blogtwin.errors import ModelError
from blogtwin.export.checkpoint import Checkpoint, read_json
from blogtwin.export.vocabulary import Vocabulary, read_vocabulary
from blogtwin.progress import Progress

if TYPE_CHECKING:
    import numpy as np

Quantization = Literal["f16", "q8_0"]
_ARCHITECTURES = {"LlamaForCausalLM": "llama", "Qwen3ForCausalLM": "qwen3"}
_Q8_BLOCK = 32  # weights that share one scale in Q8_0


def write_gguf(model: Path, into: Path, quantization: Quantization, name: str, progress: Progress) -> Path:
    """Write the Hugging Face folder `model` as the file `into`, which appears whole or not at all.

    name: what the file calls itself. Raises ModelError (an architecture or tokenizer llama.cpp or we cannot serve),
    InputError (a file of the folder is missing) and OutputError (a full disk).
    """
    import gguf

    config = read_json(model / "config.json", "the model's shape")
    architecture = _architecture(model, config)
    weights = Checkpoint(model)
    vocabulary = read_vocabulary(model, weights.shapes["model.embed_tokens.weight"][0])
    logging.getLogger("gguf").setLevel(logging.WARNING)
    partial = into.with_name(f".{into.name}.partial")
    with atomic.writing_to(into):
        into.parent.mkdir(parents=True, exist_ok=True)
        writer = gguf.GGUFWriter(partial, architecture)
        try:
            _add_shape(writer, config, quantization, name)
            _add_vocabulary(writer, vocabulary, (model / "chat_template.jinja").read_text(encoding="utf-8"))
            _write_tensors(writer, _tensors(model, config, architecture, weights, quantization), progress)
            writer.close()
            partial.replace(into)
        finally:
            with contextlib.suppress(OSError):  # on a full disk the last bytes cannot be written here either
                writer.close()
            partial.unlink(missing_ok=True)
    return into


def rope_factors(config: dict[str, Any]) -> np.ndarray | None:
    """What each rotary frequency is divided by in a Llama 3.x model, shape (head_dim / 2,), or None without scaling.

    Frequencies with wavelengths above the trained context are divided by `factor`, short ones left, the middle blended
    (Llama 3.1 model card; transformers' rope type "llama3"). Raises ModelError for another kind of scaling.
    """
    import numpy as np

    rope = _rope(config)
    if rope["rope_type"] == "default":
        return None
    low, high, factor = (float(rope[key]) for key in ("low_freq_factor", "high_freq_factor", "factor"))
    context = float(rope["original_max_position_embeddings"])
    half = np.arange(0, _head_dim(config), 2, dtype=np.float32) / _head_dim(config)
    turns = context / (2 * math.pi * np.float32(rope["rope_theta"]) ** half)  # full turns within the trained context
    smooth = np.clip((turns - low) / (high - low), 0, 1)
    factors: np.ndarray = 1 / ((1 - smooth) / factor + smooth)
    return factors.astype(np.float32)


def _rope(config: dict[str, Any]) -> dict[str, Any]:
    """Theta and scaling, whether the configuration was written by transformers 5 or earlier."""
    rope = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    rope.setdefault("rope_theta", config.get("rope_theta", 10000.0))
    rope.setdefault("rope_type", rope.get("type", "default"))
    if rope["rope_type"] not in ("default", "llama3"):
        raise ModelError(f"the model scales its rotary positions by {rope['rope_type']!r}", _CHOOSE)
    return rope


def _head_dim(config: dict[str, Any]) -> int:
    return int(config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"])


def _architecture(model: Path, config: dict[str, Any]) -> str:
    named = (config.get("architectures") or ["none"])[0]
    if named not in _ARCHITECTURES:
        raise ModelError(f"{model}: the architecture {named} cannot be written as GGUF by blogtwin", _CHOOSE)
    if config.get("hidden_act") != "silu" or config.get("use_sliding_window"):
        raise ModelError(f"{model}: its activation or attention is not that of a plain {named}", _CHOOSE)
    return _ARCHITECTURES[named]


def _add_shape(writer: Any, config: dict[str, Any], quantization: Quantization, name: str) -> None:
    import gguf

    writer.add_type("model")
    writer.add_name(name)
    writer.add_quantized_by("blogtwin")
    file_type = gguf.LlamaFileType.MOSTLY_Q8_0 if quantization == "q8_0" else gguf.LlamaFileType.MOSTLY_F16
    writer.add_file_type(file_type)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config.get("num_key_value_heads") or config["num_attention_heads"])
    writer.add_key_length(_head_dim(config))
    writer.add_value_length(_head_dim(config))
    writer.add_rope_dimension_count(_head_dim(config))
    writer.add_rope_freq_base(float(_rope(config)["rope_theta"]))
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])


def _add_vocabulary(writer: Any, vocabulary: Vocabulary, jinja: str) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.types)
    writer.add_token_merges(vocabulary.merges)
    for kind, number in vocabulary.ids.items():
        getattr(writer, f"add_{kind}_token_id")(number)
    writer.add_eot_token_id(vocabulary.tokens.index(template_for(vocabulary.tokens).turn_end))
    writer.add_add_bos_token(
        False
    )  # our templates write it out: one more would be a prompt the twin was not trained on
    writer.add_chat_template(jinja)


Tensor = tuple[
    str, tuple[int, ...], Any, Iterator["np.ndarray"]
]  # name, shape, ggml type, rows as the type stores them


def _tensors(
    model: Path, config: dict[str, Any], architecture: str, weights: Checkpoint, quantization: Quantization
) -> Iterator[Tensor]:
    import gguf

    kind = gguf.GGMLQuantizationType
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[architecture.upper()], config["num_hidden_layers"])
    factors = rope_factors(config)
    if factors is not None:
        yield "rope_freqs.weight", factors.shape, kind.F32, iter([factors])
    for name, shape in weights.shapes.items():
        if name == "lm_head.weight" and config.get("tie_word_embeddings"):
            continue  # a stored copy of the embedding
        written = names.get_name(name, try_suffixes=(".weight",))
        if written is None:
            raise ModelError(f"{model}: {name} has no place in a GGUF of the {architecture} family", _CHOOSE)
        stored = kind.F32 if len(shape) == 1 else kind.F16
        if len(shape) == 2 and quantization == "q8_0" and shape[1] % _Q8_BLOCK == 0:
            stored = kind.Q8_0
        # llama.cpp pairs neighbouring rotary dimensions for Llama, and halves, as Hugging Face does, for Qwen.
        paired = architecture == "llama" and name.endswith(("q_proj.weight", "k_proj.weight"))
        yield written, shape, stored, _rows(weights, name, stored, _head_dim(config) if paired else 0)


def _rows(weights: Checkpoint, name: str, stored: Any, paired: int) -> Iterator[np.ndarray]:
    """One tensor's rows in the numbers of `stored`. paired: the head's dimensions, when rows have to be interleaved."""
    import gguf
    import numpy as np

    for _, block in weights.rows(name, max(1, paired)):
        rows = block.numpy()
        if paired:
            rows = rows.reshape(-1, 2, paired // 2, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)
        if stored == gguf.GGMLQuantizationType.Q8_0:
            yield gguf.quants.quantize(rows, stored)
        else:
            yield rows.astype(np.float32 if stored == gguf.GGMLQuantizationType.F32 else np.float16)


def _write_tensors(writer: Any, tensors: Iterator[Tensor], progress: Progress) -> None:
    import gguf
    import numpy as np

    listed = list(tensors)
    for name, shape, stored, _ in listed:
        block, size = gguf.GGML_QUANT_SIZES[stored]
        writer.add_tensor_info(name, shape, np.dtype(np.float32), prod(shape) // block * size, raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    (file,) = writer.fout
    writer.write_padding(file, file.tell())
    with progress.task("Writing GGUF", sum(prod(shape) for _, shape, _, _ in listed), "weights") as task:
        for _, shape, _, blocks in listed:
            start = file.tell()
            for block in blocks:
                file.write(block.tobytes())
            writer.write_padding(file, file.tell() - start)
            task.advance(prod(shape))


_CHOOSE = "choose a base of the Llama 3, SmolLM2 or Qwen3 family: blogtwin finetune --help lists them"
