"""Reading recipes: text stays text, mistakes name their line."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfkit.errors import InputError
from hfkit.recipe import find_recipe, packaged_recipes, parse_recipe, read_recipe


@pytest.mark.parametrize(
    "typed",
    ["no", "yes", "on", "3e-5", "1.10", "007", "1_000", "12:30", "2001-01-01", "0x1f", "1e999"],
)
def test_scalars_are_the_text_that_was_typed(typed: str) -> None:
    found = parse_recipe(f"key: {typed}\nlist: [{typed}]", "a.yaml").values
    assert found == {"key": typed, "list": [typed]}


@pytest.mark.parametrize("typed", ["", "~", "null", "NULL"])
def test_nothing_is_nothing_unless_it_is_quoted(typed: str) -> None:
    found = parse_recipe(f"plain: {typed}\nquoted: '{typed}'", "a.yaml").values
    assert found == {"plain": None, "quoted": typed}


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("lr: 1\nlr: 2", "a.yaml:2", "second time"),
        ("lr: 1\noptions:\n  x: 1\n  x: 2", "a.yaml:4", "second time"),
        ("lr: [1", "a.yaml:1", "not valid YAML"),
        ("lr: 1\n\tbatch: 2", "a.yaml:2", "not valid YAML"),
        ("- lr", "a.yaml", "setting: value"),
        ("lr", "a.yaml", "setting: value"),
        ("a: &x 1\nb: *x", "a.yaml:1", "anchors"),
        ("a: 1\n---\nb: 2", "a.yaml:2", "not valid YAML"),
        ("? [a]\n: 1", "a.yaml:1", "word"),
        ("a: \x00", "a.yaml", "not valid YAML"),
        ("a: " + "[" * 5000, "a.yaml", "not valid YAML"),
    ],
)
def test_mistakes_name_their_line(text: str, place: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        parse_recipe(text, "a.yaml")
    assert caught.value.place == place
    assert "\n" not in str(caught.value)


def test_an_empty_recipe_says_nothing() -> None:
    assert parse_recipe("# only a remark\n", "a.yaml").values == {}


@settings(deadline=None)
@given(st.text())
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    try:
        parse_recipe(text, "a.yaml")
    except InputError as error:
        assert str(error).startswith("a.yaml")


def test_a_tag_runs_nothing() -> None:
    found = parse_recipe("a: !!python/object/apply:os.getcwd []", "a.yaml").values
    assert found == {"a": []}


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("\ufefflr: 1", encoding="utf-8")
    assert read_recipe(str(path)).values == {"lr": "1"}


def test_packaged_recipes_are_found_by_name() -> None:
    assert find_recipe("pair-en-mrpc") == packaged_recipes()["pair-en-mrpc"]
    with pytest.raises(InputError, match="did you mean 'pair-en-mrpc'"):
        find_recipe("pair-en-mprc")
    with pytest.raises(InputError, match=r"nowhere.yaml: no such recipe file"):
        find_recipe("nowhere.yaml")
