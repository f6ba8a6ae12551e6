"""How each architecture is written as GGUF: its name there, what llama.cpp has to be told of it, and what it lays out otherwise.

In: the configuration of a Hugging Face model. Out: the row of ARCHITECTURES that writes it, or the reason why none can.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from blogtwin.errors import ModelError

if TYPE_CHECKING:
    import numpy as np

Config = dict[str, Any]
_GEMMA3_PATTERN = 6  # every sixth layer looks back without limit: what llama.cpp and Ollama take for granted
_GEMMA3_OTHER_SCALE = 62  # layers of the one Gemma 3 (27B) whose attention both engines scale in another way


def _unknown(config: Config) -> str | None:
    return None


def _nothing(writer: Any, config: Config) -> None:
    """For architectures of which the common keys say everything."""


@dataclass(frozen=True)
class Architecture:
    """name: llama.cpp's own. activation: of the feed-forward layers, by its name in Hugging Face configurations.

    paired: llama.cpp turns neighbouring dimensions together (Hugging Face: dimension i and i + half), so the rows of q and k
    change places. norm_offset: what is added to the weights of norms. refuse: why a model of this architecture is not one
    that llama.cpp computes as transformers does, or None. tell: writes what llama.cpp has to know beside the common keys.
    """

    name: str
    activation: str = "silu"
    paired: bool = False
    norm_offset: float = 0.0
    refuse: Callable[[Config], str | None] = _unknown
    tell: Callable[[Any, Config], None] = _nothing


def _windowed(config: Config) -> str | None:
    window = config.get("sliding_window")
    used = config.get("use_sliding_window", True)
    if window and used and window < config["max_position_embeddings"]:
        return f"it looks back over {window:,} tokens only, which llama.cpp does not do for its kind"
    return None


def _gemma3_refused(config: Config) -> str | None:
    layers, head = config["num_hidden_layers"], head_dim(config)
    if config.get("final_logit_softcapping") or config.get("attn_logit_softcapping"):
        return "it caps its logits"
    if config.get("query_pre_attn_scalar", 256) != head or layers == _GEMMA3_OTHER_SCALE:
        return "it scales its attention in another way than llama.cpp does"
    if config.get("use_bidirectional_attention"):
        return "it looks forward, too"
    expected = ["sliding_attention" if (layer + 1) % _GEMMA3_PATTERN else "full_attention" for layer in range(layers)]
    if config.get("layer_types", expected) != expected or config.get("sliding_window_pattern", _GEMMA3_PATTERN) != 6:
        return "other layers than every sixth look back without limit"
    return None


def _tell_gemma3(writer: Any, config: Config) -> None:
    near = rope(config, "sliding_attention")["rope_theta"]
    writer.add_sliding_window(config["sliding_window"])
    writer.add_rope_freq_base_swa(float(near))
    writer.add_float32("gemma3.rope.local.freq_base", float(near))  # the same, by the name that Ollama's engine reads


ARCHITECTURES = {
    "LlamaForCausalLM": Architecture("llama", paired=True, refuse=_windowed),
    "MistralForCausalLM": Architecture("llama", paired=True, refuse=_windowed),
    "Qwen2ForCausalLM": Architecture("qwen2", refuse=_windowed),
    "Qwen3ForCausalLM": Architecture("qwen3", refuse=_windowed),
    "Gemma3ForCausalLM": Architecture(
        "gemma3", activation="gelu_pytorch_tanh", norm_offset=1.0, refuse=_gemma3_refused, tell=_tell_gemma3
    ),
}


def writable(config: Config) -> str | None:
    """Why a model with this config.json cannot be written as GGUF here, or None when it can."""
    named = (config.get("architectures") or ["none named"])[0]
    architecture = ARCHITECTURES.get(named)
    if architecture is None:
        return f"blogtwin does not write the architecture {named}"
    activation = config.get("hidden_activation") or config.get("hidden_act")
    if activation != architecture.activation:
        return f"its activation {activation} is not the one of a plain {named}"
    kinds = [rope(config, layers)["rope_type"] for layers in ("full_attention", "sliding_attention")]
    scaled = next((kind for kind in kinds if kind not in ("default", "llama3")), None)
    if scaled:
        return f"it scales its rotary positions by {scaled!r}"
    if architecture.name == "gemma3" and kinds != ["default", "default"]:
        return f"it scales its rotary positions by {kinds}"
    return architecture.refuse(config)


def architecture_of(config: Config, where: object) -> Architecture:
    """The row for this configuration. Raises ModelError, which names `where` it stands and the reason, when there is none."""
    reason = writable(config)
    if reason:
        raise ModelError(f"{where} cannot be written as GGUF: {reason}", CHOOSE)
    return ARCHITECTURES[config["architectures"][0]]


def head_dim(config: Config) -> int:
    return int(config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"])


def rope(config: Config, layers: str = "full_attention") -> Config:
    """Theta and scaling of these layers, whether the configuration was written by transformers 5 or earlier."""
    told = config.get("rope_parameters") or {}
    found = dict(told.get(layers, told) or {})
    if not found and layers == "full_attention":
        found = dict(config.get("rope_scaling") or {})
    earlier = "rope_local_base_freq" if layers == "sliding_attention" else "rope_theta"
    found.setdefault("rope_theta", config.get(earlier, config.get("rope_theta", 10000.0)))
    found.setdefault("rope_type", found.get("type", "default"))
    return found


def rope_factors(config: Config) -> np.ndarray | None:
    """What each rotary frequency is divided by in a Llama 3.x model, shape (head_dim / 2,), or None without scaling.

    Frequencies with wavelengths above the trained context are divided by `factor`, short ones left, the middle blended
    (Llama 3.1 model card; transformers' rope type "llama3").
    """
    import numpy as np

    scaling = rope(config)
    if scaling["rope_type"] == "default":
        return None
    low, high, factor = (float(scaling[key]) for key in ("low_freq_factor", "high_freq_factor", "factor"))
    context = float(scaling["original_max_position_embeddings"])
    half = np.arange(0, head_dim(config), 2, dtype=np.float32) / head_dim(config)
    turns = context / (2 * math.pi * np.float32(scaling["rope_theta"]) ** half)  # full turns within the trained context
    smooth = np.clip((turns - low) / (high - low), 0, 1)
    factors: np.ndarray = 1 / ((1 - smooth) / factor + smooth)
    return factors.astype(np.float32)


CHOOSE = (
    "choose a base of the Llama 3, SmolLM2, Qwen 2 or 3, Gemma 3 or Mistral family: blogtwin finetune --help lists some"
)
