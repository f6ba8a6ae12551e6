"""Perplexity: of the answer alone, by twin and by base, as plain torch would have it."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from blogtwin import workspace
from blogtwin.chat_template import LLAMA3
from blogtwin.errors import ModelError
from blogtwin.evaluation import perplexity
from blogtwin.evaluation.perplexity import HeldOut, Losses, answer_losses
from blogtwin.evaluation.verdict import Side
from blogtwin.progress import Silent
from blogtwin.records import Message
from blogtwin.stages import kept_losses

TEXTS = (
    "The tide went out at six.\n\nI followed it, with a lamp.",
    "A clock is a promise.",
    "Rhubarb, and other debts: " + "the jam was paid for in screws, and the screws in jam. " * 12,
)


@pytest.fixture(scope="module")
def answers(tiny_base: Path) -> list[HeldOut]:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    prompt = LLAMA3.prompt([Message(role="user", content="Write about the shop.")])
    held_out = []
    for text in TEXTS:
        before, after = (
            tokenizer(part, add_special_tokens=False)["input_ids"] for part in (prompt, LLAMA3.answer(text))
        )
        held_out.append(HeldOut("post", before + after, len(before), len(text.split())))
    return held_out


@pytest.fixture(scope="module")
def losses(tiny_base: Path, tiny_adapter: Path, answers: list[HeldOut]) -> Losses:
    return answer_losses(tiny_base, tiny_adapter, answers, bf16=False, threads=1, progress=Silent())


def test_the_loss_is_torchs_own_over_the_answer_and_its_end_marker(
    tiny_base: Path, tiny_adapter: Path, answers: list[HeldOut], losses: Losses
) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(tiny_base)
    for index, answer in enumerate(answers):
        tokens = torch.tensor([answer.tokens])
        labels = torch.tensor([[-100] * answer.prompt + answer.tokens[answer.prompt :]])
        with torch.no_grad():
            assert losses.base[index] == pytest.approx(
                float(base(tokens, labels=labels).loss) * answer.counted, rel=1e-4
            )
    twin = PeftModel.from_pretrained(base, str(tiny_adapter)).eval()
    for index, answer in enumerate(answers):
        tokens = torch.tensor([answer.tokens])
        labels = torch.tensor([[-100] * answer.prompt + answer.tokens[answer.prompt :]])
        with torch.no_grad():
            assert losses.twin[index] == pytest.approx(
                float(twin(tokens, labels=labels).loss) * answer.counted, rel=1e-4
            )


def test_base_and_twin_differ(losses: Losses) -> None:
    assert losses.base != pytest.approx(losses.twin, rel=1e-3)


def test_how_answers_are_batched_does_not_change_their_loss(
    tiny_base: Path, tiny_adapter: Path, answers: list[HeldOut], losses: Losses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(perplexity, "_BATCH_TOKENS", 1)
    monkeypatch.setattr(perplexity, "_LOGIT_ROWS", 7)
    alone = answer_losses(tiny_base, tiny_adapter, answers, bf16=False, threads=1, progress=Silent())
    assert alone.base == pytest.approx(losses.base, rel=1e-4)
    assert alone.twin == pytest.approx(losses.twin, rel=1e-4)


def test_bfloat16_is_near_float32(tiny_base: Path, tiny_adapter: Path, answers: list[HeldOut], losses: Losses) -> None:
    halved = answer_losses(tiny_base, tiny_adapter, answers, bf16=True, threads=1, progress=Silent())
    assert sum(halved.base) == pytest.approx(sum(losses.base), rel=0.01)


def test_a_uniform_guess_has_the_perplexity_of_its_choices() -> None:
    answer = HeldOut("post", tokens=[0] * 15, prompt=5, words=5)
    found = Losses([answer], base=[10 * math.log(64)], twin=[10 * math.log(8)]).perplexities()
    assert found["perplexity_base"] == pytest.approx(64)
    assert found["perplexity"] == pytest.approx(8)
    assert found["perplexity_per_word"] == pytest.approx(64)  # two tokens a word


def test_a_hopeless_model_has_a_number_that_json_can_hold() -> None:
    answer = HeldOut("post", tokens=[0, 1], prompt=1, words=1)
    found = Losses([answer], base=[5000.0], twin=[1.0]).perplexities()
    assert json.loads(json.dumps(found))["perplexity_base"] > 1e300


def test_an_adapter_that_does_not_fit_its_base_is_named(tiny_base: Path, tiny_adapter: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(tiny_adapter, tmp_path / "broken")
    (broken / "adapter_model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    (broken / "adapter_config.json").write_text("{", encoding="utf-8")
    answer = HeldOut("post", tokens=[0, 1, 2], prompt=1, words=1)
    with pytest.raises(ModelError, match="does not load on its base"):
        answer_losses(tiny_base, broken, [answer], bf16=False, threads=1, progress=Silent())


def test_the_few_shot_base_is_the_base_behind_real_posts(
    tiny_base: Path, tiny_adapter: Path, answers: list[HeldOut], losses: Losses
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    asked = []
    for answer in answers:
        behind = [*answers[0].tokens, *answers[1].tokens[1:], *answer.tokens[1:]]
        asked.append(HeldOut(answer.post_id, answer.tokens, answer.prompt, answer.words, "topic", behind))
    found = answer_losses(tiny_base, tiny_adapter, asked, bf16=False, threads=1, progress=Silent())
    assert found.base == pytest.approx(losses.base, rel=1e-4)
    assert found.twin == pytest.approx(losses.twin, rel=1e-4)
    assert found.few_shot is not None
    base = AutoModelForCausalLM.from_pretrained(tiny_base)
    for one, nats in zip(asked, found.few_shot, strict=True):
        assert one.shown is not None
        labels = torch.tensor([[-100] * (len(one.shown) - one.counted) + one.shown[-one.counted :]])
        with torch.no_grad():
            mean = float(base(torch.tensor([one.shown]), labels=labels).loss)
        assert nats == pytest.approx(mean * one.counted, rel=1e-4)
    assert "perplexity_per_word_few_shot" in found.perplexities()


def test_kinds_are_told_apart_and_add_up() -> None:
    answers = [HeldOut("post", [0] * 15, 5, 5, kind) for kind in ("topic", "section", "topic")]
    whole = Losses(answers, base=[10.0, 20.0, 30.0], twin=[1.0, 2.0, 3.0])
    kinds = whole.of_kinds()
    assert list(kinds) == ["topic", "section"]
    assert kinds["topic"].perplexities()["perplexity_base"] == pytest.approx(math.exp(2))
    assert kinds["section"].twin == [2.0]
    assert sum(len(part.answers) for part in kinds.values()) == len(answers)
    assert "perplexity_few_shot" not in whole.perplexities()


def test_what_was_measured_before_is_not_again(
    tiny_base: Path, tiny_adapter: Path, answers: list[HeldOut], losses: Losses, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next version of a twin has the same base, whose part is the half of the work and more."""
    read: list[int] = []
    nats = perplexity._nats
    monkeypatch.setattr(perplexity, "_nats", lambda model, rows: read.append(len(rows)) or nats(model, rows))

    def kept(version: str) -> Losses:
        def compute(known: Mapping[Side, list[float]]) -> Losses:
            return answer_losses(tiny_base, tiny_adapter, answers, False, 1, Silent(), known)

        return kept_losses.kept(f"{version} on tiny", "tiny", answers, compute)

    first, second, third = kept("one"), kept("another"), kept("one")
    assert sum(read) == 3 * len(answers), "the base once, each version once"
    assert first == second == third
    assert first.base == pytest.approx(losses.base, rel=1e-6)
    assert first.twin == pytest.approx(losses.twin, rel=1e-6)
    for path in (workspace.home() / "losses").glob("*.json"):
        path.write_text("{", "utf-8")
    assert kept("one") == first
