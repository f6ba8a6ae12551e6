"""The K mixes are llama.cpp's own: what Ollama makes of the same F16 file is, tensor for tensor, what we write."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import tiny_models
from blogtwin.chat_template import LLAMA3
from blogtwin.export.gguf import write_gguf
from blogtwin.manifest import hash_file
from blogtwin.progress import Silent


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("width", [256, 96])
def test_ollamas_own_quantize_gives_the_same_formats_and_bytes(
    tied: bool, width: int, tiny_base: Path, tmp_path: Path, ollama: str
) -> None:
    """Nine layers, so that those at both ends and every third between are told apart; 96: rows that 256 does not divide."""
    import httpx
    import torch
    from gguf import GGUFReader
    from transformers import AutoModelForCausalLM

    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tiny_base / name, folder / name)
    shape = {"hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": 9, "tie_word_embeddings": tied}
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(tiny_models.config("llama", 1024, 4, **shape)).half().save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(LLAMA3.jinja, encoding="utf-8")
    fine = write_gguf(folder, tmp_path / "f16.gguf", "f16", "tiny", Silent())
    ours = write_gguf(folder, tmp_path / "q4_k_m.gguf", "q4_k_m", "tiny", Silent())
    digest = f"sha256:{hash_file(fine)}"
    with httpx.Client(base_url=ollama, timeout=60, trust_env=False) as client:
        client.post(f"/api/blobs/{digest}", content=fine.read_bytes()).raise_for_status()
        told = {"model": "theirs", "files": {"f16.gguf": digest}, "quantize": "q4_K_M", "stream": False}
        client.post("/api/create", json=told).raise_for_status()
        shown = client.post("/api/show", json={"model": "theirs"}).json()
    found = re.search(r"^FROM (.+)$", shown["modelfile"], re.MULTILINE)
    assert found is not None
    theirs = {tensor.name: tensor for tensor in GGUFReader(found[1]).tensors}
    written = {tensor.name: tensor for tensor in GGUFReader(ours).tensors}
    assert {name: one.tensor_type.name for name, one in written.items()} == {
        name: one.tensor_type.name for name, one in theirs.items()
    }
    assert len({one.tensor_type for one in written.values()}) >= 3
    for name, one in written.items():
        assert one.data.tobytes() == theirs[name].data.tobytes(), name
