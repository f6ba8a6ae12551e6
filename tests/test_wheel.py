"""The wheel holds everything: it works in an empty folder, far from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

CHECKOUT = Path(__file__).parent.parent


def test_the_built_wheel_works_outside_the_checkout(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")],
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
    )
    [wheel] = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path / "site")
        assert {name.partition("/")[0] for name in packed.namelist()} == {"blogtwin", "blogtwin-0.1.0.dist-info"}
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "blog").mkdir()
    for post in sorted((CHECKOUT / "examples" / "blog").glob("2019-*.md")):
        (elsewhere / "blog" / post.name).write_bytes(post.read_bytes())

    def blogtwin(*arguments: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
        program = "import sys, blogtwin; print(blogtwin.__file__); from blogtwin.cli.app import run; run()"
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            cwd=elsewhere,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    # Without prompts/ and pipeline_config.yaml of the user's own, then with them.
    assert str(tmp_path / "site") in blogtwin("pipeline", "--blog-dir", "blog", "--until", "prepare")
    assert (elsewhere / "data" / "training_data.jsonl").stat().st_size > 0
    blogtwin("init")
    assert (elsewhere / "prompts" / "instructions.yaml").is_file()
    assert "prepare" in blogtwin("pipeline", "--blog-dir", "blog", "--until", "prepare", "--dry-run")
