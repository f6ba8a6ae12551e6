"""The house keeps its shape: who may import whom, how long a file may be, who may print, and what starts fast."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import blogtwin

HOUSE = Path(blogtwin.__file__).parent
ROOMS = ("sources", "cleaning", "dataset", "training", "export", "runtimes", "evaluation", "writing", "feedback")
# Each layer may import those below it, and itself; a room may not import another room.
LAYERS = {
    "cli": 4,
    "__main__": 4,
    "pipeline": 3,
    "diagnosis": 3,
    "drafting": 3,
    "server": 3,
    "stages": 2,
    **dict.fromkeys(ROOMS, 1),
}
FILES = sorted(HOUSE.rglob("*.py"))
HEAVY = (
    "pydantic",
    "yaml",
    "torch",
    "transformers",
    "trl",
    "peft",
    "datasets",
    "pandas",
    "numpy",
    "docx",
    "gguf",
    "xllamacpp",
    "matplotlib",
    "fastapi",
    "sqlalchemy",
)


def room(module: str) -> str:
    """The room or layer of blogtwin.ROOM.…; root modules have none."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def imports(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
    return [name for name in found if name.startswith("blogtwin.")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(HOUSE)))
def test_imports_go_down_and_never_sideways(path: Path) -> None:
    own = path.relative_to(HOUSE).with_suffix("").parts[0]
    for name in imports(path):
        other = room(name)
        assert LAYERS.get(other, 0) <= LAYERS.get(own, 0), f"{path} imports {name}, which lies above it"
        if own in ROOMS and other in ROOMS:
            assert own == other, f"{path} imports {name}, a room beside it"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(HOUSE)))
def test_a_file_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 400


def test_only_the_command_line_prints_or_exits() -> None:
    for path in FILES:
        if path.relative_to(HOUSE).parts[0] == "cli":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"print", "exit", "quit"}, f"{path}:{node.lineno}"


@pytest.mark.parametrize(
    "command",
    [
        "",
        "init",
        "pipeline",
        "ingest",
        "prepare-dataset",
        "finetune",
        "deploy",
        "evaluate",
        "quiz",
        "write",
        "rewrite",
        "serve",
        "learn",
        "models list",
        "models rollback",
        "feedback stats",
        "feedback import",
        "feedback export",
        "feedback forget",
        "doctor",
    ],
)
def test_help_loads_nothing_heavy(command: str) -> None:
    script = (
        "import sys, resource\n"
        "from blogtwin.cli.app import main\n"
        f"code = main([*{command.split()!r}, '--help'])\n"
        f"heavy = sorted(set({HEAVY!r}) & set(sys.modules))\n"
        "print(code, heavy, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr.strip() == "0 []"
    assert "Usage" in done.stdout
