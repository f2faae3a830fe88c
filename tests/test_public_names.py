"""The public names: frozen, sorted, loaded on use, and callable as documented."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys

import pytest

import hfkit
from hfkit.config import EvaluateConfig, FinetuneConfig, PredictConfig
from hfkit.errors import InputError
from hfkit.verbs import Verb

NAMES = [
    "DivergedError",
    "HfkitError",
    "InUseError",
    "InputError",
    "NetworkError",
    "ResourceError",
    "SafetyError",
    "StoppedError",
    "__version__",
    "audit",
    "bench",
    "calibrate",
    "check",
    "compare",
    "convert",
    "embed",
    "estimate",
    "evaluate",
    "explain",
    "export",
    "finetune",
    "load",
    "predict",
    "push",
    "report",
    "score",
    "search",
    "train_tokenizer",
    "verify",
]


def test_the_names_are_frozen_and_sorted() -> None:
    assert hfkit.__all__ == NAMES == sorted(NAMES)
    assert set(NAMES) <= set(dir(hfkit))


@pytest.mark.parametrize("name", NAMES)
def test_each_name_is_there(name: str) -> None:
    assert getattr(hfkit, name) is not None


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="fintune"):
        hfkit.fintune  # noqa: B018


def test_importing_hfkit_imports_nothing_and_reports_nothing() -> None:
    program = (
        "import sys, os, hfkit\n"
        "assert not {'typer', 'pydantic', 'torch'} & set(sys.modules)\n"
        "names = ('HF_HUB_DISABLE_TELEMETRY', 'DO_NOT_TRACK', 'HF_UPDATE_DOWNLOAD_COUNTS',\n"
        "         'USE_HUB_KERNELS')\n"
        "print(*(os.environ[name] for name in names))"
    )
    set_here = ("DO_NOT_TRACK", "HF_UPDATE_DOWNLOAD_COUNTS", "USE_HUB_KERNELS")
    environment = {k: v for k, v in os.environ.items() if k not in set_here}
    environment["HF_HUB_DISABLE_TELEMETRY"] = "0"  # the user's word counts
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment
    )
    assert done.stdout.split() == ["0", "1", "0", "0"], done.stderr


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({}, "PASSIVE 4000"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE None"),
        ({"GOMP_SPINCOUNT": "0"}, "None 0"),
    ],
)
def test_who_says_how_threads_wait_decides(own: dict[str, str], expected: str) -> None:
    names = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    program = f"import os, hfkit; print(*map(os.environ.get, {names}))"
    environment = {k: v for k, v in os.environ.items() if k not in names} | own
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment
    )
    assert done.stdout.strip() == expected, done.stderr


def test_help_shows_every_setting_and_option() -> None:
    parameters = inspect.signature(hfkit.finetune).parameters
    assert next(iter(parameters)) == "train"
    assert set(FinetuneConfig.model_fields) | {"class_weights"} <= set(parameters)
    assert parameters["batch_size"].default == 16
    assert "Fine-tune" in (hfkit.finetune.__doc__ or "")


def verb(config_class, *positional: str) -> Verb:
    """A verb that gives back its configuration."""
    return Verb(lambda config: config, config_class, positional)


@pytest.fixture(autouse=True)
def no_variables(monkeypatch) -> None:
    for variable in [name for name in os.environ if name.startswith("HFKIT_")]:
        monkeypatch.delenv(variable)


def test_settings_become_a_configuration(monkeypatch) -> None:
    finetune = verb(FinetuneConfig, "train")
    monkeypatch.setenv("HFKIT_SEED", "5")
    config = finetune("a.csv", lr=1e-3, class_weights="balanced")
    assert config == FinetuneConfig(
        train="a.csv", lr=1e-3, seed=5, options={"class_weights": "balanced"}
    )
    assert finetune(config) is config


def test_positional_values_fill_what_is_not_named() -> None:
    predict = verb(PredictConfig, "model", "inputs")
    assert predict("out", "a text").inputs == ["a text"]
    assert predict("out", ["a", "b"]).inputs == ["a", "b"]
    assert predict("a", model="out").inputs == ["a"]
    assert verb(EvaluateConfig, "model", "data")("out", "t.csv").data == "t.csv"


def test_the_last_place_takes_the_rest_if_it_is_a_list() -> None:
    predict = verb(PredictConfig, "model", "inputs")
    assert predict.place(["out", "a", "b"], {}) == {"model": "out", "inputs": ["a", "b"]}


def test_a_yaml_file_in_place_of_the_data_is_a_recipe(tmp_path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("seed: 3")
    assert verb(FinetuneConfig, "train")(str(path)).seed == 3


def test_one_value_too_many_is_an_error() -> None:
    with pytest.raises(InputError, match=r"unexpected argument 'b.csv'; expected TRAIN"):
        verb(FinetuneConfig, "train")("a.csv", "b.csv")


def test_a_misspelt_argument_is_named() -> None:
    with pytest.raises(InputError, match=r"^learning_rate: unknown setting; did you mean 'lr'\?$"):
        verb(FinetuneConfig, "train")(learning_rate=1)


def test_offline_reaches_the_libraries(monkeypatch) -> None:
    for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(variable, "0")
    verb(FinetuneConfig, "train")("a.csv", offline=True)
    assert os.environ["HF_HUB_OFFLINE"] == os.environ["HF_DATASETS_OFFLINE"] == "1"
