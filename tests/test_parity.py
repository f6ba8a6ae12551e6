"""Deploy parity: what is served answers as the adapter does, as far as its precision allows, and nothing else passes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import reciting_twins
import tiny_models
from blogtwin.adapter_folder import read_card
from blogtwin.chat_template import LLAMA3
from blogtwin.errors import ModelError, ProofFailed
from blogtwin.evaluation.agreement import Compared, compare
from blogtwin.evaluation.pieces import Pieces
from blogtwin.evaluation.reference import Reading, Reference
from blogtwin.evaluation.voice_difference import voice_difference
from blogtwin.export import gguf as export_gguf
from blogtwin.progress import Silent
from blogtwin.records import ParityResult
from blogtwin.runtimes.base import with_system
from blogtwin.runtimes.llama_cpp import LlamaCpp
from blogtwin.stages.exporting import export
from blogtwin.stages.parity import parity
from blogtwin.stages.parity_prompts import prompts
from blogtwin.workspace import Workspace
from conftest import EXAMPLES

QUESTION = tiny_models.QUESTIONS[0]


@pytest.fixture(scope="module")
def twin(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter on a base that knows its answers; it changes every weight a little."""
    folder = tmp_path_factory.mktemp("twin")
    base = reciting_twins.base(folder / "base", tiny_base, reciting_twins.short_answers())
    return tiny_models.save_adapter(base, folder / "adapter", std=0.02)


@pytest.fixture
def project(twin: Path, tmp_path: Path) -> Workspace:
    return reciting_twins.project(twin, tmp_path, reciting_twins.short_answers())


def compared(project: Workspace, folder: Path, quantize: str) -> ParityResult:
    """Export and serve the project's adapter, and compare the two."""
    settings = reciting_twins.settings(quantize=quantize)
    card, runtime = read_card(project.model), LlamaCpp(1)
    folder.mkdir(exist_ok=True)
    artifact = export(project.model, card, settings, folder, Silent())
    runtime.install(artifact, "compared:latest", Silent())
    return parity(runtime, "compared:latest", project.model, card, settings, project, Silent())


def spoiled(share: float) -> Callable[..., object]:
    """export's way of reading rows, with noise of `share` of each tensor's spread on them."""
    import numpy as np

    honest = export_gguf._piece
    noise = np.random.default_rng(0)

    class Noisy:
        def __init__(self, weights: object) -> None:
            self.weights = weights

        def read(self, name: str, start: int, stop: int) -> object:
            rows = self.weights.read(name, start, stop)  # type: ignore[attr-defined]
            return rows + share * rows.std() * noise.standard_normal(rows.shape).astype(np.float32)

    return lambda weights, *rest: honest(Noisy(weights), *rest)


def test_the_same_numbers_agree_at_every_token(project: Workspace, tmp_path: Path) -> None:
    found = compared(project, tmp_path / "deploy", "f16")
    assert found.agreement + found.near_ties == 1
    assert found.agreement >= 0.99
    assert found.prompts == 12
    assert found.ended >= 5  # all that it knows by heart
    assert found.ran_on == 0
    assert found.excess_nats < 1e-3


def test_eight_bits_keep_nineteen_choices_in_twenty(project: Workspace, tmp_path: Path) -> None:
    found = compared(project, tmp_path / "deploy", "q8_0")
    assert found.tokens > 200
    assert found.agreement >= 0.95
    assert found.ended >= 5


def test_noise_on_the_weights_is_let_pass_as_long_as_rounding_makes_as_much_and_then_blocks(
    project: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_gguf, "_piece", spoiled(0.002))
    assert compared(project, tmp_path / "little", "q8_0").agreement >= 0.95
    monkeypatch.setattr(export_gguf, "_piece", spoiled(0.5))
    with pytest.raises(
        ProofFailed, match=r"does not answer as the adapter does: at \d+ of \d+ tokens .* nats"
    ) as found:
        compared(project, tmp_path / "much", "q8_0")
    assert "earlier version" in found.value.hint


@pytest.mark.parametrize("quantize", ["f16", "q8_0"])
def test_near_ties_of_random_weights_do_not_block(tiny_adapter: Path, tmp_path: Path, quantize: str) -> None:
    project = reciting_twins.project(tiny_adapter, tmp_path, reciting_twins.short_answers())
    found = compared(project, tmp_path / "deploy", quantize)
    assert found.prompts == 12
    assert found.tokens >= 12


def test_another_base_in_the_same_place_is_named(project: Workspace, twin: Path, tmp_path: Path) -> None:
    base = shutil.copytree(twin.parent / "base", tmp_path / "base")
    card = read_card(project.model).model_copy(update={"base_path": str(base)})
    raw = bytearray((base / "model.safetensors").read_bytes())
    raw[-1] ^= 1
    (base / "model.safetensors").write_bytes(raw)
    with pytest.raises(ModelError, match="no other weights than its own base's"):
        parity(LlamaCpp(1), "nobody", project.model, card, reciting_twins.settings(), project, Silent())


# What is asked


def test_the_prompts_are_held_out_ones_one_as_long_as_training_saw_and_one_that_comes_to_its_end(
    project: Workspace,
) -> None:
    card, settings = read_card(project.model), reciting_twins.settings()
    pieces = Pieces(project.model / "tokenizer.json")

    def lengths(workspace: Workspace) -> list[int]:
        asked = prompts(card, settings, workspace, pieces, LLAMA3)
        return [len(pieces.tokens(LLAMA3.prompt(with_system(one.messages, card.system)))) for one in asked]

    asked = prompts(card, settings, project, pieces, LLAMA3)
    assert asked == prompts(card, settings, project, pieces, LLAMA3)
    assert {one.messages[-1].content for one in asked} >= set(tiny_models.QUESTIONS)
    (end,) = [one for one in asked if one.to_the_end]
    assert end.messages[-1].content in tiny_models.QUESTIONS
    assert end.most > 100
    for workspace in (project, replace(project, validation=project.model / "nothing.jsonl")):
        found = lengths(workspace)
        assert len(found) == 12
        assert 0.9 * card.max_length < max(found) + 48 <= card.max_length


# One answer, laid against the reference


@pytest.fixture(scope="module")
def reference(twin: Path) -> Reference:
    return Reference(twin.parent / "base", twin, bf16=False)


@pytest.fixture(scope="module")
def pieces(twin: Path) -> Pieces:
    return Pieces(twin / "tokenizer.json")


def reading(reference: Reference, pieces: Pieces, question: str = QUESTION) -> Reading:
    return reference.read(pieces.tokens(LLAMA3.prompt(tiny_models.conversation(question))))


def laid(text: str, reference: Reference, pieces: Pieces, most: int = 48) -> Compared:
    ends = {pieces.number("<|eot_id|>")}
    return compare(text, most, reading(reference, pieces), pieces, ends, 0.005)  # type: ignore[arg-type]


def test_the_known_answer_agrees_to_its_end_and_what_goes_on_behind_it_is_seen(
    reference: Reference, pieces: Pieces
) -> None:
    known = reciting_twins.short_answers()[0]
    whole = laid(known, reference, pieces)
    assert (whole.tokens, whole.apart, whole.near) == (len(pieces.tokens(known)) + 1, 0, 0)
    assert whole.ended
    assert whole.path is None
    more = laid(f"{known} And so on, and so on.", reference, pieces)
    assert more.ran_on
    assert not more.ended
    assert more.apart == 1  # one place; what stands behind an end is not counted
    assert more.worst is not None
    assert (more.worst.expected, more.worst.found) == ("the end", " And")
    nothing = laid("", reference, pieces)
    assert (nothing.tokens, nothing.apart, nothing.ended) == (1, 1, False)


def test_one_strange_word_costs_one_place_and_not_the_rest(reference: Reference, pieces: Pieces) -> None:
    first, second, *others = reciting_twins.short_answers()[0].split()
    changed = laid(" ".join([first, "QQ", *others]), reference, pieces)
    assert changed.worst is not None
    assert changed.worst.after == first
    assert changed.worst.expected.strip()
    assert second.startswith(changed.worst.expected.strip())
    assert changed.path == pieces.tokens(first)
    assert changed.apart < changed.tokens / 2


def test_an_answer_that_was_cut_otherwise_than_the_tokenizer_would_agrees_all_the_same(
    reference: Reference, pieces: Pieces
) -> None:
    """Models write `ab` as `a` and `b` where one token would do, and the text does not tell."""

    class Letters(Pieces):
        """A tokenizer that has learned no merges: what it makes of a text is never what the model wrote."""

        def tokens(self, text: str) -> list[int]:
            return [token for letter in text for token in super(Letters, self).tokens(letter)]

    known = reciting_twins.short_answers()[0]
    letters = Letters(pieces.path)
    assert len(letters.tokens(known)) > 2 * len(pieces.tokens(known))
    found = compare(known, 48, reading(reference, pieces), letters, {pieces.number("<|eot_id|>") or 0}, 0.005)
    assert (found.apart, found.ended, found.tokens) == (0, True, len(pieces.tokens(known)) + 1)


def test_bytes_that_a_runtime_could_not_show_end_the_comparison_and_are_judged_once(
    reference: Reference, pieces: Pieces
) -> None:
    known = reciting_twins.short_answers()[0]
    first = known.split()[0]
    cut = laid(f"{first}\ufffdxyz", reference, pieces)
    assert cut.tokens == len(pieces.tokens(first)) + 1
    assert cut.apart == 1  # the adapter would have gone on with a word
    assert cut.worst is not None
    assert cut.worst.found == "bytes that are no text"


def test_the_reference_is_plain_transformers_with_peft(twin: Path, reference: Reference, pieces: Pieces) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    prompt = pieces.tokens(LLAMA3.prompt(tiny_models.conversation(QUESTION)))
    answer = pieces.tokens(reciting_twins.short_answers()[1])
    base = AutoModelForCausalLM.from_pretrained(twin.parent / "base", dtype=torch.float32)
    with torch.no_grad():
        logits = PeftModel.from_pretrained(base, str(twin))(torch.tensor([prompt + answer])).logits[
            0, len(prompt) - 1 :
        ]
    before = reference.read(prompt)
    for _ in range(2):  # a reading forgets one answer before the next
        choices = before.choices(answer)
        assert [one.best for one in choices] == logits.argmax(-1).tolist()
        gaps = (logits.max(-1).values[:-1] - logits[range(len(answer)), answer]).tolist()
        assert [one.gap for one in choices[:-1]] == pytest.approx(gaps, abs=1e-3)
        assert before.go_on([], 8, ()) == before.go_on([], 16, ())[:8]


def test_tokens_are_the_bytes_that_stand_in_a_text(pieces: Pieces, tmp_path: Path) -> None:
    text = "l'été — 日本 🙂\n\ttwo  spaces"
    assert b"".join(map(pieces.bytes, pieces.tokens(text))).decode() == text
    assert pieces.bytes(pieces.number("<|eot_id|>") or 0) == b""
    rest = text.encode()[3:]  # from the middle of é
    assert b"".join(map(pieces.bytes, pieces.tokens_of_bytes(rest) or [])) == rest
    spaced = {
        "version": "1.0",
        "added_tokens": [],
        "model": {"type": "BPE", "byte_fallback": True, "vocab": {"<0xE2>": 0, "▁a": 1, "b": 2}, "merges": []},
        "decoder": {"type": "ByteFallback"},
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(spaced), encoding="utf-8")
    other = Pieces(tmp_path / "tokenizer.json")
    assert [other.bytes(number) for number in range(3)] == [b"\xe2", b" a", b"b"]
    assert other.partial == (0,)


# The difference in voice


def test_two_voices_are_told_apart_and_one_is_not() -> None:
    posts = [path.read_text("utf-8").partition("\n\n")[2] for path in sorted(EXAMPLES.glob("*.md"))]
    one = [" ".join(post.split()[:80]) for post in posts for _ in (0,)][:12]
    assert len(one) >= 11
    shouted = [text.upper().replace(",", " !!!").replace(".", " -- really, really --") for text in one]
    apart = voice_difference(shouted, one, seed=1)
    assert apart.chance is not None
    assert apart.chance < 0.002
    assert apart.standard_errors is not None
    assert apart.standard_errors > 3
    halves = [" ".join(post.split()[80:160]) for post in posts][:12]
    alike = voice_difference(halves, one, seed=1)
    assert alike.chance is not None
    assert alike.chance > 0.01


def test_too_few_words_are_said_to_be_too_few() -> None:
    few = voice_difference(["A word or two."] * 12, ["Another word."] * 12, seed=1)
    assert few.chance is None
    assert few.remark is not None
    assert "it takes" in few.remark
    same = voice_difference(["A word or two."] * 12, ["A word or two."] * 12, seed=1)
    assert (same.chance, same.standard_errors, same.remark) == (1.0, 0.0, None)
