"""Counting scores against scikit-learn, over any class ids, missing classes included."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle

from hfkit.metrics import confusion

CLASSES = 5
ids = st.integers(0, CLASSES - 1)
pairs = st.lists(st.tuples(ids, ids), min_size=1, max_size=40)


def split(examples):
    gold, predicted = np.array(examples).T
    return gold, predicted


@given(pairs)
def test_averages_are_those_of_scikit_learn(examples):
    gold, predicted = split(examples)
    counts = confusion.class_counts(gold, predicted, CLASSES)
    ours = confusion.averages(counts)
    for average in ("macro", "micro", "weighted"):
        theirs = oracle.precision_recall_fscore_support(
            gold, predicted, average=average, zero_division=0
        )[:3]
        for name, value in zip(("precision", "recall", "f1"), theirs, strict=True):
            assert ours[f"{name}_{average}"] == pytest.approx(value, abs=1e-12)
    assert confusion.accuracy(counts) == pytest.approx(oracle.accuracy_score(gold, predicted))


@given(pairs)
def test_per_class_scores_and_matrix_are_those_of_scikit_learn(examples):
    gold, predicted = split(examples)
    every = list(range(CLASSES))
    ours = confusion.precision_recall_f1(confusion.class_counts(gold, predicted, CLASSES))
    theirs = oracle.precision_recall_fscore_support(gold, predicted, labels=every, zero_division=0)
    for mine, yours in zip(ours, theirs[:3], strict=True):
        np.testing.assert_allclose(mine, yours, atol=1e-12)
    np.testing.assert_array_equal(
        confusion.confusion_matrix(gold, predicted, CLASSES),
        oracle.confusion_matrix(gold, predicted, labels=every),
    )


@pytest.mark.filterwarnings("ignore:A single label was found")
@given(pairs)
def test_matthews_correlation_is_that_of_scikit_learn(examples):
    gold, predicted = split(examples)
    ours = confusion.matthews_correlation(confusion.class_counts(gold, predicted, CLASSES))
    assert ours == pytest.approx(oracle.matthews_corrcoef(gold, predicted), abs=1e-9)


@given(pairs, st.randoms())
def test_weights_count_an_example_several_times(examples, chance):
    gold, predicted = split(examples)
    weights = np.array([chance.randint(0, 3) for _ in examples])
    weights[0] = 1
    repeated = confusion.class_counts(
        np.repeat(gold, weights), np.repeat(predicted, weights), CLASSES
    )
    weighted = confusion.class_counts(gold, predicted, CLASSES, weights)
    assert confusion.averages(weighted) == pytest.approx(confusion.averages(repeated))
