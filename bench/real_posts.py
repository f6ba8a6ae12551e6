"""A twin of real posts, measured: held-out perplexity of base and twin, and the voice score with its interval.

    uv run python bench/real_posts.py POSTS BASE [--epochs 3] [--lr 2e-3]

POSTS is a folder of posts, BASE a Hugging Face folder. Both sides, base and twin, are measured in the one run; the last
line is their ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("posts", type=Path)
    parser.add_argument("base", type=Path)
    parser.add_argument("--epochs", default="3")
    parser.add_argument("--lr", default="2e-3")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as cwd:
        began = time.monotonic()
        subprocess.run(
            [
                *(sys.executable, "-m", "blogtwin", "pipeline", "--model-name", "bench", "--runtime", "llama-cpp"),
                *("--blog-dir", str(wanted.posts.resolve()), "--base-model", str(wanted.base.resolve())),
                *("--epochs", wanted.epochs, "--lr", wanted.lr),
            ],
            cwd=cwd,
            env={**os.environ, "BLOGTWIN_HOME": str(Path(cwd) / "home")},
            check=True,
        )
        report = json.loads((Path(cwd) / "results" / "eval_report.json").read_text("utf-8"))
    base, twin = report["perplexity_base"], report["perplexity"]
    print(f"\nperplexity: base {base:.1f}, twin {twin:.1f}, ratio {twin / base:.2f}; {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
