"""Is a GGUF what was trained? It is read back and held against configuration, tokenizer, template and weights.

In: the file, and the base and adapter it was made from. Out: nothing, or a ProofFailed that names what differs. Some mistakes
change so few answers that asking the model finds them by luck alone (a rotary scaling that matters behind thousands of tokens);
the file itself shows them with certainty. Nothing here is shared with what writes the file: the rotary frequencies are
transformers' own, the names and places of the weights stand here once more.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blogtwin.chat_template import ChatTemplate
from blogtwin.errors import ProofFailed
from blogtwin.export.trained_rows import Lora, Trained

if TYPE_CHECKING:
    import numpy as np

_ARCHITECTURES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "gemma3_text": "gemma3"}
_ONCE = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
_OF_A_LAYER = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
_GEMMA3 = {
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}
# How far rows may be off, as a share of their root mean square: some five times what rounding normal numbers makes, as real
# weights have outliers. Rows of another place are off by 1.4.
_ROUNDING = {
    "F32": 1e-5,
    "F16": 2e-3,
    "BF16": 1e-2,
    "Q8_0": 3e-2,
    "Q6_K": 0.1,
    "Q5_K": 0.2,
    "Q5_1": 0.2,
    "Q5_0": 0.2,
    "Q4_K": 0.35,
}
_LEAST = 1e-7  # float16's smallest step: nearer to zero nothing is told apart
_ROWS = 8  # of each end of a matrix


@dataclass(frozen=True)
class Origin:
    """base: the Hugging Face folder that was trained on. adapter: the folder of the adapter, with tokenizer and template.

    merged: whether the file holds both, or the base alone.
    """

    base: Path
    adapter: Path
    template: ChatTemplate
    merged: bool = True


def check_gguf(path: Path, origin: Origin) -> None:
    """Raises ProofFailed for the first thing in the file that is not what was trained."""
    from gguf import GGUFReader
    from transformers import AutoConfig

    reader = GGUFReader(path)
    config = AutoConfig.from_pretrained(origin.base, local_files_only=True)
    told, tensors = reader.fields, {tensor.name: tensor for tensor in reader.tensors}
    tokens = told["tokenizer.ggml.tokens"].contents()
    for key, expected in {**_shape(config), **_words(tokens, origin)}.items():
        found = told[key].contents() if key in told else None
        if not _equal(found, expected):
            raise _differs(path, f"{key} is {_short(found)}, where {_short(expected)} was trained")
    _check_tokens(path, tokens, origin.adapter)
    _check_positions(path, tensors, config)
    _check_weights(path, tensors, config, Trained(origin.base, origin.adapter if origin.merged else None))


def check_lora(path: Path, origin: Origin) -> None:
    """The same for a GGUF LoRA, which stands beside the base's own file."""
    from gguf import GGUFReader
    from transformers import AutoConfig

    reader, lora = GGUFReader(path), Lora(origin.adapter)
    config = AutoConfig.from_pretrained(origin.base, local_files_only=True)
    tensors = {tensor.name: tensor.data for tensor in reader.tensors}
    names = {f"{_name(one, config)}.lora_{part}" for one in lora.changed() for part in "ab"}
    if names != set(tensors):
        raise _differs(path, f"the weights it changes are others: {_some(names ^ set(tensors))}")
    alpha = reader.fields["adapter.lora.alpha"].contents()
    for name in lora.changed():
        (a, b), written = lora.pair(name), _name(name, config)
        if not _equal(alpha / a.shape[0], lora.scale):
            raise _differs(path, f"{name} is added {alpha / a.shape[0]:g} times, where {lora.scale:g} was trained")
        _compare(path, name, tensors[f"{written}.lora_a"], a, "F16")
        _compare(path, name, _in_our_order(tensors[f"{written}.lora_b"], name, config), b, "F16")


def _shape(config: Any) -> dict[str, object]:
    """What the file has to say of the shape, by GGUF's keys."""
    name = _ARCHITECTURES[config.model_type]
    near = _rope(config, "sliding_attention")
    return {
        "general.architecture": name,
        f"{name}.block_count": config.num_hidden_layers,
        f"{name}.embedding_length": config.hidden_size,
        f"{name}.feed_forward_length": config.intermediate_size,
        f"{name}.attention.head_count": config.num_attention_heads,
        f"{name}.attention.head_count_kv": config.num_key_value_heads,
        f"{name}.attention.key_length": _head(config),
        f"{name}.attention.value_length": _head(config),
        f"{name}.attention.layer_norm_rms_epsilon": config.rms_norm_eps,
        f"{name}.context_length": config.max_position_embeddings,
        f"{name}.rope.dimension_count": _head(config),
        f"{name}.rope.freq_base": _rope(config)["rope_theta"],
        f"{name}.rope.scaling.type": None,  # what there is of it stands in a tensor
    } | (
        {
            f"{name}.attention.sliding_window": config.sliding_window,
            f"{name}.rope.freq_base_swa": near["rope_theta"],
            f"{name}.rope.local.freq_base": near["rope_theta"],
        }
        if name == "gemma3"
        else {}
    )


def _words(tokens: list[str], origin: Origin) -> dict[str, object]:
    """What the file has to say of markers and template."""
    end, number = origin.template.turn_end, {token: place for place, token in enumerate(tokens)}
    path = origin.adapter / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    named = {kind: settings.get(f"{kind}_token") for kind in ("bos", "eos")}
    texts = {kind: one["content"] if isinstance(one, dict) else one for kind, one in named.items()}
    return {
        "tokenizer.chat_template": (origin.adapter / "chat_template.jinja").read_text(encoding="utf-8"),
        "tokenizer.ggml.add_bos_token": False,  # the template writes it out
        "tokenizer.ggml.eot_token_id": number.get(end, end),
        **{f"tokenizer.ggml.{kind}_token_id": number.get(text) for kind, text in texts.items() if text in number},
    }


def _check_tokens(path: Path, found: list[str], adapter: Path) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(adapter / "tokenizer.json"))
    for number, token in enumerate(found):
        expected = tokenizer.id_to_token(number)
        if expected is not None and expected != token:
            raise _differs(path, f"token {number} is {token!r}, where {expected!r} was trained")


def _check_positions(path: Path, tensors: dict[str, Any], config: Any) -> None:
    """rope_freqs: what each rotary frequency is divided by, against transformers' own frequencies."""
    import numpy as np

    scaling, head = _rope(config), _head(config)
    found = tensors.get("rope_freqs.weight")
    if scaling["rope_type"] == "default":
        if found is not None:
            raise _differs(path, "it scales its rotary positions, which training did not")
        return
    if found is None:
        raise _differs(
            path,
            f"the rotary scaling {scaling['rope_type']!r} (factor {scaling['factor']:g}) of training is not in it",
        )
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    scaled, _ = ROPE_INIT_FUNCTIONS[scaling["rope_type"]](config, "cpu")
    plain = scaling["rope_theta"] ** (-np.arange(0, head, 2) / head)
    _compare(path, "its rotary scaling", found.data, plain / scaled.numpy(), "F32")


def _check_weights(path: Path, tensors: dict[str, Any], config: Any, trained: Trained) -> None:
    import gguf
    import numpy as np

    names = {name: _name(name, config) for name in trained.names()}
    if config.tie_word_embeddings:
        names.pop("lm_head.weight", None)  # a stored copy of the embedding
    written = set(tensors) - {"rope_freqs.weight"}
    if written != set(names.values()):
        raise _differs(path, f"it has other weights than were trained: {_some(written ^ set(names.values()))}")
    for name, one in names.items():
        shape, tensor = trained.shape(name), tensors[one]
        if tuple(reversed([int(size) for size in tensor.shape])) != shape:
            raise _differs(path, f"{name} has the shape {tuple(tensor.shape)}, where {shape} was trained")
        for start, stop in _ends(name, shape, config):
            found = gguf.dequantize(tensor.data[start:stop], tensor.tensor_type).astype(np.float32)
            expected = trained.rows(name, start, stop) + (1.0 if _offset(name, config) else 0.0)
            _compare(path, name, _in_our_order(found, name, config), expected, tensor.tensor_type.name)


def _ends(name: str, shape: tuple[int, ...], config: Any) -> Iterator[tuple[int, int]]:
    """Rows to look at: all of a vector, else both ends of a matrix, whole heads where the order within them matters."""
    rows = _head(config) if _turned(name, config) else _ROWS
    if len(shape) == 1 or shape[0] <= 2 * rows:
        yield 0, shape[0]
    else:
        yield 0, rows
        yield shape[0] - rows, shape[0]


def _in_our_order(found: np.ndarray, name: str, config: Any) -> np.ndarray:
    """llama.cpp turns neighbours together, transformers i and i + half: rows 0 2 4 … 1 3 5 … of each head as they are there."""
    import numpy as np

    if not _turned(name, config):
        return found
    head = _head(config)
    order = [*range(0, head, 2), *range(1, head, 2)]
    return np.concatenate([found[start : start + head][order] for start in range(0, len(found), head)])


def _turned(name: str, config: Any) -> bool:
    return _ARCHITECTURES[config.model_type] == "llama" and (".q_proj." in name or ".k_proj." in name)


def _offset(name: str, config: Any) -> bool:
    """Gemma computes with 1 + weight in its norms, llama.cpp with what stands in the file."""
    return config.model_type == "gemma3_text" and name.endswith("norm.weight")


def _name(name: str, config: Any) -> str:
    """GGUF's name of a weight; what there is none for stays as it is, and is then found missing."""
    if name in _ONCE:
        return _ONCE[name]
    layer, _, rest = name.removeprefix("model.layers.").partition(".")
    module, _, kind = rest.rpartition(".")
    names = _OF_A_LAYER | (_GEMMA3 if config.model_type == "gemma3_text" else {})
    return f"blk.{layer}.{names.get(module, module)}.{kind}"


def _rope(config: Any, layers: str = "full_attention") -> dict[str, Any]:
    told = config.rope_parameters
    return dict(told.get(layers, told))


def _head(config: Any) -> int:
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def _compare(path: Path, name: str, found: np.ndarray, expected: np.ndarray, kind: str) -> None:
    import numpy as np

    apart = float(np.sqrt(np.mean((found.astype(np.float64) - expected) ** 2)))
    size = float(np.sqrt(np.mean(expected.astype(np.float64) ** 2)))
    if not apart <= _ROUNDING[kind] * size + _LEAST:  # also true for a NaN
        raise _differs(
            path, f"{name} is off by {apart / max(size, _LEAST):.0%} of its size, which {kind} does not explain"
        )


def _equal(found: object, expected: object) -> bool:
    if isinstance(expected, float) and isinstance(found, float):
        return math.isclose(found, expected, rel_tol=1e-6)  # the file has 32 bits for it
    return found == expected


def _short(value: object) -> str:
    return repr(value) if len(repr(value)) < 80 else f"{repr(value)[:40]}…"


def _some(names: set[str]) -> str:
    return ", ".join(sorted(names)[:4])


def _differs(path: Path, what: str) -> ProofFailed:
    return ProofFailed(
        f"{path.name} is not what was trained: {what}",
        f"nothing was replaced: the earlier version answers as before; remove {path.parent}, deploy again, and report it",
    )
