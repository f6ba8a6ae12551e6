"""A model folder → its tokenizer, just as its tokenizer.json describes it.

Not AutoTokenizer: where a configuration names an old class (SmolLM2's says GPT2Tokenizer), transformers 5 builds that class's
own way of cutting text instead, and the twin would be trained on other tokens than llama.cpp and Ollama feed it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from blogtwin.errors import ModelError


def load(folder: Path) -> Any:
    """A transformers tokenizer (a heavy import). Raises ModelError when the files do not load."""
    from transformers import PreTrainedTokenizerFast
    from transformers.utils import logging

    logging.set_verbosity_error()
    try:
        return PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as fault:
        raise ModelError(
            f"the tokenizer in {folder} does not load: {str(fault).strip().splitlines()[0]}",
            "fetch or copy that model again, or choose another with --base-model",
        ) from fault
