# What to run while developing; `just` alone does what CI does, short of installing things.

default: lint test

# style and types
lint:
    uv run ruff check .
    uv run ruff format --check .
    uv run mypy src

# mend what can be mended
format:
    uv run ruff check --fix .
    uv run ruff format .

# all tests, or those named: just test tests/test_voice.py -k bootstrap
test *args:
    uv run pytest {{args}}

# write the whole resolution, with hashes and without addresses
lock:
    uv lock -q
    uv export -q --all-extras --all-groups --no-emit-project --no-annotate --no-header --format requirements-txt > requirements.lock

# fail when requirements.lock is not what pyproject.toml resolves to
lock-check:
    uv lock -q
    uv export -q --all-extras --all-groups --no-emit-project --no-annotate --no-header --format requirements-txt | diff -q - requirements.lock \
      || { echo "error: requirements.lock is stale" >&2; echo "hint:  just lock" >&2; exit 1; }

# write docs/commands.md from the code
reference:
    uv run typer blogtwin.cli.app utils docs --name blogtwin --title "Commands" --output docs/commands.md

# build the wheel
build:
    uv build --wheel
