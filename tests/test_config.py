"""Settings: one place for defaults, a fixed precedence, and errors that name the line and the remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from blogtwin.config import Settings, load_settings, model_name
from blogtwin.config_file import commented_yaml
from blogtwin.errors import ConfigError, UsageError


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(text: str) -> Path:
    path = Path("pipeline_config.yaml")
    path.write_text(text, encoding="utf-8")
    return path


def test_the_file_that_init_writes_says_exactly_the_defaults() -> None:
    assert load_settings(write(commented_yaml())) == Settings()


def test_a_flag_goes_before_the_environment_before_the_file_before_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    write("training:\n  epochs: 5\n  lora_r: 8\n  batch_size: 2\n")
    monkeypatch.setenv("BLOGTWIN_TRAINING_EPOCHS", "6")
    monkeypatch.setenv("BLOGTWIN_TRAINING_LORA_R", "12")
    training = load_settings(None, {"training": {"epochs": 7.0, "lora_r": None}}).training
    assert (training.epochs, training.lora_r, training.batch_size) == (7.0, 12, 2)
    assert training.learning_rate == Settings().training.learning_rate


def test_numbers_written_as_people_write_them_are_numbers() -> None:
    assert load_settings(write("training:\n  learning_rate: 2e-3\n")).training.learning_rate == 0.002


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("training:\n  epoch: 3\n", "line 2: training: unknown key 'epoch'", "did you mean 'epochs'?"),
        ("trianing:\n  epochs: 3\n", "line 1: unknown key 'trianing'", "did you mean 'training'?"),
        ("data:\n  zzz: 1\n", "unknown key 'zzz'", "known keys: input_dir"),
        ("training:\n  epochs: many\n", "line 2: training.epochs is 'many'", "how often"),
        ("training:\n  epochs: -1\n", "line 2: training.epochs is -1", "how often"),
        ("data:\n  formats: [md, exe]\n", "data.formats is 'exe'", "file name endings"),
        ("training: 3\n", "line 1: training must hold `key: value` lines", "blogtwin init"),
        ("- a\n", "line 1: the file must hold", "blogtwin init"),
        ("training:\n  epochs: [\n", "is not YAML", "blogtwin init"),
        ('training:\n  system_prompt: "a \\"\\"\\"\\nFROM b"\n', "line 2: no Modelfile can hold", "reword"),
        ("deployment:\n  model_name: ../x\n", "'../x' cannot be a model name", "--model-name"),
    ],
)
def test_a_wrong_file_is_refused_with_line_and_remedy(text: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as refusal:
        load_settings(write(text))
    assert message in refusal.value.message
    assert hint in refusal.value.hint
    assert refusal.value.exit_code == 2


def test_a_wrong_environment_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLOGTWIN_DATA_SPLIT", "2")
    with pytest.raises(ConfigError, match=r"BLOGTWIN_DATA_SPLIT: data\.split is 2"):
        load_settings()


def test_a_file_that_was_asked_for_must_be_there() -> None:
    with pytest.raises(ConfigError, match=r"mine\.yaml is not there"):
        load_settings(Path("mine.yaml"))


def test_an_empty_file_is_all_defaults() -> None:
    assert load_settings(write("# nothing yet\n")) == Settings()


@pytest.mark.parametrize("name", ["my-twin", "my-twin:latest", "a.b_c:2026-11-20"])
def test_good_model_names_get_a_tag(name: str) -> None:
    assert model_name(name) == (name if ":" in name else f"{name}:latest")


@pytest.mark.parametrize(
    "name", ["", "my twin", "a/b", "..", "a..b", "Twin", "x;rm", "$(x)", "-x", "a:b:c", "é", "a" * 80]
)
def test_bad_model_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a model name"):
        model_name(name)


def test_what_the_user_decided_is_told_from_what_the_file_merely_repeats() -> None:
    path = write(commented_yaml().replace("# lora_r: 16", "lora_r: 16"))  # the default, and yet it is left to nobody
    assert load_settings(path, {"training": {"epochs": 3.0}}).given == {("training", "lora_r"), ("training", "epochs")}
