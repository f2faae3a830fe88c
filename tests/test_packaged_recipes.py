"""Every recipe that comes with hfkit: it resolves, it says its command and its source."""

from __future__ import annotations

import re

import pytest

from hfkit.commands.recipes import copy, recipes, show
from hfkit.config import FinetuneConfig
from hfkit.errors import InputError
from hfkit.layers import resolve
from hfkit.recipe import packaged_recipes, read_recipe
from hfkit.registry import find_task

NAMES = sorted(packaged_recipes())


def test_there_are_recipes() -> None:
    assert len(NAMES) >= 8
    assert list(recipes()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_it_resolves(name: str) -> None:
    config = resolve(FinetuneConfig, {"config": name}, {})
    assert config.train and config.model and config.task
    if "expected" in read_recipe(name).values:
        assert config.validation != "0.1" or config.test, "nothing to compare the score with"
    find_task(config.task)
    keys = set(read_recipe(name).values) - {"expected", "smoke", "about"}
    assert keys <= {*FinetuneConfig.model_fields, *config.options}


@pytest.mark.parametrize("name", NAMES)
def test_its_header_says_what_and_from_where(name: str) -> None:
    text = show(name)
    header = text[: text.index("\n\n")]
    assert f"hfkit finetune -c {name} " in header
    assert "# Published: " in header
    if "# Published: none published" in header:
        assert "expected" not in read_recipe(name).values
        return
    source = re.search(r"# Source: (https://\S+)", header)
    expected = read_recipe(name).values["expected"]
    assert source and expected["source"] == source[1]
    scores = [float(value) for key, value in expected.items() if key not in ("split", "source")]
    highest = 100 if {"bleu", "perplexity"} & set(expected) else 1  # as everybody quotes it
    assert len(scores) >= 2 and all(0 < value < highest for value in scores)


def test_a_copy_is_the_recipe_and_replaces_nothing(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = copy("pair-en-mrpc")
    assert path.read_text(encoding="utf-8") == show("pair-en-mrpc")
    with pytest.raises(InputError, match="exists already"):
        copy("pair-en-mrpc")
    with pytest.raises(InputError, match="no such folder"):
        copy("pair-en-mrpc", "a/b.yaml")
    assert copy("pair-en-mrpc", "mine.yaml").name == "mine.yaml"


LANGUAGES = ("en", "zh", "de", "multilingual")
ONE_A_TASK = ["classification-en-sst2", "ner-zh-cluener", "qa-de-germanquad", "similarity-en-stsb",
              "mlm-zh-own-texts", "generation-de-own-texts", "summarization-en-xsum"]  # fmt: skip


def test_every_language_has_its_recipes() -> None:
    for task in ("classification", "ner", "qa", "similarity", "mlm"):
        for language in LANGUAGES:
            assert [name for name in NAMES if name.startswith(f"{task}-{language}-")], (
                task,
                language,
            )
    for family in ("mbert", "xlm-r"):
        for task in ("classification", "pair", "ner", "qa", "similarity"):
            assert [name for name in NAMES if name.startswith(f"{task}-multilingual-")
                    and name.endswith(family)], (task, family)  # fmt: skip
    assert all("smoke" in read_recipe(name).values for name in NAMES)


def test_recipes_pass_their_smoke_offline(monkeypatch, capsys) -> None:
    from hfkit.cli.app import run

    assert run(["recipes", "verify", *ONE_A_TASK]) == 0
    assert capsys.readouterr().out.count("passed") == len(ONE_A_TASK)


@pytest.mark.slow
def test_all_recipes_pass_their_smoke(capsys) -> None:
    from hfkit.cli.app import run

    assert run(["recipes", "verify"]) == 0, capsys.readouterr().out


def test_a_recipe_that_does_not_train_fails(tmp_path, capsys) -> None:
    from hfkit.cli.app import run

    broken = tmp_path / "broken.yaml"
    broken.write_text(show("classification-en-sst2") + "\nfreeze_layers: 9\n")
    assert run(["recipes", "verify", str(broken)]) == 1
    assert "FAILED" in capsys.readouterr().out
    assert run(["recipes", "verify", "no-such-recipe"]) == 2
