"""Is a twin in service what was trained? Every proof of a deploy, for a name in a runtime, changing nothing.

In: a name, the record of its deployment and its adapter folder. Out: the figures of the proofs, or a ProofFailed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from blogtwin.adapter_folder import WEIGHTS, read_card
from blogtwin.config import Settings
from blogtwin.errors import InputError, ProofFailed
from blogtwin.manifest import hash_file
from blogtwin.progress import Progress
from blogtwin.records import AdapterCard, Artifact, Deployment, ParityResult
from blogtwin.runtimes.base import Runtime
from blogtwin.runtimes.choose import choose
from blogtwin.stages.parity import parity
from blogtwin.stages.proof import as_sent, prove, speaks, template_of
from blogtwin.stages.result import StageResult
from blogtwin.workspace import Workspace, deployment


@dataclass(frozen=True)
class Proofs:
    """What was proved of a twin. prompts: conversations that were rendered and counted as in training."""

    prompts: int
    parity: ParityResult

    def figures(self) -> dict[str, float]:
        """For a manifest."""
        return {"prompts_proved": self.prompts, **self.parity.figures()}


def run(name: str, settings: Settings, workspace: Workspace, progress: Progress) -> StageResult:
    """Prove the twin called `name` as a deploy does.

    Raises InputError when it was never deployed, is not served any more, or its adapter folder is gone or was trained again;
    ProofFailed with the first difference; RuntimeUnavailable, ModelError.
    """
    twin = deployment(name)
    again = f"make it again with: blogtwin deploy --model-path {twin.adapter} --model-name {twin.name}"
    runtime = choose(twin.runtime, settings.deployment.ollama_base_url, settings.machine.threads)
    if twin.name not in runtime.names():
        raise InputError(f"{twin.name} was deployed, but {runtime.name} does not have it any more", again)
    card = _card(twin, again)
    deployed = replace(settings.deployment, model_name=twin.name, quantize=twin.artifact.quantization)
    settings = replace(settings, deployment=deployed)
    try:
        proofs = examine(runtime, twin.name, twin.artifact, Path(twin.adapter), card, settings, workspace, progress)
    except ProofFailed as fault:
        raise ProofFailed(fault.message, again) from fault
    notes = (
        f"{twin.name} in {runtime.name} is what was trained in {twin.adapter}; nothing was changed",
        *proofs.parity.remarks,
    )
    return StageResult("verify", proofs.figures(), (), notes)


def examine(
    runtime: Runtime,
    name: str,
    artifact: Artifact,
    adapter: Path,
    card: AdapterCard,
    settings: Settings,
    workspace: Workspace,
    progress: Progress,
) -> Proofs:
    """Settings, prompts, tokens, ends and answers of `name` against its artifact and adapter.

    Raises ProofFailed at the first that differs. settings: of a deploy that would make this artifact.
    """
    template = template_of(adapter, card)
    as_sent(runtime, name, artifact)
    proved = prove(runtime, name, template, card.system, adapter / "tokenizer.json", progress)
    speaks(runtime, name, artifact.sampling, template)
    return Proofs(proved, parity(runtime, name, adapter, card, settings, workspace, progress))


def _card(twin: Deployment, again: str) -> AdapterCard:
    adapter = Path(twin.adapter)
    if not (adapter / WEIGHTS).is_file():
        raise InputError(
            f"{adapter} is gone: {twin.name} was made from the adapter there, and there is nothing else to compare it with",
            "bring the folder back, or train again with: blogtwin finetune",
        )
    if twin.adapter_sha256 and hash_file(adapter / WEIGHTS) != twin.adapter_sha256:
        raise InputError(
            f"{adapter} has been trained again since {twin.name} was made from it: what was trained then is not there any more",
            again,
        )
    return read_card(adapter)
