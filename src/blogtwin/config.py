"""Settings: every default is written here, once.

In: flags, `BLOGTWIN_<SECTION>_<KEY>` environment variables, pipeline_config.yaml. Out: one frozen Settings.
Precedence: flag > environment > file > default. `commented_yaml()` writes the file that `blogtwin init` gives.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from blogtwin.errors import ConfigError, UsageError

CONFIG_FILE = Path("pipeline_config.yaml")
_MODEL_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}(?::[A-Za-z0-9][A-Za-z0-9._-]{0,63})?")


def model_name(name: str) -> str:
    """`name` with its tag (`latest` where none is given). Raises UsageError for what no runtime would take."""
    if not _MODEL_NAME.fullmatch(name) or ".." in name:
        raise UsageError(
            f"{name!r} cannot be a model name",
            "use lower-case letters, digits, '.', '_' and '-', and a tag if you like: --model-name my-twin:latest",
        )
    return name if ":" in name else f"{name}:latest"


ModelName = Annotated[str, AfterValidator(model_name)]


class Section(BaseModel):
    """One section of the file: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DataSettings(Section):
    """What is read, and how it becomes examples."""

    input_dir: Path = Field(Path("./blogs"), description="the folder with your posts, read with its subfolders")
    output_dir: Path = Field(Path("./data"), description="where posts and examples are written")
    formats: tuple[Literal["md", "markdown", "txt", "docx"], ...] = Field(
        ("md", "markdown", "txt", "docx"), description="file name endings that are read"
    )
    drafts: bool = Field(False, description="whether posts marked as drafts are learned from")
    min_words: int = Field(40, ge=1, description="shorter posts are left out")
    near_duplicate: float = Field(
        0.8, gt=0, le=1, description="posts that share this much of their five-word sequences count as one"
    )
    split: float = Field(0.8, gt=0, lt=1, description="the share of posts to train on; the rest is held out")
    instructions_file: Path = Field(Path("./prompts/instructions.yaml"), description="the wordings of the instructions")
    seed: int = Field(7, ge=0, description="fixes the split and every choice of wording")


class TrainingSettings(Section):
    """How the adapter is trained."""

    base_model: str = Field(
        "llama3.2:1b", description="a name from `blogtwin finetune --help`, a Hugging Face folder, or `starter`"
    )
    method: Literal["sft"] = Field("sft", description="sft: learn from examples")
    epochs: float = Field(3.0, gt=0, description="how often each example is seen")
    learning_rate: float = Field(2e-4, gt=0, lt=1, description="the peak step size of AdamW")
    batch_size: int = Field(4, ge=1, description="examples a step")
    lora_r: int = Field(16, ge=1, description="the rank of the adapter")
    lora_alpha: int = Field(32, ge=1, description="the adapter's weight is lora_alpha / lora_r")
    max_length: int = Field(1024, ge=64, description="tokens an example may have, prompt and answer together")
    patience: int = Field(3, ge=1, description="validations without improvement before training stops early")
    system_prompt: str = Field(
        "You write as the author of this blog, in the author's own voice.",
        description="what the twin is told before every conversation, in training and in service",
    )
    seed: int = Field(7, ge=0, description="fixes weights, order and dropout")


class DeploymentSettings(Section):
    """Where the twin is served, and how it chooses its words."""

    model_name: ModelName = Field(
        model_name("blogging-twin"), description="the twin's name in Ollama or the embedded llama.cpp"
    )
    ollama_base_url: str = Field("http://127.0.0.1:11434", description="where Ollama answers")
    runtime: Literal["auto", "ollama", "llama-cpp"] = Field(
        "auto", description="auto: Ollama when it answers, else the embedded llama.cpp"
    )
    quantize: Literal["f16", "q8_0"] = Field("q8_0", description="the precision of the deployed weights: f16 or q8_0")
    temperature: float = Field(0.7, ge=0, le=2, description="0: always the likeliest word; higher: more surprising")
    top_p: float = Field(
        0.9, gt=0, le=1, description="choose among the likeliest words that reach this probability together"
    )
    top_k: int = Field(40, ge=1, description="choose among at most this many words")
    min_p: float = Field(0.05, ge=0, le=1, description="leave out words less likely than this share of the likeliest")
    repeat_penalty: float = Field(1.0, ge=0.5, le=2, description="1: none, as in training; Ollama's own default is 1.1")


class EvaluationSettings(Section):
    """How the twin is measured."""

    run_after_training: bool = Field(True, description="whether `blogtwin pipeline` ends with an evaluation")
    test_prompts_file: Path = Field(Path("./prompts/test_prompts.txt"), description="one evaluation prompt a line")
    samples: int = Field(
        12, ge=2, description="held-out titles that are answered; more: narrower intervals, longer runs"
    )
    max_tokens: int = Field(300, ge=16, description="the length of each answer, in tokens")
    seed: int = Field(7, ge=0, description="fixes the answers and the intervals")


class MachineSettings(Section):
    """What this machine may do."""

    threads: int | None = Field(None, ge=1, description="processor threads; empty: as many as there are cores")
    offline: bool = Field(False, description="true forbids every download")


class Settings(Section):
    """All sections together."""

    data: DataSettings = DataSettings()
    training: TrainingSettings = TrainingSettings()
    deployment: DeploymentSettings = DeploymentSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    machine: MachineSettings = MachineSettings()


_KEYS = {name: type(getattr(Settings(), name)).model_fields for name in Settings.model_fields}

Overrides = Annotated[Mapping[str, Mapping[str, object]], "section → key → value; None means: not given"]


def load_settings(config: Path | None = None, overrides: Overrides | None = None) -> Settings:
    """Settings from flags (`overrides`), the environment, a file and the defaults, in that order of precedence.

    config: the file to read; None reads ./pipeline_config.yaml when there is one.
    Raises ConfigError that names the file and the line, the variable or the flag, and the remedy.
    """
    if config is None and CONFIG_FILE.is_file():
        config = CONFIG_FILE
    merged: dict[str, dict[str, object]] = {section: {} for section in Settings.model_fields}
    origin: dict[tuple[str, ...], str] = {}
    for source in (_from_file(config), _from_environment(os.environ), _from_flags(overrides or {})):
        for (section, key), (value, where) in source.items():
            merged[section][key] = value
            origin[section, key] = where
    try:
        return Settings.model_validate(merged)
    except UsageError as refusal:  # raised inside a validator, already worded for the user
        raise refusal
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        place = tuple(str(part) for part in first["loc"][:2])
        name = ".".join(place)
        raise ConfigError(
            f"{origin.get(place, 'the settings')}: {name} is {first['input']!r}: {first['msg'].lower()}",
            f"{name}: {_description(place)}",
        ) from fault


def commented_yaml(settings: Settings | None = None) -> str:
    """pipeline_config.yaml with every key, its value and what it is for."""
    settings = settings or Settings()
    out = [
        "# Blogtwin's settings. Flags and BLOGTWIN_<SECTION>_<KEY> environment variables go before this file.",
        "# Paths are relative to the folder blogtwin is run in.",
    ]
    for section in Settings.model_fields:
        values = getattr(settings, section)
        out += ["", f"# {(type(values).__doc__ or '').strip()}", f"{section}:"]
        for key, info in type(values).model_fields.items():
            out += [f"  # {info.description}", f"  {key}: {_yaml_value(getattr(values, key))}"]
    return "\n".join(out) + "\n"


Source = dict[tuple[str, str], tuple[object, str]]  # (section, key) → (value, where it was said)


def _from_flags(overrides: Overrides) -> Source:
    return {
        (section, key): (value, f"--{key.replace('_', '-')}")
        for section, values in overrides.items()
        for key, value in values.items()
        if value is not None
    }


def _from_environment(environment: Mapping[str, str]) -> Source:
    found: Source = {}
    for section, keys in _KEYS.items():
        for key in keys:
            variable = f"BLOGTWIN_{section}_{key}".upper()
            if variable in environment:
                found[section, key] = (yaml.safe_load(environment[variable]), variable)
    return found


def _from_file(path: Path | None) -> Source:
    if path is None:
        return {}
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
        _known(section, list(_KEYS), f"{path}, line {line}")
        for key, value, line in _entries(node, path, section):
            _known(key, list(_KEYS[section]), f"{path}, line {line}: {section}")
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


def _description(place: tuple[str, ...]) -> str:
    section, key = place[0], place[-1]
    info = _KEYS.get(section, {}).get(key)
    return f"{info.description} (by default {info.default})" if info else "see: blogtwin init"


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
