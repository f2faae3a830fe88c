"""The classification metrics, from answers to scores and tables."""

import json
import logging

import numpy as np
import pytest
from sklearn import metrics as oracle

from hfkit.errors import InputError
from hfkit.metrics.classification import MultiLabel, SingleLabel

LABELS = ["ham", "spam", "junk", "news"]


def single(count=200, classes=4, seed=0):
    """Answers with scores, their gold answers, and the same as arrays."""
    random = np.random.default_rng(seed)
    scores = random.dirichlet(np.ones(classes), size=count).round(2)
    scores /= scores.sum(axis=1, keepdims=True)
    gold = random.integers(classes, size=count)
    predicted = scores.argmax(axis=1)
    answers = [
        {
            "label": LABELS[label],
            "score": row[label],
            "scores": dict(zip(LABELS, row, strict=False)),
        }
        for label, row in zip(predicted, scores.tolist(), strict=True)
    ]
    return answers, [{"label": LABELS[label]} for label in gold], gold, predicted, scores


def test_single_label_equals_scikit_learn():
    answers, gold, references, predictions, scores = single()
    values = SingleLabel(answers, gold, LABELS).values()
    assert values["accuracy"] == pytest.approx(oracle.accuracy_score(references, predictions))
    assert values["f1_macro"] == pytest.approx(
        oracle.f1_score(references, predictions, average="macro")
    )
    assert values["matthews_correlation"] == pytest.approx(
        oracle.matthews_corrcoef(references, predictions)
    )
    assert values["roc_auc"] == pytest.approx(
        oracle.roc_auc_score(references, scores, multi_class="ovr")
    )
    assert values["average_precision"] == pytest.approx(
        oracle.average_precision_score(np.eye(4)[references], scores)
    )
    assert all(type(value) is float for value in values.values())


def test_the_second_of_two_labels_is_the_positive_one():
    answers, gold, references, predictions, scores = single(classes=2)
    metric = SingleLabel(answers, gold, LABELS[:2])
    values = metric.values()
    assert values["f1"] == pytest.approx(oracle.f1_score(references, predictions))
    assert values["precision"] == pytest.approx(oracle.precision_score(references, predictions))
    assert values["recall"] == pytest.approx(oracle.recall_score(references, predictions))
    assert values["roc_auc"] == pytest.approx(oracle.roc_auc_score(references, scores[:, 1]))
    assert values["average_precision"] == pytest.approx(
        oracle.average_precision_score(references, scores[:, 1])
    )
    assert metric.tables()["positive"] == "spam"
    assert "f1" not in SingleLabel(*single()[:2], LABELS).values()


def test_some_examples_are_scored_as_if_they_were_all():
    answers, gold, *_ = single()
    index = np.array([3, 3, 8, 50, 120, 7, 7, 7, 99, 100, 101, 102])
    part = SingleLabel([answers[i] for i in index], [gold[i] for i in index], LABELS)
    assert SingleLabel(answers, gold, LABELS).values(index) == pytest.approx(part.values())


@pytest.mark.parametrize("scores", [None, {"ham": 0.7}, {"ham": 0.7, "spam": float("nan")}])
def test_without_every_score_the_ranking_is_left_out_with_the_reason(scores):
    answer = {"label": "ham"} if scores is None else {"label": "ham", "scores": scores}
    metric = SingleLabel([answer, answer], [{"label": "ham"}, {"label": "spam"}], ["ham", "spam"])
    assert "roc_auc" not in metric.values()
    assert "average_precision" not in metric.values()
    assert set(metric.tables()["undefined"]) == {"roc_auc", "average_precision"}


def test_one_class_only():
    answers = [{"label": "spam", "scores": {"ham": 0.2, "spam": 0.8}}] * 3
    metric = SingleLabel(answers, [{"label": "spam"}] * 3, ["ham", "spam"])
    values = metric.values()
    assert values["accuracy"] == values["f1_macro"] == 1.0  # "ham" occurs nowhere
    assert values["matthews_correlation"] == 0.0
    assert "roc_auc" not in values
    assert "roc_auc" in metric.tables()["undefined"]


def test_tables_say_which_class_is_taken_for_which():
    gold = [{"label": label} for label in ["ham", "spam", "spam", "spam", "junk"]]
    answers = [{"label": label} for label in ["ham", "ham", "ham", "spam", "spam"]]
    tables = SingleLabel(answers, gold, LABELS).tables()
    assert tables["confused"][0] == {"gold": "spam", "predicted": "ham", "count": 2}
    assert tables["confusion_matrix"]["matrix"][1] == [2, 1, 0, 0]
    rows = {row["label"]: row for row in tables["per_class"]}
    assert rows["spam"]["support"] == 3
    assert rows["ham"]["precision"] == pytest.approx(1 / 3)
    assert rows["news"]["support"] == rows["news"]["f1"] == 0
    json.dumps(tables, allow_nan=False)


def test_baseline_is_the_majority_class():
    answers, _, *_ = single(count=10)
    gold = [{"label": "spam"}] * 7 + [{"label": "ham"}] * 3
    metric = SingleLabel(answers, gold, LABELS)
    baseline = metric.baseline()
    assert baseline["accuracy"] == pytest.approx(0.7)
    assert baseline["roc_auc"] == pytest.approx(0.5)
    assert baseline["average_precision"] == pytest.approx(0.5)  # the mean of 0.7 and 0.3
    before = metric.values()
    metric.baseline()
    assert metric.values() == before


def test_a_label_that_nobody_declared_is_a_class_of_its_own(caplog):
    with caplog.at_level(logging.WARNING):
        metric = SingleLabel([{"label": "Ham"}], [{"label": "ham"}], ["ham", "spam"])
    assert "'Ham'" in caplog.text
    assert metric.values()["accuracy"] == 0.0


def test_bad_answers_are_named():
    with pytest.raises(InputError, match="answer 2: no 'label'"):
        SingleLabel([{"label": "a"}, {"error": "too long"}], [{"label": "a"}] * 2, ["a"])
    with pytest.raises(InputError, match="gold answer 1: no 'label'"):
        SingleLabel([{"label": "a"}], [{}], ["a"])
    with pytest.raises(InputError, match="1 answers for 2 gold"):
        SingleLabel([{"label": "a"}], [{"label": "a"}] * 2, ["a"])
    with pytest.raises(InputError, match="no answers"):
        SingleLabel([], [], ["a"])


def multi(count=150, seed=0):
    random = np.random.default_rng(seed)
    scores = random.random((count, 4)).round(1)
    predicted = scores > [0.4, 0.5, 0.6, 0.7]
    gold = random.random((count, 4)) < scores * 0.8
    names = np.array(LABELS)
    answers = [
        {"labels": names[chosen].tolist(), "scores": dict(zip(LABELS, row, strict=True))}
        for chosen, row in zip(predicted, scores.tolist(), strict=True)
    ]
    return answers, [{"labels": names[row].tolist()} for row in gold], gold, predicted, scores


def test_multi_label_equals_scikit_learn():
    answers, gold, references, predictions, scores = multi()
    values = MultiLabel(answers, gold, LABELS).values()
    for average in ("macro", "micro", "weighted", "samples"):
        expected = oracle.f1_score(references, predictions, average=average, zero_division=0)
        assert values[f"f1_{average}"] == pytest.approx(expected)
    assert values["precision_macro"] == pytest.approx(
        oracle.precision_score(references, predictions, average="macro")
    )
    assert values["subset_accuracy"] == pytest.approx(
        oracle.accuracy_score(references, predictions)
    )
    assert values["hamming_loss"] == pytest.approx(oracle.hamming_loss(references, predictions))
    assert values["roc_auc"] == pytest.approx(oracle.roc_auc_score(references, scores))
    assert values["average_precision"] == pytest.approx(
        oracle.average_precision_score(references, scores)
    )
    assert all(type(value) is float for value in values.values())


def test_multi_label_part_and_repeats():
    answers, gold, *_ = multi()
    index = np.random.default_rng(3).integers(150, size=90)
    part = MultiLabel([answers[i] for i in index], [gold[i] for i in index], LABELS)
    assert MultiLabel(answers, gold, LABELS).values(index) == pytest.approx(part.values())


def test_scores_as_a_list_beside_the_labels():
    gold = [{"labels": ["a"]}, {"labels": ["b"]}]
    every = [
        {"labels": ["b", "a"], "scores": [0.6, 0.9]},
        {"labels": ["a", "b"], "scores": [0.5, 0.7]},
    ]
    assert MultiLabel(every, gold, ["a", "b"]).values()["roc_auc"] == 1.0
    chosen = [{"labels": ["a"], "scores": [0.9]}, {"labels": ["b"], "scores": [0.8]}]
    metric = MultiLabel(chosen, gold, ["a", "b"])
    assert "roc_auc" not in metric.values()
    assert "roc_auc" in metric.tables()["undefined"]


def test_no_labels_at_all_is_an_answer():
    metric = MultiLabel([{"labels": []}, {"labels": ["a"]}], [{"labels": []}] * 2, ["a", "b"])
    values = metric.values()
    assert values["subset_accuracy"] == 0.5
    assert values["hamming_loss"] == 0.25
    assert values["f1_samples"] == 0.0
    assert metric.baseline()["subset_accuracy"] == 1.0
    json.dumps(metric.tables(), allow_nan=False)


def test_multi_label_baseline_is_the_most_frequent_set():
    gold = [{"labels": ["a", "b"]}] * 3 + [{"labels": []}] * 2
    baseline = MultiLabel([{"labels": []}] * 5, gold, ["a", "b"]).baseline()
    assert baseline["subset_accuracy"] == pytest.approx(0.6)
    assert baseline["f1_micro"] == pytest.approx(2 * 6 / (6 + 10))
