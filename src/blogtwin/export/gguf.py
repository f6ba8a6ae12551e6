"""A model → one GGUF file that llama.cpp and Ollama load.

In: a Model (a Hugging Face folder, or a base and an adapter that are merged as they are read). Out: matrices in the format
asked for, norms in F32, tokenizer, template and provenance inside. Streamed: memory stays far below the model's size.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blogtwin.chat_template import template_for
from blogtwin.errors import ModelError
from blogtwin.export.checkpoint import Weights, blocks, in_order
from blogtwin.export.ggml import encode, matrix_format, unavailable
from blogtwin.export.gguf_architectures import (
    CHOOSE,
    Architecture,
    Config,
    architecture_of,
    head_dim,
    rope,
    rope_factors,
)
from blogtwin.export.gguf_file import writing
from blogtwin.export.model import Model, Provenance, read_model
from blogtwin.export.vocabulary import Vocabulary, read_vocabulary
from blogtwin.progress import Progress
from blogtwin.records import Quantization

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class _Tensor:
    """One tensor of the file: its name there, shape and format, and the pieces that compute its bytes, top to bottom."""

    name: str
    shape: tuple[int, ...]
    kind: str
    pieces: tuple[Callable[[], np.ndarray], ...]


def write_gguf(folder: Path, into: Path, quantization: Quantization, name: str, progress: Progress) -> Path:
    """Write the Hugging Face folder as the file `into`: see write_model. name: what the file calls itself."""
    return write_model(read_model(folder), into, quantization, Provenance(name), progress)


def write_model(model: Model, into: Path, quantization: Quantization, about: Provenance, progress: Progress) -> Path:
    """Write `model` as the file `into`, which appears whole or not at all.

    Raises ModelError (an architecture, tokenizer or format llama.cpp or we cannot serve), InputError (a file is missing)
    and OutputError (a full disk).
    """

    architecture = architecture_of(model.config, model.folder)
    if reason := unavailable(quantization):
        raise ModelError(reason, "deploy with: --quantize q8_0")
    vocabulary = read_vocabulary(model.tokenizer, model.weights.shapes["model.embed_tokens.weight"][0])
    tensors = list(_tensors(model, architecture, quantization))
    with writing(into, architecture.name) as writer:
        _add_provenance(writer, about, quantization)
        _add_shape(writer, model.config)
        architecture.tell(writer, model.config)
        _add_vocabulary(writer, vocabulary, model.jinja)
        _write_tensors(writer, tensors, progress)
    return into


def _add_provenance(writer: Any, about: Provenance, quantization: Quantization) -> None:
    import gguf

    writer.add_type("model")
    writer.add_name(about.name)
    for value, add in (
        (about.author, writer.add_author),
        (about.description, writer.add_description),
        (about.licence, writer.add_license),
    ):
        if value is not None:
            add(value)
    if about.base_model is not None:
        writer.add_base_model_count(1)
        writer.add_base_model_name(0, about.base_model)
    if about.base_repository is not None:
        writer.add_base_model_organization(0, about.base_repository.partition("/")[0])
    if about.data_hash is not None:
        writer.add_dataset_count(1)
        writer.add_dataset_name(0, "the author's own posts")
        writer.add_dataset_version(0, about.data_hash)
    writer.add_quantized_by("blogtwin")
    kind = "ALL_F32" if quantization == "f32" else f"MOSTLY_{quantization.upper()}"
    writer.add_file_type(gguf.LlamaFileType[kind])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def _add_shape(writer: Any, config: Config) -> None:
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config.get("num_key_value_heads") or config["num_attention_heads"])
    writer.add_key_length(head_dim(config))
    writer.add_value_length(head_dim(config))
    writer.add_rope_dimension_count(head_dim(config))
    writer.add_rope_freq_base(float(rope(config)["rope_theta"]))
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])


def _add_vocabulary(writer: Any, vocabulary: Vocabulary, jinja: str) -> None:
    writer.add_tokenizer_model(vocabulary.model)
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.types)
    if vocabulary.scores is not None:
        writer.add_token_scores(vocabulary.scores)
        writer.add_add_space_prefix(vocabulary.space_first)
    if vocabulary.merges is not None:
        writer.add_token_merges(vocabulary.merges)
    for kind, number in vocabulary.ids.items():
        getattr(writer, f"add_{kind}_token_id")(number)
    writer.add_eot_token_id(vocabulary.tokens.index(template_for(vocabulary.tokens).turn_end))
    # Our templates write the first token out: one more would be a prompt that the twin was not trained on.
    writer.add_add_bos_token(False)
    writer.add_chat_template(jinja)


def _tensors(model: Model, architecture: Architecture, quantization: Quantization) -> Iterator[_Tensor]:
    import gguf

    config, shapes = model.config, model.weights.shapes
    layers, tied = int(config["num_hidden_layers"]), "lm_head.weight" not in shapes or _tied(config)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[architecture.name.upper()], layers)
    factors = rope_factors(config)
    if factors is not None:
        yield _Tensor("rope_freqs.weight", factors.shape, "F32", (partial(encode, factors, "F32"),))
    for name, shape in shapes.items():
        if name == "lm_head.weight" and tied:
            continue  # a stored copy of the embedding
        written = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if written is None:
            raise ModelError(f"{model.folder}: {name} has no place in a GGUF of the {architecture.name} family", CHOOSE)
        layer = int(written.split(".")[1]) if written.startswith("blk.") else 0
        matrix = len(shape) > 1
        kind = matrix_format(quantization, written, shape[1], layer, layers, tied) if matrix else "F32"
        turned = architecture.paired and (".q_proj." in name or ".k_proj." in name)
        paired = head_dim(config) if turned else 0
        offset = architecture.norm_offset if name.endswith("norm.weight") else 0.0
        pieces = tuple(
            partial(_piece, model.weights, name, start, stop, kind, paired, offset)
            for start, stop in blocks(shape, max(1, paired))
        )
        yield _Tensor(written, shape, kind, pieces)


def _tied(config: Config) -> bool:
    """Whether the embedding makes the logits too; Gemma's configurations do not always say so, but it is their default."""
    return bool(config.get("tie_word_embeddings", config.get("model_type") == "gemma3_text"))


def _piece(weights: Weights, name: str, start: int, stop: int, kind: str, paired: int, offset: float) -> np.ndarray:
    """Rows of one tensor as bytes of `kind`. paired: the head's dimensions, when its rows have to be interleaved."""
    rows = weights.read(name, start, stop)
    if paired:
        rows = interleaved(rows, paired)
    if offset:
        rows = rows + offset
    return encode(rows, kind)


def interleaved(rows: np.ndarray, head: int) -> np.ndarray:
    """The rows of q or k, `head` to each head, with the two halves of every head in turn: the order llama.cpp rotates in."""
    return rows.reshape(-1, 2, head // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def _write_tensors(writer: Any, tensors: list[_Tensor], progress: Progress) -> None:
    import gguf
    import numpy as np

    for tensor in tensors:
        kind = gguf.GGMLQuantizationType[tensor.kind]
        block, size = gguf.GGML_QUANT_SIZES[kind]
        count = prod(tensor.shape) // block * size
        writer.add_tensor_info(tensor.name, tensor.shape, np.dtype(np.float32), count, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    (file,) = writer.fout
    writer.write_padding(file, file.tell())
    with progress.task("Writing GGUF", sum(prod(tensor.shape) for tensor in tensors), "weights") as task:
        made = in_order(piece for tensor in tensors for piece in tensor.pieces)
        with contextlib.closing(made):
            for tensor in tensors:
                start = file.tell()
                for _ in tensor.pieces:
                    file.write(next(made).data)
                writer.write_padding(file, file.tell() - start)
                task.advance(prod(tensor.shape))
