"""The classification task: labels, targets, pooled windows, and decode as the inverse of gold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hfkit import text
from hfkit.errors import InputError, RowError
from hfkit.registry import make_task
from hfkit.tasks.classification import Classification


def task(rows: list[dict[str, Any]], **options: Any) -> Classification:
    made = make_task("classification", options)
    assert isinstance(made, Classification)
    made.learn(rows)
    return made


def rows(*labels: Any) -> list[dict[str, Any]]:
    return [{"text": "rain", "label": label} for label in labels]


def encoded(task: Classification, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    parts = [{"input_ids": [2, 5, 3], "_row": n, "_share": 1.0} for n in range(len(given))]
    task.targets(given, parts)
    return parts


def test_labels_have_a_fixed_order_and_whole_numbers_count() -> None:
    assert task(rows("b", "a", "c")).labels == ["a", "b", "c"]
    assert task(rows("10", "9", "1")).labels == ["1", "9", "10"]
    assert task(rows("10", "9", "a")).labels == ["9", "10", "a"]


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        (("1", "2", "5"), "single-label"),
        (("1.5", "2", "3"), "regression"),
        ((["a"], ["a", "b"], []), "multi-label"),
        (("NA", "null", "007"), "single-label"),
    ],
)
def test_the_kind_of_problem_is_read_off_the_labels(labels: tuple[Any, ...], problem: str) -> None:
    assert task(rows(*labels)).problem == problem


def test_numbers_with_a_gap_stay_classes_unless_asked_for() -> None:
    assert task(rows("0", "1", "4")).head()["num_labels"] == 3
    regression = make_task("regression", {})
    regression.learn(rows("0", "1", "4"))
    assert regression.head() == {"num_labels": 1, "problem_type": "regression"}


def test_one_class_is_nothing_to_tell_apart() -> None:
    with pytest.raises(InputError, match='only one class \\("a"\\)'):
        task(rows("a", "a"))


def test_head_and_restore_are_inverse() -> None:
    for labels in (("b", "a"), (["x"], ["y", "x"]), ("1.5", "2.5")):
        first = task(rows(*labels))
        second = make_task("classification", {})
        second.restore(
            first.head() | ({"id2label": {"0": "LABEL_0"}} if first.problem == "regression" else {})
        )
        assert (second.labels, second.problem) == (first.labels, first.problem)  # type: ignore[attr-defined]


def test_an_unseen_label_is_named_with_its_row() -> None:
    with pytest.raises(
        RowError, match='label "c" was not seen at training; known: "a", "b"'
    ) as caught:
        task(rows("a", "b")).gold(rows("a", "c"))
    assert caught.value.row == 1


def test_a_number_that_is_none() -> None:
    made = make_task("regression", {})
    with pytest.raises(RowError, match='expected a number as label, got "high"'):
        made.learn(rows("1.5", "high"))
    with pytest.raises(RowError, match="expected a number"):
        made.learn(rows("1.5", "nan"))


@pytest.mark.parametrize("labels", [("b", "a", "b"), (["a"], ["a", "b"], []), ("1.5", "2", "0.25")])
def test_perfect_outputs_decode_to_gold(labels: tuple[Any, ...]) -> None:
    given = rows(*labels)
    made = task(given)
    parts = encoded(made, given)
    outputs = []
    for part in parts:
        target = np.array(part["labels"], dtype=float)
        if made.problem == "single-label":
            target = np.where(np.arange(2) == target, 20.0, -20.0)
        elif made.problem == "multi-label":
            target = np.where(target > 0, 20.0, -20.0)
        outputs.append({"logits": target.reshape(-1)})
    answers = made.decode(outputs, parts, given)
    for answer, gold in zip(answers, made.gold(given), strict=True):
        assert {key: answer[key] for key in gold} == gold


def test_windows_are_averaged_by_their_tokens() -> None:
    made = task(rows("a", "b"))
    parts = [
        {"input_ids": [1] * 30, "_row": 0},
        {"input_ids": [1] * 10, "_row": 0, "_truncated": True},
        {"input_ids": [1] * 5, "_row": 1},
    ]
    logits = [[0.0, np.log(3.0)], [np.log(3.0), 0.0], [1.0, 1.0]]
    answers = made.decode([{"logits": np.array(one)} for one in logits], parts, [{}, {}])
    assert answers[0]["scores"] == pytest.approx({"a": 0.375, "b": 0.625})
    assert answers[0]["label"] == "b"
    assert answers[0]["truncated"] is True
    assert answers[1]["scores"] == pytest.approx({"a": 0.5, "b": 0.5})
    assert made.brief(answers[1]) == {"label": "a", "score": pytest.approx(0.5)}


def test_balanced_weights() -> None:
    given = rows("a", "a", "a", "b")
    parts = encoded(task(given, class_weights="balanced"), given)
    assert [part["loss_weight"] for part in parts] == pytest.approx([2 / 3] * 3 + [2.0])
    several = rows(["a"], ["a"], ["a", "b"], [])
    parts = encoded(task(several, class_weights="balanced"), several)
    assert parts[2]["loss_weight"] == pytest.approx([1 / 3, 3.0])
    assert parts[3]["loss_weight"] == [1.0, 1.0]


def test_imbalance_changes_what_picks_the_checkpoint() -> None:
    assert task(rows("a", "b")).best == "accuracy"
    assert task(rows(*"aaaa", "b")).best == "f1_macro"


def test_the_windows_of_a_text_weigh_as_much_as_one_text(tiny_base_folder: Path) -> None:
    tokenizer = text.from_file(tiny_base_folder, 16)
    given = [{"text": "rain " * 40, "label": "a"}, {"text": "sun", "label": "b"}]
    made = task(given)
    parts = made.features(given, tokenizer)
    made.targets(given, parts)
    assert sum(part["loss_weight"] for part in parts if part["_row"] == 0) == pytest.approx(1.0)
    assert len(parts) > 3


def test_extreme_logits_stay_finite() -> None:
    several = task(rows(["a"], ["b"]))
    (answer,) = several.decode(
        [{"logits": np.array([1e4, -1e4])}], [{"input_ids": [1], "_row": 0}], [{}]
    )
    assert answer == {"labels": ["a"], "scores": {"a": 1.0, "b": 0.0}}
