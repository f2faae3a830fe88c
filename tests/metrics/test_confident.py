"""Confident learning on an example that is worked out by hand, and its bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from hfkit.metrics.confident import confident_joint, find_issues, thresholds

# Thresholds: (0.9 + 0.8 + 0.1) / 3 = 0.6 and (0.8 + 0.7 + 0.6) / 3 = 0.7. The third row counts as
# the second class, the last as neither.
LABELS = np.array([0, 0, 0, 1, 1, 1])
CHANCES = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.3, 0.7], [0.4, 0.6]])


def test_the_example_worked_out_by_hand() -> None:
    assert thresholds(CHANCES, LABELS) == pytest.approx([0.6, 0.7])
    assert confident_joint(CHANCES, LABELS).tolist() == [[2, 1], [0, 3]]
    found = find_issues(CHANCES, LABELS)
    assert found.rows.tolist() == [2]
    assert found.suggested.tolist() == [1]
    assert found.margin == pytest.approx([-0.8])


def test_a_label_the_model_agrees_with_is_not_doubted() -> None:
    """The joint says that one row of class 0 is of class 1, but none is likelier to be."""
    chances = np.array([[0.55, 0.45], [0.6, 0.4], [0.7, 0.3], [0.6, 0.4], [0.7, 0.3]])
    found = find_issues(chances, np.array([0, 0, 0, 1, 1]))
    assert set(found.rows.tolist()) <= {3, 4}


def test_a_class_that_nothing_reaches_has_no_errors() -> None:
    chances = np.array([[0.5, 0.5], [0.5, 0.5]])
    found = find_issues(chances, np.array([0, 0]))
    assert found.rows.size == 0
    assert found.joint.sum() == 2


@drawn(st.integers(2, 40), st.integers(2, 5), st.integers(0, 10_000))
def test_the_joint_adds_up_to_the_labels(rows: int, classes: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    labels = random.integers(classes, size=rows)
    chances = random.dirichlet(np.ones(classes), size=rows)
    joint = confident_joint(chances, labels)
    assert joint.sum(axis=1) == pytest.approx(np.bincount(labels, minlength=classes))
    found = find_issues(chances, labels)
    assert len(set(found.rows.tolist())) == len(found.rows)
    assert (found.margin < 0).all() and (np.diff(found.margin) >= 0).all()
    assert (labels[found.rows] != found.suggested).all()
