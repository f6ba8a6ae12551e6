"""pipeline_config.yaml, read and written: what it says and on which line, and the commented one that `blogtwin init` gives."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import yaml

from blogtwin.config import SECTIONS, Settings
from blogtwin.errors import ConfigError

Source = dict[tuple[str, str], tuple[object, str]]  # (section, key) → (value, where it was said)
_CHOSEN = "; chosen by the size of corpus and base unless you give it"


def read(path: Path) -> Source:
    """What the file says. Raises ConfigError with its line for what is no YAML, unknown, or has no `key: value` lines."""
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except FileNotFoundError as fault:
        raise ConfigError(f"{path} is not there", "write one with: blogtwin init") from fault
    except (OSError, UnicodeDecodeError) as fault:
        raise ConfigError(f"{path} cannot be read: {fault}", "see the file's rights and encoding (UTF-8)") from fault
    except yaml.MarkedYAMLError as fault:
        line = fault.problem_mark.line + 1 if fault.problem_mark else 1
        raise ConfigError(
            f"{path}, line {line}: is not YAML: {fault.problem}", "compare it with a fresh one: blogtwin init"
        ) from fault
    if root is None:
        return {}
    found: Source = {}
    for section, node, line in _entries(root, path, "the file"):
        _known(section, list(SECTIONS), f"{path}, line {line}")
        for key, value, line in _entries(node, path, section):
            _known(key, list(SECTIONS[section]), f"{path}, line {line}: {section}")
            found[section, key] = (_constructed(value), f"{path}, line {line}")
    return found


def _entries(node: yaml.Node, path: Path, what: str) -> list[tuple[str, yaml.Node, int]]:
    if isinstance(node, yaml.ScalarNode) and node.value == "":
        return []
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(
            f"{path}, line {node.start_mark.line + 1}: {what} must hold `key: value` lines",
            "compare it with a fresh one: blogtwin init",
        )
    return [(str(key.value), value, key.start_mark.line + 1) for key, value in node.value]


def _constructed(node: yaml.Node) -> Any:
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node, deep=True)
    finally:
        loader.dispose()


def _known(key: str, known: list[str], where: str) -> None:
    if key in known:
        return
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
    raise ConfigError(f"{where}: unknown key {key!r}", hint)


def commented_yaml(settings: Settings | None = None) -> str:
    """pipeline_config.yaml with every key, its value and what it is for; what is left to be chosen stands behind a #."""
    settings = settings or Settings()
    out = [
        "# Blogtwin's settings. Flags and BLOGTWIN_<SECTION>_<KEY> environment variables go before this file.",
        "# Paths are relative to the folder blogtwin is run in.",
    ]
    for section in SECTIONS:
        values = getattr(settings, section)
        out += ["", f"# {(type(values).__doc__ or '').strip()}", f"{section}:"]
        for key, setting in SECTIONS[section].items():
            value, chosen = getattr(values, key), setting.metadata["chosen"]
            out.append(f"  # {setting.metadata['description']}{_CHOSEN if chosen else ''}")
            behind = "# " if chosen and value == setting.default else ""
            out.append(f"  {behind}{key}: {_yaml_value(value)}")
    return "\n".join(out) + "\n"


def _yaml_value(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value < 0.001:
        return f"{value:f}".rstrip("0")
    if isinstance(value, tuple):
        return f"[{', '.join(str(item) for item in value)}]"
    if isinstance(value, Path):
        return f"./{value.as_posix()}" if not value.is_absolute() else value.as_posix()
    return yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("\n").removesuffix("...").strip()
