"""The parity proof: what a runtime answers is what the adapter it was made from would have answered.

In: a name in a runtime, the adapter folder, held-out examples. Out: a ParityResult, or a ProofFailed with its figures.
The runtime answers held-out prompts greedily; then base and adapter, as they were trained, read each prompt with that answer
and say at every token what they would have written (evaluation/agreement.py).
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from blogtwin.adapter_folder import check_base, find_base
from blogtwin.base_hash import parameters
from blogtwin.chat_template import TEMPLATES, ChatTemplate
from blogtwin.config import Settings
from blogtwin.errors import ProofFailed
from blogtwin.evaluation.agreement import Compared, compare
from blogtwin.evaluation.pieces import Pieces
from blogtwin.evaluation.reference import Reference
from blogtwin.evaluation.voice_difference import voice_difference
from blogtwin.progress import Progress
from blogtwin.records import AdapterCard, ParityResult, Sampling
from blogtwin.runtimes.base import Runtime, with_system
from blogtwin.stages.parity_prompts import Prompt, prompts
from blogtwin.training.hardware import detect_hardware_platform
from blogtwin.training.precision import Precision
from blogtwin.training.threads import limited
from blogtwin.workspace import Workspace

_ASKING = 45.0  # seconds that the runtime is asked for, once the fewest prompts are answered
_FEWEST = 6
_ENDING = 20.0  # seconds that one answer may take to come to its end
_WRITING = 20.0  # seconds that the reference writes answers of its own, for the voice
_SEED = 7
_BY_CHANCE = 0.001  # a difference in voice that chance makes less often than this is none of chance's


@dataclass(frozen=True)
class _Bound:
    """rounding: the share of the logits' spread by which two may change places. apart: of tokens, more than that far off."""

    rounding: float
    apart: float


# Measured on a small Llama tuned on a blog (docs/deployment.md): rounding moves a logit by 0.03% of the spread of all logits in
# F16, by 1% in Q8_0, by 2.0, 2.6 and 4.0% in the K mixes and by 0.7% in a bfloat16 reference. A near tie is three standard
# deviations of the difference of two. Beyond it a mix is allowed more tokens the coarser it is: larger models were not measured.
_FINE = _Bound(0.005, 0.02)
_BOUNDS = {
    "f32": _FINE,
    "f16": _FINE,
    "bf16": _Bound(0.03, 0.02),
    "q8_0": _Bound(0.04, 0.03),
    "q6_k": _Bound(0.09, 0.05),
    "q5_k_m": _Bound(0.12, 0.05),
    "q4_k_m": _Bound(0.18, 0.1),
}
_BFLOAT16 = 0.03


@dataclass(frozen=True)
class _Answer:
    prompt: Prompt
    tokens: list[int]  # of the prompt
    text: str


def parity(
    runtime: Runtime,
    name: str,
    adapter: Path,
    card: AdapterCard,
    settings: Settings,
    workspace: Workspace,
    progress: Progress,
) -> ParityResult:
    """Compare what `name` answers in `runtime` with the adapter in `adapter`.

    `settings.deployment.quantize` is the precision that was deployed. Prompts are those of `workspace.validation`, else the
    test prompts. Raises ProofFailed when less agrees than that precision explains, ModelError when the base is not the one
    that the adapter was trained on, or does not load, and RuntimeUnavailable.
    """
    template, pieces = TEMPLATES[card.template], Pieces(adapter / "tokenizer.json")
    weights = find_base(adapter, card, settings.machine.offline, progress)
    check_base(adapter, card, weights)
    asked = prompts(card, settings, workspace, pieces, template)
    answers = _answers(runtime, name, card, template, asked, pieces, progress)
    precision = Precision.choose(parameters(weights), detect_hardware_platform())
    bound = _bound(settings.deployment.quantize, precision.bf16)
    with limited(precision.threads(settings.machine.threads)):
        found, served, trained = _compared(weights, adapter, precision.bf16, answers, template, pieces, bound, progress)
    gc.collect()  # the reference, which is as large as the base, before anything else is loaded
    result = _result(found, served, trained, len(asked))
    _judge(runtime, result, found, bound, settings.deployment.quantize)
    return result


def _bound(quantization: str, bf16: bool) -> _Bound:
    bound = _BOUNDS[quantization]
    return _Bound(max(bound.rounding, _BFLOAT16), bound.apart) if bf16 else bound


def _answers(
    runtime: Runtime,
    name: str,
    card: AdapterCard,
    template: ChatTemplate,
    asked: Sequence[Prompt],
    pieces: Pieces,
    progress: Progress,
) -> list[_Answer]:
    """The runtime's greedy answers: to all prompts, or to as many as the time allows, but never fewer than _FEWEST."""
    began, out = time.monotonic(), list[_Answer]()
    with progress.task("Asking the deployed twin", len(asked), "answers") as task:
        for prompt in asked:
            if len(out) >= _FEWEST and time.monotonic() - began > _ASKING:
                break
            text = "".join(_in_time(runtime, name, prompt))
            shown = template.prompt(with_system(prompt.messages, card.system))
            out.append(_Answer(prompt, pieces.tokens(shown), text))
            task.advance()
    return out


def _in_time(runtime: Runtime, name: str, prompt: Prompt) -> Iterator[str]:
    began = time.monotonic()
    for piece in runtime.chat(name, prompt.messages, Sampling.greedy(prompt.most)):
        yield piece
        if prompt.to_the_end and time.monotonic() - began > _ENDING:
            return


def _compared(
    base: Path,
    adapter: Path,
    bf16: bool,
    answers: Sequence[_Answer],
    template: ChatTemplate,
    pieces: Pieces,
    bound: _Bound,
    progress: Progress,
) -> tuple[list[Compared], list[str], list[str]]:
    """Each answer beside the reference; and for the voice, answers of the runtime and of the reference to the same prompts.

    Up to the first place where they part the two have the same words, so only the rest is written.
    """
    ends = {number for number in map(pieces.number, (template.turn_end, *template.stop)) if number is not None}
    found, served, trained, writing = list[Compared](), list[str](), list[str](), 0.0
    with progress.task("Comparing it with its adapter", len(answers), "answers") as task:
        reference = Reference(base, adapter, bf16)
        for answer in answers:
            reading = reference.read(answer.tokens)
            one = compare(answer.text, answer.prompt.most, reading, pieces, ends, bound.rounding)
            found.append(one)
            if not answer.prompt.to_the_end and writing < _WRITING:
                began = time.monotonic()
                served.append(answer.text)
                trained.append(
                    answer.text
                    if one.path is None
                    else pieces.text([*one.path, *reading.go_on(one.path, answer.prompt.most - len(one.path), ends)])
                )
                writing += time.monotonic() - began
            task.advance()
    return found, served, trained


def _result(found: Sequence[Compared], served: Sequence[str], trained: Sequence[str], asked: int) -> ParityResult:
    tokens = max(1, sum(one.tokens for one in found))
    voice = voice_difference(served, trained, _SEED)
    remarks = [voice.remark] if voice.remark else []
    if len(found) < asked:
        remarks.append(f"{len(found)} of {asked} prompts were answered in the time there was")
    if not any(one.ended or one.ran_on for one in found):
        remarks.append("no answer came to its end, so that it would stop there was not seen")
    return ParityResult(
        prompts=len(found),
        tokens=sum(one.tokens for one in found),
        agreement=1 - sum(one.near + one.apart for one in found) / tokens,
        near_ties=sum(one.near for one in found) / tokens,
        excess_nats=sum(one.excess for one in found) / tokens,
        ended=sum(one.ended for one in found),
        ran_on=sum(one.ran_on for one in found),
        voice=voice,
        remarks=tuple(remarks),
    )


def _judge(runtime: Runtime, result: ParityResult, found: Sequence[Compared], bound: _Bound, quantization: str) -> None:
    """Raise ProofFailed for what the precision that was deployed does not explain."""
    apart = sum(one.apart for one in found) - result.ran_on  # those are told below, by what they are
    if apart > max(2, bound.apart * result.tokens):  # two tokens in a handful are no share
        worst = max((one.worst for one in found if one.worst), key=lambda one: one.gap)
        raise ProofFailed(
            f"{runtime.name} does not answer as the adapter does: at {apart} of {result.tokens} tokens it is farther off than "
            f"the rounding of {quantization} explains ({result.agreement:.0%} are the adapter's own choice); after "
            f"{worst.after!r} the adapter writes {worst.expected!r}, the deployed twin {worst.found!r}, which is "
            f"{worst.gap:.1f} nats less likely",
            _hint(quantization),
        )
    if 2 * result.ran_on > result.ran_on + result.ended:
        raise ProofFailed(
            f"{runtime.name} does not stop where the twin ends its answers: {result.ran_on} of "
            f"{result.ran_on + result.ended} went on behind the end",
            _hint(quantization),
        )
    voice = result.voice
    if voice and voice.chance is not None and voice.chance < _BY_CHANCE:
        raise ProofFailed(
            f"the deployed twin writes in another voice than its adapter: {voice.standard_errors} standard errors apart over "
            f"{voice.differing} answers, which chance does in {voice.chance:.2%} of cases; {result.agreement:.1%} of "
            f"{result.tokens} tokens agree",
            _hint(quantization),
        )


def _hint(quantization: str) -> str:
    finer = "deploy it finer: --quantize q8_0" if "_k" in quantization else "try the other --runtime, and report it"
    return f"nothing was replaced: the earlier version answers as before; {finer}"
