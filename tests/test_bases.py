"""From what stands after --base-model to a checked base, and what is said when that fails."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from blogtwin.errors import ModelError
from blogtwin.training import models


@pytest.fixture
def base(tiny_base: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return shutil.copytree(tiny_base, tmp_path / "base")


def refused(base_model: str | Path, offline: bool = False) -> ModelError:
    with pytest.raises(ModelError) as caught:
        models.resolve(str(base_model), offline)
    assert caught.value.hint
    return caught.value


def configure(base: Path, **changes: object) -> None:
    path = base / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}), "utf-8")


def test_a_folder_is_a_base_and_says_what_it_is(base: Path) -> None:
    found = models.resolve(str(base))
    assert (found.folder, found.source) == (base, str(base))
    assert found.template.name == "llama3"
    assert found.context_length == 512
    assert 50_000 < found.parameters < 200_000


def test_the_fingerprint_depends_on_the_weights_and_not_on_the_place(base: Path, tiny_base: Path) -> None:
    first = models.resolve(str(tiny_base)).fingerprint
    assert models.resolve(str(base)).fingerprint == first
    weights = base / "model.safetensors"
    damaged = bytearray(weights.read_bytes())
    damaged[-1] ^= 1
    weights.write_bytes(damaged)
    assert models.resolve(str(base)).fingerprint != first


def test_a_misspelt_name_gets_the_nearest_one() -> None:
    failure = refused("lama3.2:1b")
    assert "'lama3.2:1b'" in failure.message
    assert "llama3.2:1b" in failure.hint


def test_a_folder_that_is_not_there_is_not_looked_for_on_the_hub() -> None:
    assert "./no/such is not there" in refused("./no/such").message


@pytest.mark.parametrize("missing", ["config.json", "tokenizer.json", "model.safetensors"])
def test_what_a_folder_lacks_is_named(base: Path, missing: str) -> None:
    (base / missing).unlink()
    assert missing in refused(base).message


def test_pickled_weights_are_refused_and_it_says_why(base: Path) -> None:
    (base / "model.safetensors").rename(base / "pytorch_model.bin")
    assert "can run code" in refused(base).message


def test_weights_that_were_cut_off_are_found_before_training(base: Path) -> None:
    weights = base / "model.safetensors"
    whole = weights.stat().st_size
    weights.write_bytes(weights.read_bytes()[:10_000])
    assert f"ends after 10,000 of {whole:,} bytes" in refused(base).message


@pytest.mark.parametrize(
    "content", [b"", b"version https://git-lfs.github.com/spec/v1\n", b"\x08" + b"\0" * 7 + b"not json"]
)
def test_weights_that_are_something_else_are_refused(base: Path, content: bytes) -> None:
    (base / "model.safetensors").write_bytes(content)
    assert "model.safetensors" in refused(base).message


def test_a_shard_that_is_missing_is_named(base: Path) -> None:
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (base / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")
    (base / "model.safetensors").rename(base / "model-00001-of-00002.safetensors")
    assert "model-00002-of-00002.safetensors" in refused(base).message


def test_a_model_that_could_not_be_deployed_is_refused_before_it_is_trained(base: Path) -> None:
    configure(base, architectures=["GPT2LMHeadModel"])
    failure = refused(base)
    assert "GPT2LMHeadModel" in failure.message
    assert "LlamaForCausalLM" in failure.hint


def test_a_quantized_model_is_refused(base: Path) -> None:
    configure(base, quantization_config={"bits": 4})
    assert "quantized" in refused(base).message


def test_a_tokenizer_without_chat_markers_is_refused(base: Path) -> None:
    path = base / "tokenizer.json"
    path.write_text(path.read_text("utf-8").replace("start_header_id", "begin_header"), "utf-8")
    assert "chat markers" in refused(base).message


def test_offline_and_not_in_the_cache_names_the_way_out() -> None:
    failure = refused("llama3.2:1b", offline=True)
    assert "offline" in failure.message
    assert "--base-model starter" in failure.hint


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dict[str, int | str]]:
    """A model hub that answers every question with the same refusal."""
    from huggingface_hub import constants

    answer: dict[str, int | str] = {}

    class Refusal(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that http.server calls
            self.send_response(int(answer["status"]))
            self.send_header("X-Error-Code", str(answer["code"]))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Refusal)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield answer
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_gated_repository_says_where_to_accept_its_licence(hub: dict[str, int | str]) -> None:
    hub.update(status=403, code="GatedRepo")
    failure = refused("meta-llama/Llama-3.2-1B-Instruct")
    assert "licence" in failure.message
    assert "hf auth login" in failure.hint


def test_a_repository_that_is_not_there_is_said_to_be_missing(hub: dict[str, int | str]) -> None:
    hub.update(status=404, code="RepoNotFound")
    assert "no public repository some/thing" in refused("some/thing").message


def test_a_hub_that_cannot_be_reached_names_the_way_out(
    monkeypatch: pytest.MonkeyPatch, hub: dict[str, int | str]
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    failure = refused("llama3.2:1b")
    assert "cannot be downloaded" in failure.message
    assert "--base-model starter" in failure.hint
