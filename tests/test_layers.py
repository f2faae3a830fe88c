"""Layering: who wins, where options go, what a mistake says, and what `dump` writes."""

from __future__ import annotations

import json
import logging

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hfkit.config import EvaluateConfig, FinetuneConfig, PredictConfig
from hfkit.errors import InputError
from hfkit.layers import checked, dump, is_saved, resolve, sections
from hfkit.tasks.options import ClassificationOptions


@pytest.fixture
def recipe(tmp_path):
    def write(text: str) -> str:
        path = tmp_path / "mine.yaml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def finetune(given=(), environment=(), **more) -> FinetuneConfig:
    return resolve(FinetuneConfig, {**dict(given), **more}, dict(environment))


# Who wins


def test_defaults_when_nothing_is_given() -> None:
    assert finetune() == FinetuneConfig()


def test_each_layer_wins_over_the_weaker_ones(recipe) -> None:
    path = recipe("epochs: 2\nseed: 2\nbatch_size: 2\nlr: 2")
    environment = {"HFKIT_SEED": "3", "HFKIT_BATCH_SIZE": "3", "HFKIT_LR": "3"}
    config = finetune({"config": path, "set": ["batch-size=4"], "lr": "5"}, environment)
    assert (config.epochs, config.seed, config.batch_size, config.lr) == (2, 3, 4, 5)


def test_none_is_not_given_but_null_takes_back(recipe) -> None:
    path = recipe("max_steps: 7")
    assert finetune(config=path, max_steps=None).max_steps == 7
    assert finetune(config=path, set=["max_steps=null"]).max_steps is None


def test_the_environment_can_name_the_recipe(recipe) -> None:
    assert finetune({}, {"HFKIT_CONFIG": recipe("seed: 9")}).seed == 9


def test_an_empty_variable_is_not_given() -> None:
    assert finetune({}, {"HFKIT_LR": ""}).lr is None


def test_a_misspelt_variable_is_warned_about_and_others_are_not(caplog) -> None:
    finetune({}, {"HFKIT_BATCHSIZE": "1", "HFKIT_TEST_DATA": "/data", "HFKIT_FAIL_UNDER": "f1=1"})
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "HFKIT_BATCH_SIZE" in record.getMessage()


def test_a_setting_given_twice_is_an_error() -> None:
    with pytest.raises(InputError, match="--set lr: also given as --lr"):
        finetune(lr="1", set=["lr=2"])


# What values become


def test_yaml_means_what_was_typed(recipe) -> None:
    config = finetune(
        config=recipe(
            "lr: 3e-5\nlabel-column: no\ntext_column: 1.10\ngroup_by_length: no\n"
            "columns: [no, yes, 007]\nmodel: null\nvalidation: 0.2\n"
        )
    )
    assert config.lr == 3e-5
    assert config.label_column == "no"
    assert config.text_column == "1.10"
    assert config.group_by_length is False
    assert config.columns == ["no", "yes", "007"]
    assert config.model is None
    assert config.validation == "0.2"


def test_paths_and_numbers_are_welcome_from_python(tmp_path) -> None:
    config = finetune(train=tmp_path / "a.csv", validation=0.2, lr=1)
    assert config.train == str(tmp_path / "a.csv")
    assert config.validation == "0.2"


def test_one_text_for_a_list() -> None:
    assert resolve(EvaluateConfig, {"metric": "f1"}, {}).metric == ["f1"]
    assert finetune(columns="a, b,_").columns == ["a", "b", "_"]


# Options of the task


def test_options_of_the_task_are_settings_like_any_other(recipe) -> None:
    path = recipe("stride: 3\noptions:\n  threshold: 0.25\n")
    config = finetune(
        {"config": path, "set": ["on-long=error"]}, {"HFKIT_CLASS_WEIGHTS": "balanced"}
    )
    assert config.options == {
        "stride": 3,
        "threshold": 0.25,
        "class_weights": "balanced",
        "on_long": "error",
    }


def test_options_of_a_plug_in_are_left_to_it_as_text() -> None:
    config = finetune(
        task="somewhere:Task", set=["depth=3"], options={"deep": {"a": True, "b": 1.5}}
    )
    assert config.options == {"depth": "3", "deep": {"a": "true", "b": "1.5"}}


def test_the_task_may_be_named_by_flag_and_its_options_by_recipe(recipe) -> None:
    assert finetune(task="somewhere:Task", config=recipe("depth: 3")).options == {"depth": "3"}


# Recipes for several commands


def test_other_commands_take_from_a_training_recipe_what_means_the_same(recipe) -> None:
    path = recipe(
        "train: a.csv\nmodel: base\noutput: runs/a\nbatch_size: 7\ntext_column: body\nlr: 1"
    )
    for cls in (EvaluateConfig, PredictConfig):
        config = resolve(cls, {"config": path}, {})
        assert (config.model, config.output, config.batch_size) == (None, None, None)
        assert config.text_column == "body"


def test_a_recipe_of_its_own_sets_everything(recipe) -> None:
    config = resolve(EvaluateConfig, {"config": recipe("model: out\nfail_under: [f1=0.5]")}, {})
    assert (config.model, config.fail_under) == ("out", ["f1=0.5"])


def test_notes_in_a_recipe_are_passed_over(recipe) -> None:
    path = recipe("expected: {f1: 0.5}\nsmoke: {limit: 3}\nabout: mine\nseed: 4")
    assert finetune(config=path) == FinetuneConfig(seed=4, config=path)


# Mistakes


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"lrr": "1"}, "--lrr: unknown setting; did you mean 'lr'?"),
        ({"set": ["learning-rate=1"]}, "--set learning-rate: unknown setting; did you mean 'lr'?"),
        ({"set": ["lr"]}, "--set: expected key=value, got 'lr'"),
        ({"lr": "fast"}, "--lr: expected a number, got 'fast'"),
        ({"lr": "inf"}, "--lr: expected a finite number, got 'inf'"),
        ({"lr": "0"}, "--lr: expected a number of more than 0, got '0'"),
        ({"batch_size": "0"}, "--batch-size: expected a number of at least 1, got '0'"),
        ({"batch_size": "1.5"}, "--batch-size: expected a whole number, got '1.5'"),
        ({"group_by_length": "maybe"}, "--group-by-length: expected true or false, got 'maybe'"),
        (
            {"schedule": "liner"},
            "--schedule: expected linear, cosine or constant, got 'liner'; did you mean 'linear'?",
        ),
        ({"threshold": "2"}, "--threshold: expected a number of less than 1, got '2'"),
        ({"set": ["epochs=null"]}, "--set epochs: expected a number, got nothing"),
        ({"options": {"strid": 1}}, "--options.strid: unknown setting; did you mean 'stride'?"),
        ({"options": "x"}, "--options: expected options of the task, as name: value"),
        ({"columns": 3}, "--columns: expected a list, got '3'"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(given, message) -> None:
    with pytest.raises(InputError) as caught:
        resolve(FinetuneConfig, given, {})
    assert str(caught.value) == message


def test_a_mistake_in_a_recipe_names_file_and_line(recipe) -> None:
    with pytest.raises(InputError) as caught:
        finetune(config=recipe("seed: 1\n\nlr: fast\n"))
    assert str(caught.value).endswith("mine.yaml:3: lr: expected a number, got 'fast'")
    with pytest.raises(InputError) as caught:
        finetune(config=recipe("seed: 1\nsed: 1\n"))
    assert str(caught.value).endswith("mine.yaml:2: sed: unknown setting; did you mean 'seed'?")
    with pytest.raises(InputError, match=r"mine.yaml:2: batch-size: stands here a second time"):
        finetune(config=recipe("batch_size: 1\nbatch-size: 2"))


def test_a_mistake_in_the_environment_names_the_variable() -> None:
    with pytest.raises(InputError, match=r"^HFKIT_LR: expected a number"):
        finetune({}, {"HFKIT_LR": "fast"})


def test_python_callers_read_the_names_of_arguments() -> None:
    with pytest.raises(InputError, match=r"^lr: expected a number"):
        resolve(FinetuneConfig, {"lr": "fast"}, {}, as_flags=False)


def test_a_long_value_is_cut() -> None:
    with pytest.raises(InputError) as caught:
        finetune(lr="x" * 500)
    assert len(str(caught.value)) < 100


def test_a_misspelt_task_is_named() -> None:
    with pytest.raises(InputError, match="did you mean 'classification'"):
        finetune(task="clasification", set=["depth=3"])


def test_checked_reports_custom_and_missing_values() -> None:
    from pydantic import BaseModel, field_validator

    class Options(BaseModel):
        name: str
        odd: int = 1

        @field_validator("odd")
        @classmethod
        def _is_odd(cls, value: int) -> int:
            if value % 2 == 0:
                raise ValueError("expected an odd number")
            return value

    with pytest.raises(InputError, match=r"^name: is needed and was not given$"):
        checked(Options, {})
    with pytest.raises(InputError, match=r"^odd: expected an odd number$"):
        checked(Options, {"name": "a", "odd": "2"})
    assert checked(Options, {"name": "a", "odd": "3"}).odd == 3


# What dump writes


def test_every_setting_stands_in_one_section() -> None:
    for cls in (FinetuneConfig, EvaluateConfig, PredictConfig):
        names = [name for _, group in sections(cls) for name in group]
        assert sorted(names) == sorted(cls.model_fields)


def test_dump_holds_what_is_saved_and_nothing_else() -> None:
    text = dump(FinetuneConfig())
    saved = {name for name in FinetuneConfig.model_fields if is_saved(FinetuneConfig, name)}
    assert set(yaml.safe_load(text)) == saved
    assert "# How the weights are fitted" in text


def test_any_yaml_reader_sees_the_right_types() -> None:
    text = dump(FinetuneConfig(lr=3e-5, label_column="no", text_column="1.10"))
    values = yaml.safe_load(text)
    assert values["lr"] == 3e-5
    assert (values["label_column"], values["text_column"]) == ("no", "1.10")


texts = st.text(st.characters(exclude_categories=["Cs"]))
positive = st.floats(min_value=1e-300, allow_infinity=False)


@settings(deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "label_column": texts,
            "model": texts,
            "delimiter": texts,
            "columns": st.lists(texts),
            "lr": positive,
            "epochs": st.floats(0.001, 1e6),
            "seed": st.integers(0, 2**32 - 1),
            "no_header": st.booleans(),
            "max_time": texts,
        },
    ),
    st.fixed_dictionaries(
        {}, optional={"threshold": st.floats(0.01, 0.99), "stride": st.integers(0)}
    ),
)
def test_dump_is_read_back_equal(tmp_path_factory, values, options) -> None:
    path = tmp_path_factory.mktemp("dump") / "hfkit.yaml"
    config = FinetuneConfig(**values, options=options)
    path.write_text(dump(config), encoding="utf-8")
    again = resolve(FinetuneConfig, {"config": str(path)}, {})
    assert again.model_dump(exclude={"config"}) == config.model_dump(exclude={"config"})


@settings(deadline=None)
@given(
    st.dictionaries(texts.filter(str.isidentifier), texts | st.none() | st.lists(texts), max_size=3)
)
def test_options_of_plug_ins_are_read_back_equal(tmp_path_factory, options) -> None:
    path = tmp_path_factory.mktemp("dump") / "hfkit.yaml"
    given = {"task": "somewhere:Task", "options": options}
    config = resolve(FinetuneConfig, given, {})
    path.write_text(dump(config), encoding="utf-8")
    assert resolve(FinetuneConfig, {"config": str(path)}, {}).options == config.options


def test_the_schema_accepts_what_dump_writes() -> None:
    from hfkit.commands.settings import schema

    found = json.loads(json.dumps(schema()))
    assert set(yaml.safe_load(dump(FinetuneConfig()))) <= set(found["properties"])
    assert set(ClassificationOptions.model_fields) <= set(found["properties"])
    assert found["properties"]["schedule"]["enum"] == ["linear", "cosine", "constant"]
    assert "changes_result" not in json.dumps(found)
