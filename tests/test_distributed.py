"""Several processes train one twin: the same weights as one process makes, said once, written once, and ended together.

Real processes, started by torchrun and by accelerate, on processors, over loopback. No GPU was to be had: NCCL is not shown
here. accelerate has FSDP for GPUs alone, so for that test it is told that processors are some (`shard`); what is then
sharded, gathered and saved is torch's own FSDP2, over gloo.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from blogtwin import adapter_folder, processes
from blogtwin.cli.app import main
from blogtwin.errors import UsageError
from training_runs import files

TOGETHER = 2
BATCH = 4
# Sums are taken in another order, and what that changes in the last digit the optimizer then carries on; the weights are
# of the order of 0.1. Measured: 2e-7.
ROUNDING = 2e-6
SENTENCES = (
    "The clock in the hall stopped on Tuesday.",
    "My neighbour's bees were in the lime tree by noon.",
    "I have oiled the pivots, and I will charge for the oil.",
)

_WORK = """
import json, os, sys
from blogtwin.cli.app import main
from blogtwin.errors import ModelError
from blogtwin.training import curve

check = curve.check

def failing(entry, rate):
    if entry["step"] == 8 and "loss" in entry and os.environ["RANK"] == "1":
        raise ModelError("this one has had enough", "try again")
    check(entry, rate)

def fail():
    curve.check = failing

def shard():
    from accelerate.state import PartialState
    from accelerate.utils import DistributedType
    os.environ.update(
        ACCELERATE_USE_FSDP="true", FSDP_VERSION="2", FSDP_AUTO_WRAP_POLICY="TRANSFORMER_BASED_WRAP",
        FSDP_RESHARD_AFTER_FORWARD="true", ACCELERATE_TORCH_DEVICE="cpu",
    )
    PartialState._prepare_backend = lambda *_, **__: ("gloo", DistributedType.MULTI_XPU)

for command in json.loads(sys.argv[1]):
    if isinstance(command, str):
        {"fail": fail, "shard": shard}[command]()
    elif code := main(command):
        raise SystemExit(code)
"""


@dataclass(frozen=True)
class Ended:
    """A launcher that has come to its end."""

    code: int
    told: list[dict[str, Any]]
    errors: str

    @property
    def failures(self) -> list[str]:
        """What blogtwin itself said went wrong; launchers add reports of their own."""
        return [line for line in self.errors.splitlines() if line.startswith(("error:", "hint:"))]


def launch(launcher: list[str], folder: Path, *commands: list[str] | str) -> Ended:
    """Run the commands, one after the other, in each of two processes; a word changes what comes after it."""
    (folder / "work.py").write_text(_WORK, "utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    done = subprocess.run(
        [sys.executable, "-m", *launcher, str(port), "work.py", json.dumps(commands)],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,  # a machine that does much else; alone it takes 15 seconds
    )
    results = [json.loads(f"{{{text}") for text in f"\n{done.stdout}".split("\n{")[1:]]
    return Ended(done.returncode, results, done.stderr)


TORCHRUN = ["torch.distributed.run", f"--nproc-per-node={TOGETHER}", "--master-addr=127.0.0.1", "--master-port"]
ACCELERATE = [
    "accelerate.commands.launch", "--multi_gpu", f"--num_processes={TOGETHER}", "--num_machines=1", "--mixed_precision=no",
    "--dynamo_backend=no", "--main_process_ip=127.0.0.1", "--main_process_port",
]  # fmt: skip


def post(day: int) -> str:
    return " ".join(SENTENCES[(day + n) % 3] for n in range(2 + day % 4))


def lines(path: Path, records: list[dict[str, str]]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")


@dataclass(frozen=True)
class Project:
    """folder: with data of which the last batch of an epoch has three rows, for two processes. One process was here."""

    folder: Path
    base: Path

    def command(self, method: str, output: str, *further: str) -> list[str]:
        kind = ["--base-model", str(self.base), "--lora-r", "4"] if method == "sft" else ["--from-adapter", "one-sft"]
        data = "training_data" if method == "sft" else "preferences"
        rate = "0.01" if method == "sft" else "0.001"
        return [
            "finetune", "--method", method, "--data", f"data/{data}.jsonl", *kind, "--output", output, "--max-length", "256",
            "--batch-size", str(BATCH), "--epochs", "2" if method == "sft" else "1", "--lr", rate, "--json", *further,
        ]  # fmt: skip


@pytest.fixture(scope="module")
def project(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project(tmp_path_factory.mktemp("project"), tiny_base)
    examples = [{"instruction": f"Write about day {day}.", "output": post(day)} for day in range(23)]
    pairs = [
        {
            "prompt": f"Write about day {day}.",
            "chosen": post(day),
            "rejected": "In conclusion, clocks are a game changer.",
        }
        for day in range(15)
    ]
    lines(made.folder / "data" / "training_data.jsonl", examples)
    lines(
        made.folder / "data" / "validation.jsonl", [{**one, "output": f"{one['output']} So."} for one in examples[:5]]
    )
    lines(made.folder / "data" / "preferences.jsonl", pairs)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made.folder)
        for method in ("sft", "dpo", "kto"):
            assert main(made.command(method, f"one-{method}")) == 0
    return made


@pytest.fixture(scope="module")
def two(project: Project) -> Ended:
    """All three methods in two processes, and then a run of which one process fails at the eighth step."""
    commands = [project.command(method, f"two-{method}") for method in ("sft", "dpo", "kto")]
    return launch(TORCHRUN, project.folder, *commands, "fail", project.command("sft", "again"))


@pytest.fixture(scope="module")
def again(project: Project, two: Ended) -> Ended:
    """The failed run again, and two with a sharded base, and one with a batch that two cannot share."""
    sharded = [project.command(method, f"sharded-{method}") for method in ("sft", "kto")]
    uneven = project.command("sft", "uneven", "--batch-size", "3")
    return launch(ACCELERATE, project.folder, project.command("sft", "again"), "shard", *sharded, uneven)


def weights(folder: Path) -> dict[str, Any]:
    from safetensors.numpy import load_file

    return load_file(folder / adapter_folder.WEIGHTS)


def same(project: Project, one: str, other: str) -> bool:
    """Whether two adapters, and what was measured on the way to them, are equal to rounding."""
    first, second = (weights(project.folder / name) for name in (one, other))
    logs = [(project.folder / name / "training_log.jsonl").read_text("utf-8").splitlines() for name in (one, other)]
    for mine, theirs in zip(*logs, strict=True):
        figures = [
            {name: value for name, value in json.loads(line).items() if name != "epoch"} for line in (mine, theirs)
        ]
        assert figures[0] == pytest.approx(
            figures[1], rel=2e-4, abs=2e-5
        )  # an epoch is of as many rows as fill each process
    assert first.keys() == second.keys()
    return all(abs(first[name] - second[name]).max() < ROUNDING for name in first)


@pytest.mark.parametrize("method", ["sft", "dpo", "kto"])
def test_two_processes_end_with_the_weights_of_one(method: str, project: Project, two: Ended) -> None:
    assert same(project, f"one-{method}", f"two-{method}")
    made = adapter_folder.load(project.folder / f"two-{method}").card
    assert made.best_step == adapter_folder.load(project.folder / f"one-{method}").card.best_step


def test_only_the_main_process_prints_and_writes(project: Project, two: Ended) -> None:
    assert [result["outputs"] for result in two.told] == [["two-sft"], ["two-dpo"], ["two-kto"]]
    assert two.errors.count("Training\n") == 4
    one, other = (project.folder / name for name in ("one-sft", "two-sft"))
    assert {path.name for path in one.iterdir()} == {path.name for path in other.iterdir()}


def test_a_failure_in_one_process_ends_them_all_and_is_said_once(project: Project, two: Ended) -> None:
    assert two.code == 1
    assert two.failures == ["error: this one has had enough", "hint:  try again"]
    assert not (project.folder / "again" / adapter_folder.CARD).exists()


def test_a_run_that_ended_early_goes_on_to_the_same_bytes(project: Project, two: Ended, again: Ended) -> None:
    assert "going on from step 6 of 12" in again.errors
    assert files(project.folder / "again") == files(project.folder / "two-sft")


def test_a_base_that_is_sharded_ends_with_the_same_weights(project: Project, again: Ended) -> None:
    for method in ("sft", "kto"):
        assert same(project, f"one-{method}", f"sharded-{method}")


def test_a_batch_that_cannot_be_shared_is_refused_once_with_one_that_can(project: Project, again: Ended) -> None:
    assert [result["outputs"] for result in again.told] == [["again"], ["sharded-sft"], ["sharded-kto"]]
    assert again.failures == [
        "error: batch_size is 3, and 2 processes were started: each has to take as many rows of it",
        "hint:  take: --batch-size 4, or start 3 processes",
    ]
    assert again.code == 1  # the launchers' own for any failure
    assert not (project.folder / "uneven").exists()


# --- what one process sees


@pytest.fixture
def second_of_four(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "1", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)


def test_a_process_knows_its_place_from_its_launcher(second_of_four: None) -> None:
    assert (processes.count(), processes.rank(), processes.is_main()) == (4, 1, False)
    assert processes.on_this_machine() == 2
    assert processes.share(8) == 2
    with pytest.raises(UsageError, match="batch_size is 6, and 4 processes") as caught:
        processes.share(6)
    assert "--batch-size 8" in caught.value.hint
    with pytest.raises(UsageError, match="the pipeline is work for one process, and 4 were started"):
        processes.check_alone("the pipeline")


def test_without_a_launcher_there_is_one_and_nothing_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")  # a cluster's own; no launcher gave this process a rank
    monkeypatch.delenv("RANK", raising=False)
    assert (processes.count(), processes.rank(), processes.share(3)) == (1, 0, 3)
    with processes.together(cpu=True), processes.in_turn():
        assert processes.gathered("a") == ["a"]
        assert processes.told("b") == "b"


def test_the_processes_that_only_compute_print_nothing(
    second_of_four: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["finetune", "--nonsense"]) == 2
    assert capsys.readouterr() == ("", "")
