"""Everything that can go wrong for a reason a user can act on.

    BlogtwinError                  message, hint; exit code 1
    ├── UsageError                 a flag, a name or a combination that cannot work; exit code 2
    │   └── ConfigError            a configuration file or environment variable
    ├── InputError                 a file or folder that is not what it should be
    │   ├── UnreadableFile         one post; reported and counted, it does not stop the others
    │   ├── BrokenRecord           one line of a JSONL file
    │   ├── NothingUsable          every input was dropped, or there was none
    │   └── UnknownRequest         a judgement on a text that is remembered no more, or never was
    ├── OutputError                a place that cannot be written to, or a full disk
    ├── StoreError                 the database is gone, locked, full, broken or of a newer blogtwin
    ├── ModelError                 a base model, adapter or tokenizer that cannot serve
    ├── RuntimeUnavailable         Ollama or the embedded llama.cpp is not there or did not do what was asked
    └── ProofFailed                what was deployed is not what was trained; nothing was replaced

The command line catches this family alone. Anything else is a bug and keeps its traceback.
"""

from __future__ import annotations

from pathlib import Path


class BlogtwinError(Exception):
    """A failure that a user can act on: `message` names the thing and the fact, `hint` the next step."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(BlogtwinError):
    """A flag, a name or a combination of them that cannot work."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration file or environment variable that cannot be used."""


class InputError(BlogtwinError):
    """A file or folder that is not what it should be."""


class UnreadableFile(InputError):
    """One post that cannot be read; a run over many goes on without it."""


class BrokenRecord(InputError):
    """One line of a JSONL file that is not the record it should be."""

    def __init__(self, path: Path, line: int, reason: str, hint: str = "") -> None:
        super().__init__(f"{path}, line {line}: {reason}", hint)
        self.path = path
        self.line = line


class NothingUsable(InputError):
    """Every input was dropped, or there was none."""


class UnknownRequest(InputError):
    """A judgement on a text that is remembered no more, or never was."""


class OutputError(BlogtwinError):
    """A place that cannot be written to."""


class StoreError(BlogtwinError):
    """The database that service keeps is gone, locked, full, broken or of a newer blogtwin."""


class ModelError(BlogtwinError):
    """A base model, adapter or tokenizer that cannot serve."""


class RuntimeUnavailable(BlogtwinError):
    """A runtime that is not there, or that did not do what was asked of it."""


class ProofFailed(BlogtwinError):
    """What was deployed is not what was trained; the earlier version stays in service."""
