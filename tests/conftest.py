"""What the tests share: a home of their own, one thread, and a tiny Llama with an adapter."""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # tiny models are ten times slower with two threads on a busy machine
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from blogtwin.records import Artifact
    from postgres_server import PostgresServer

EXAMPLES = Path(__file__).parent.parent / "examples" / "blog"
LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees or touches the twins of the person who runs it."""
    monkeypatch.setenv("BLOGTWIN_HOME", str(tmp_path_factory.mktemp("home")))
    for variable in [name for name in os.environ if name.startswith("BLOGTWIN_") and name != "BLOGTWIN_HOME"]:
        monkeypatch.delenv(variable)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL, started for these tests; a test that stops it starts it again."""
    import postgres_server

    if postgres_server.programs() is None:
        pytest.skip("PostgreSQL is not installed here (no pg_ctl on the PATH or under /usr/lib/postgresql)")
    with postgres_server.running() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'feedback.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face folder: a Llama of about 0.1 million random weights whose tokenizer was trained on the sample posts."""
    import torch
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny-base")
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(LLAMA3_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    markers = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=1024,
        special_tokens=markers,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((path.read_text("utf-8") for path in sorted(EXAMPLES.glob("*.md"))), trainer)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=markers[0], eos_token="<|eot_id|>", pad_token="<|end_of_text|>"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        bos_token_id=0,
        eos_token_id=4,
        pad_token_id=1,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_adapter(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter folder as `finetune` leaves it, with random LoRA weights that change what the base says."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from blogtwin.chat_template import LLAMA3
    from blogtwin.records import AdapterCard
    from blogtwin.training import models

    folder = tmp_path_factory.mktemp("tiny-adapter")
    torch.manual_seed(1)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(tiny_base), LoraConfig(r=4, lora_alpha=8, target_modules="all-linear")
    )
    for name, weight in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=0.1)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_base).save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(LLAMA3.jinja, encoding="utf-8")
    card = AdapterCard(
        base_model=str(tiny_base),
        base_path=str(tiny_base),
        base_hash=models.check("tiny", tiny_base, str(tiny_base)).fingerprint,
        method="sft",
        template="llama3",
        system="You write as the author of this blog.",
        max_length=512,
        data_hash="0" * 16,
        settings_hash="0" * 16,
        examples=1,
        best_step=1,
        best_loss=7.0,
        versions={},
    )
    (folder / "twin.json").write_text(json.dumps(card.model_dump(), indent=2), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def reciting(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A merged Hugging Face folder (reciting base + small adapter), with the F16 GGUF beside it as model.gguf."""
    import tiny_models
    from blogtwin.export.gguf import write_gguf
    from blogtwin.export.merge import merge
    from blogtwin.progress import Silent

    folder = tmp_path_factory.mktemp("reciting")
    base = folder / "base"
    base.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (base / name).write_bytes((tiny_base / name).read_bytes())
    tiny_models.recite(base, tiny_models.config("llama", 1024, 4))
    merged = merge(tiny_models.save_adapter(base, folder / "adapter", std=0.02), folder / "merged")
    write_gguf(merged, merged / "model.gguf", "f16", "tiny", Silent())
    return merged


@pytest.fixture
def artifact(reciting: Path) -> Artifact:
    """The model of `reciting`, as a deploy would hand it to a runtime."""
    from test_export import artifact_of

    return artifact_of(reciting / "model.gguf", "llama3")


@pytest.fixture(scope="session")
def _ollama_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    import httpx

    program = shutil.which("ollama")
    if program is None:
        pytest.skip("Ollama is not installed here (no `ollama` on the PATH)")
    home = tmp_path_factory.mktemp("ollama")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "OLLAMA_MODELS": str(home / "models")}
    with (home / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [program, "serve"], env=environment | {"OLLAMA_HOST": address}, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        for _ in range(300):
            try:
                if httpx.get(f"http://{address}/api/version", trust_env=False).is_success:
                    break
            except httpx.TransportError:
                assert server.poll() is None, (home / "server.log").read_text(errors="replace")
                time.sleep(0.1)
        else:
            pytest.fail(f"Ollama did not answer in 30 s: {(home / 'server.log').read_text(errors='replace')}")
        yield f"http://{address}"
    finally:
        server.terminate()
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


@pytest.fixture
def ollama(_ollama_server: str) -> Iterator[str]:
    """The address of a real Ollama server, started for these tests with a home and models of its own; empty at each end."""
    import httpx

    from blogtwin.runtimes.ollama import Ollama

    yield _ollama_server
    with httpx.Client(base_url=_ollama_server, trust_env=False) as client:
        for model in client.get("/api/ps").json()["models"]:  # it would stay in memory for five minutes
            client.post("/api/generate", json={"model": model["name"], "keep_alive": 0})
    server = Ollama(_ollama_server)
    for name in server.names():
        server.remove(name)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A real Chromium. For one module: while it runs, no other event loop can."""
    from page_visits import chromium

    with chromium() as one:
        yield one
