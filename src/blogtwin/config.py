"""Settings: every default is written here, once.

In: flags, `BLOGTWIN_<SECTION>_<KEY>` environment variables, pipeline_config.yaml. Out: one frozen Settings.
Precedence: flag > environment > file > default.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from annotated_types import Ge, Gt, Le, Lt

from blogtwin.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from blogtwin.config_file import Source

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


def _setting(default: Any, description: str, chosen: bool = False) -> Any:
    """A field with the words that the file, the options and the errors use for it.

    chosen: where nobody gives a value, one is chosen by the size of corpus and base (training/autopilot.py).
    """
    return field(default=default, metadata={"description": description, "chosen": chosen})


Format = Literal[
    "md", "markdown", "mdx", "rmd", "txt", "docx", "html", "htm", "rst", "org", "adoc", "asciidoc", "dj", "ipynb"
]
Method = Literal["sft", "dpo", "kto"]
Part = Literal["code", "math", "tables", "footnotes"]
Private = Literal["email", "phone", "key", "address", "name"]


# Plain dataclasses, checked by pydantic only when settings are loaded: `--help` reads them too, and has 0.3 s.
@dataclass(frozen=True)
class DataSettings:
    """What is read, and how it becomes examples."""

    input_dir: Path = _setting(
        Path("./blogs"), "the folder with your posts, read with its subfolders, or an export of your blog"
    )
    output_dir: Path = _setting(Path("./data"), "where posts and examples are written")
    formats: tuple[Format, ...] = _setting(get_args(Format), "file name endings that are read")
    strict: bool = _setting(False, "whether a file that cannot be read ends the run")
    author: str | None = _setting(
        None, "whose posts these are; others' posts are left out. Empty: whoever signed most of them, or nobody signs"
    )
    language: str | None = _setting(None, "learn from posts in this language alone (en, de, ja, …); empty: from all")
    drop: tuple[Part, ...] = _setting((), "parts of a post that are not learned from: code, math, tables, footnotes")
    drafts: bool = _setting(False, "whether posts marked as drafts are learned from")
    min_words: Annotated[int, Ge(1)] = _setting(40, "shorter posts are left out")
    near_duplicate: Annotated[float, Gt(0), Le(1)] = _setting(
        0.8, "posts that share this much of their five-word sequences count as one"
    )
    split: Annotated[float, Gt(0), Lt(1)] = _setting(0.8, "the share of posts to train on; the rest is held out")
    instructions_file: Path = _setting(Path("./prompts/instructions.yaml"), "the wordings of the instructions")
    seed: Annotated[int, Ge(0)] = _setting(7, "fixes the split and every choice of wording")


@dataclass(frozen=True)
class PrivacySettings:
    """What is replaced by stand-ins before anything is learned."""

    replace: tuple[Private, ...] = _setting(
        get_args(Private), "what is replaced: e-mail addresses, phone numbers, keys and tokens, street addresses, names"
    )
    names: tuple[str, ...] = _setting((), "people and things whose names are replaced wherever they stand")


@dataclass(frozen=True)
class TrainingSettings:
    """How the adapter is trained."""

    base_model: str = _setting(
        "llama3.2:1b",
        "a name from `blogtwin finetune --help`, a Hugging Face folder or repository (org/name@revision), or `starter`",
    )
    method: Method = _setting(
        "sft", "how it learns; sft: from examples; dpo: from pairs of a better and a worse answer; kto: from ratings"
    )
    from_adapter: Path | None = _setting(
        None, "an adapter folder to go on from; dpo and kto need one. Empty: a new adapter on the base model"
    )
    beta: Annotated[float, Gt(0)] = _setting(
        0.1, "with dpo and kto, how closely the twin stays to the reference; higher: closer"
    )
    reference: Path | None = _setting(
        None, "with dpo and kto, the adapter that the twin stays close to; empty: the one it goes on from"
    )
    sft_weight: Annotated[float, Ge(0)] = _setting(
        1.0,
        "with dpo, the weight of learning the better answer as an example, so that the voice does not fade; 0: none",
    )
    replay: tuple[Path, ...] = _setting(
        (), "files of examples that are mixed in, so that voice and skill do not fade; how many: learning.replay"
    )
    epochs: Annotated[float, Gt(0)] = _setting(3.0, "how often each example is seen", chosen=True)
    learning_rate: Annotated[float, Gt(0), Lt(1)] = _setting(2e-4, "the peak step size of AdamW", chosen=True)
    batch_size: Annotated[int, Ge(1)] = _setting(4, "examples a step", chosen=True)
    lora_r: Annotated[int, Ge(1)] = _setting(16, "the rank of the adapter", chosen=True)
    lora_alpha: Annotated[int, Ge(1)] = _setting(32, "the adapter's weight is lora_alpha / lora_r", chosen=True)
    warm_up: Annotated[float, Ge(0), Lt(1)] = _setting(
        0.05, "the share of the steps over which the learning rate rises", chosen=True
    )
    max_length: Annotated[int, Ge(64)] = _setting(1024, "tokens an example may have, prompt and answer together")
    patience: Annotated[int, Ge(1)] = _setting(
        3, "validations without improvement before training stops early", chosen=True
    )
    system_prompt: str = _setting(
        "You write as the author of this blog, in the author's own voice.",
        "what the twin is told before every conversation, in training and in service",
    )
    seed: Annotated[int, Ge(0)] = _setting(7, "fixes weights, order and dropout")


@dataclass(frozen=True)
class DeploymentSettings:
    """Where the twin is served, and how it chooses its words."""

    model_name: str = _setting("blogging-twin:latest", "the twin's name in Ollama or the embedded llama.cpp")
    ollama_base_url: str = _setting("http://127.0.0.1:11434", "where Ollama answers")
    runtime: Literal["auto", "ollama", "llama-cpp", "openai"] = _setting(
        "auto",
        "auto: Ollama when it answers, else the embedded llama.cpp; openai: the endpoint below, which can write alone",
    )
    openai_base_url: str | None = _setting(
        None,
        "an OpenAI-compatible endpoint (vLLM, llama-server, LM Studio), which has names of its own for its models; "
        "a key for it belongs into the variable BLOGTWIN_OPENAI_API_KEY",
    )
    quantize: Literal["f32", "f16", "bf16", "q8_0", "q6_k", "q5_k_m", "q4_k_m"] = _setting(
        "q8_0", "the precision of the deployed weights: f32, f16, bf16, q8_0, q6_k, q5_k_m or q4_k_m"
    )
    mode: Literal["merged", "adapter"] = _setting(
        "merged",
        "merged: one file, base and adapter in one; adapter: a few megabytes a twin, beside a base that twins share",
    )
    keep: Annotated[int, Ge(1)] = _setting(
        3,
        "how many dated versions of a twin stay in the runtime; older ones are removed after a deploy, a promotion or a turn",
    )
    temperature: Annotated[float, Ge(0), Le(2)] = _setting(0.7, "0: always the likeliest word; higher: more surprising")
    top_p: Annotated[float, Gt(0), Le(1)] = _setting(
        0.9, "choose among the likeliest words that reach this probability together"
    )
    top_k: Annotated[int, Ge(1)] = _setting(40, "choose among at most this many words")
    min_p: Annotated[float, Ge(0), Le(1)] = _setting(
        0.05, "leave out words less likely than this share of the likeliest"
    )
    repeat_penalty: Annotated[float, Ge(0.5), Le(2)] = _setting(
        1.0, "1: none, as in training; Ollama's own default is 1.1"
    )


@dataclass(frozen=True)
class EvaluationSettings:
    """How the twin is measured."""

    run_after_training: bool = _setting(True, "whether `blogtwin pipeline` ends with an evaluation")
    test_prompts_file: Path = _setting(Path("./prompts/test_prompts.txt"), "one evaluation prompt a line")
    samples: Annotated[int, Ge(2)] = _setting(
        12,
        "answers to held-out titles; with fewer titles, each is answered several times for the voice; more: narrower "
        "intervals, longer runs",
    )
    max_tokens: Annotated[int, Ge(16)] = _setting(500, "the length of each answer, in tokens")
    perplexity_examples: Annotated[int, Ge(1)] = _setting(
        200, "held-out examples that the perplexity is taken over at most, spread over the posts; fewer: quicker"
    )
    few_shot_posts: Annotated[int, Ge(0), Le(8)] = _setting(
        3, "how many of your posts the base is shown for comparison with the twin; 0: it is not compared"
    )
    few_shot_words: Annotated[int, Ge(50)] = _setting(
        250, "how many words of each of these posts; more cost a processor a long time"
    )
    concurrency: Annotated[int, Ge(1)] | None = _setting(
        None,
        "prompts asked at the same time; empty: as many as the runtime takes; 1: slower, and the same words in each run",
    )
    others: Path | None = _setting(
        None, "a folder with a subfolder of posts for each of some other writers: imposters for the authorship test"
    )
    judge: str | None = _setting(
        None, "a model of the same runtime that gives its opinion on the answers, such as llama3.1:8b; empty: none"
    )
    seed: Annotated[int, Ge(0)] = _setting(7, "fixes the answers and the intervals")


@dataclass(frozen=True)
class ServerSettings:
    """Where the page and the API are served, and to whom."""

    host: str = _setting(
        "127.0.0.1", "the address to listen on; on any but this machine's own, clients must send the token"
    )
    port: Annotated[int, Ge(0), Le(65535)] = _setting(8000, "the port to listen on")
    token: str | None = _setting(
        None,
        "what clients must send (Authorization: Bearer …); empty: none on this machine, a new one on other addresses",
    )
    names: tuple[str, ...] = _setting((), "names other than localhost under which browsers may open the page")
    max_request_kb: Annotated[int, Ge(16)] = _setting(2048, "the largest request that is read")
    per_minute: Annotated[int, Ge(1)] = _setting(60, "how many texts one client may ask for in a minute")
    idle_minutes: Annotated[float, Gt(0)] = _setting(
        15.0, "after so long without a question the embedded llama.cpp gives its memory back"
    )


@dataclass(frozen=True)
class FeedbackSettings:
    """Where what readers prefer is kept, and for how long."""

    database_url: str | None = _setting(
        None, "postgresql://NAME:PASSWORD@HOST/DATABASE; empty: SQLite, in ~/.blogtwin/feedback.db"
    )
    context_minutes: Annotated[float, Gt(0)] = _setting(
        15.0, "how long a text that nobody has judged is remembered, so that it still can be"
    )
    retention_days: Annotated[int, Ge(1)] | None = _setting(
        None, "feedback older than this is deleted; empty: it is kept until you delete it"
    )
    like_target: Annotated[float, Gt(0), Lt(1)] = _setting(0.85, "the like rate that the weekly report asks for")


@dataclass(frozen=True)
class LearningSettings:
    """When a twin learns from feedback, and when a new version may take over."""

    minimum: Annotated[int, Ge(3)] = _setting(20, "new judgements that are worth a training; 3 is the least")
    method: Literal["auto", "sft", "dpo", "kto"] = _setting(
        "auto", "auto: dpo where there are pairs enough, kto where there are ratings alone"
    )
    least: Annotated[int, Ge(3)] = _setting(3, "the fewest pairs (dpo) or ratings (kto) that finetune learns from")
    replay: Annotated[float, Ge(0), Le(1)] = _setting(
        0.5, "training examples mixed in for each judgement, so that voice and skill do not fade; 0: none"
    )
    schedule: str = _setting("0 2 * * *", "when a running server learns by itself, in cron's words: at 02:00")
    scheduled: bool = _setting(False, "whether a running server learns by itself")
    shares: tuple[Annotated[int, Ge(1), Le(100)], ...] = _setting(
        (10, 50, 100), "per cent of requests that a new version gets, step by step"
    )
    error_rate: Annotated[float, Gt(0), Lt(0.5)] = _setting(
        0.05, "how often a version that is no better may be promoted by chance"
    )


@dataclass(frozen=True)
class MachineSettings:
    """What this machine may do."""

    threads: Annotated[int, Ge(1)] | None = _setting(None, "processor threads; empty: as many as there are cores")
    offline: bool = _setting(False, "true forbids every download")
    backend: Literal["auto", "transformers", "unsloth", "mlx"] = _setting(
        "auto", "what trains; auto: the best that this machine can use, see `blogtwin doctor`"
    )


@dataclass(frozen=True)
class Settings:
    """All sections together. given: what the user decided by flag, environment or file, as (section, key)."""

    data: DataSettings = DataSettings()
    privacy: PrivacySettings = PrivacySettings()
    training: TrainingSettings = TrainingSettings()
    deployment: DeploymentSettings = DeploymentSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    server: ServerSettings = ServerSettings()
    feedback: FeedbackSettings = FeedbackSettings()
    learning: LearningSettings = LearningSettings()
    machine: MachineSettings = MachineSettings()
    given: frozenset[tuple[str, str]] = frozenset()


SECTIONS: dict[str, dict[str, Field[Any]]] = {
    section: {key.name: key for key in fields(getattr(Settings, section))}
    for section in (
        "data",
        "privacy",
        "training",
        "deployment",
        "evaluation",
        "server",
        "feedback",
        "learning",
        "machine",
    )
}

Overrides = Annotated[Mapping[str, Mapping[str, object]], "section → key → value; None means: not given"]


def load_settings(config: Path | None = None, overrides: Overrides | None = None) -> Settings:
    """Settings from flags (`overrides`), the environment, a file and the defaults, in that order of precedence.

    config: the file to read; None reads ./pipeline_config.yaml when there is one.
    Raises ConfigError that names the file and the line, the variable or the flag, and the remedy.
    """
    from pydantic import TypeAdapter, ValidationError

    from blogtwin.modelfile import unwritable

    if config is None and CONFIG_FILE.is_file():
        config = CONFIG_FILE
    merged: dict[str, dict[str, object]] = {section: {} for section in SECTIONS}
    origin: dict[tuple[str, str], str] = {}
    for source in (_from_file(config), _from_environment(os.environ), _from_flags(overrides or {})):
        for (section, key), (value, where) in source.items():
            merged[section][key] = value.lower() if key == "quantize" and isinstance(value, str) else value
            origin[section, key] = where
    try:
        settings = TypeAdapter(Settings).validate_python(merged)
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        place = (str(first["loc"][0]), str(first["loc"][1]))
        name = ".".join(place)
        raise ConfigError(
            f"{origin.get(place, 'the settings')}: {name} is {first['input']!r}: {first['msg'].lower()}",
            f"{name}: {_description(place)}",
        ) from fault
    if reason := unwritable(settings.training.system_prompt):
        raise ConfigError(
            f"{origin.get(('training', 'system_prompt'), 'the settings')}: no Modelfile can hold this system prompt: {reason}",
            "reword training.system_prompt: the twin is told it before every conversation, by Ollama too",
        )
    if settings.deployment.runtime != "openai":  # whose server calls its models as it likes
        named = replace(settings.deployment, model_name=model_name(settings.deployment.model_name))
        settings = replace(settings, deployment=named)
    return replace(settings, given=frozenset(place for place in origin if _decided(place, settings, origin[place])))


def _decided(place: tuple[str, str], settings: Settings, where: str) -> bool:
    """Whether the user decided this: the file that `init` wrote holds most defaults, which decide nothing."""
    if SECTIONS[place[0]][place[1]].metadata["chosen"]:
        return True  # there it stands behind a #
    value, default = (getattr(getattr(one, place[0]), place[1]) for one in (settings, Settings()))
    return where.startswith(("--", "BLOGTWIN_")) or value != default


def _from_flags(overrides: Overrides) -> Source:
    return {
        (section, key): (value, f"--{key.replace('_', '-')}")
        for section, values in overrides.items()
        for key, value in values.items()
        if value is not None
    }


def _from_file(path: Path | None) -> Source:
    if path is None:
        return {}
    from blogtwin import config_file

    return config_file.read(path)


def _from_environment(environment: Mapping[str, str]) -> Source:
    import yaml

    found: Source = {}
    for section, keys in SECTIONS.items():
        for key in keys:
            variable = f"BLOGTWIN_{section}_{key}".upper()
            if variable in environment:
                found[section, key] = (yaml.safe_load(environment[variable]), variable)
    return found


def _description(place: tuple[str, str]) -> str:
    section, key = place
    setting = SECTIONS[section].get(key)
    return f"{setting.metadata['description']} (by default {setting.default})" if setting else "see: blogtwin init"
