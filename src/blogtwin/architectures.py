"""The model architectures that can be trained here and deployed: a base outside this list is refused before training.

The names are those in `architectures` of a Hugging Face config.json. One list, so that no night of training ends
in a twin that cannot be served.
"""

from __future__ import annotations

DEPLOYABLE = (
    "LlamaForCausalLM",
    "MistralForCausalLM",
    "Qwen2ForCausalLM",
    "Qwen3ForCausalLM",
    "Gemma3ForCausalLM",
)
