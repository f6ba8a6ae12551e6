"""The wordings of instructions, which a user may edit. In: prompts/instructions.yaml. Out: Wordings.

Where the user has no such file, the one that comes with blogtwin is read.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from blogtwin import defaults
from blogtwin.config import DataSettings
from blogtwin.errors import ConfigError
from blogtwin.records import content_id

Task = Literal[
    "topic", "outline", "opening", "outline_opening", "continuation", "ending", "section", "quoting", "rewrite"
]

# What each task may mention, and what it must, because without it the answer could not be guessed from the question.
_MAY: dict[str, set[str]] = {
    "topic": {"title", "words"},
    "outline": {"title", "words"},
    "opening": {"title"},
    "outline_opening": {"title"},
    "continuation": {"title"},
    "ending": {"title"},
    "section": {"title", "heading", "words"},
    "quoting": set(),
    "rewrite": set(),
}
_MUST: dict[str, str] = {"topic": "title", "opening": "title", "section": "heading"}
_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_LATER = frozenset({"rewrite"})  # files that were written before it was there go without
_HINT = "compare it with a fresh one: blogtwin init"


@dataclass(frozen=True)
class Wordings:
    """For each task at least one wording with {placeholders}."""

    by_task: Mapping[str, tuple[str, ...]]

    def instruction(self, task: Task, chosen_by: str, **values: str | Callable[[], int]) -> str:
        """One wording of `task`, filled in. The same `chosen_by` chooses the same one, whatever came before.

        What must be counted is counted only where the wording asks for it.
        """
        wordings = self.by_task[task]
        wording = wordings[int(content_id(chosen_by, task), 16) % len(wordings)]

        def value(match: re.Match[str]) -> str:
            found = values[match.group(1)]
            return found if isinstance(found, str) else str(found())

        return _PLACEHOLDER.sub(value, wording)


def file(settings: DataSettings) -> Path:
    """The file that is read: the user's own, or the one that comes with blogtwin.

    Raises ConfigError when one that was named is not there.
    """
    if settings.instructions_file.is_file():
        return settings.instructions_file
    if settings.instructions_file != DataSettings().instructions_file:
        raise ConfigError(
            f"{settings.instructions_file} is not there",
            "check data.instructions_file, or write one with: blogtwin init",
        )
    return defaults.HERE / "instructions.yaml"


def load(path: Path) -> Wordings:
    """The wordings of a file; of kinds that are newer than it, blogtwin's own.

    Raises ConfigError with its line for what is missing, unknown or no wording.
    """
    import yaml

    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as fault:
        raise ConfigError(f"{path} cannot be read: {fault}", "see the file's rights and encoding (UTF-8)") from fault
    except yaml.YAMLError as fault:
        mark = getattr(fault, "problem_mark", None)
        raise ConfigError(f"{path}, line {mark.line + 1 if mark else 1}: is not YAML", _HINT) from fault
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(f"{path}, line 1: it must hold kinds of instruction with a list of wordings each", _HINT)
    found: dict[str, tuple[str, ...]] = {}
    for key, node in root.value:
        where = f"{path}, line {key.start_mark.line + 1}"
        if key.value not in _MAY:
            near = difflib.get_close_matches(str(key.value), _MAY, n=1)
            raise ConfigError(
                f"{where}: unknown kind {key.value!r}",
                f"did you mean {near[0]!r}?" if near else f"the kinds are: {', '.join(_MAY)}",
            )
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            raise ConfigError(
                f"{where}: {key.value} needs at least one wording, each on a line that begins with `- `", _HINT
            )
        found[key.value] = tuple(_wording(key.value, item, path) for item in node.value)
    own = defaults.HERE / "instructions.yaml"
    for task in _MAY:
        if task in _LATER and task not in found and path != own:
            found[task] = load(own).by_task[task]
        elif task not in found:
            raise ConfigError(f"{path}: it has no wording for {task!r}", _HINT)
    return Wordings(found)


def _wording(task: str, node: object, path: Path) -> str:
    import yaml

    assert isinstance(node, yaml.Node)
    where = f"{path}, line {node.start_mark.line + 1}"
    if not isinstance(node, yaml.ScalarNode) or not node.value.strip():
        raise ConfigError(
            f"{where}: a wording of {task} must be text",
            "put it in quotes when it holds a colon or begins with a bracket",
        )
    known = ", ".join(f"{{{name}}}" for name in sorted(_MAY[task]))
    for name in _PLACEHOLDER.findall(node.value):
        if name not in _MAY[task]:
            raise ConfigError(f"{where}: {task} knows no {{{name}}}", f"it knows: {known or 'none'}")
    if task in _MUST and f"{{{_MUST[task]}}}" not in node.value:
        raise ConfigError(
            f"{where}: a wording of {task} must hold {{{_MUST[task]}}}",
            "without it, nobody could tell from the question what to write",
        )
    return str(node.value).strip()
