"""The shells: the keys, scales and keyword arguments of the Hub, without network or files."""

import socket

import evaluate
import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as oracle

from hfkit.errors import InputError
from hfkit.metrics import shells

REFERENCES = [0, 2, 1, 2, 2, 0, 1, 1]
PREDICTIONS = [0, 1, 1, 2, 0, 0, 2, 1]
NUMBERS = [1.0, 2.5, 3.5, 3.5, 0.5]
GUESSES = [1.5, 2.0, 3.0, 4.5, 0.5]
WEIGHTS = [1, 2, 3, 1, 1, 2, 1, 0.5]


@pytest.fixture(autouse=True)
def no_network_and_no_files(monkeypatch, tmp_path):
    """Every test runs offline in an empty folder, and must leave folder and cache empty."""

    def refuse(*_):
        raise AssertionError("a shell opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(evaluate.config, "HF_METRICS_CACHE", tmp_path / "cache")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    yield
    assert [path.name for path in tmp_path.rglob("*")] == ["here"]


def compute(name, config=None, predictions=PREDICTIONS, references=REFERENCES, **keywords):
    shell = shells.load(name, config)
    return shell.compute(predictions=predictions, references=references, **keywords)


def test_accuracy():
    assert compute("accuracy") == {"accuracy": 0.625}
    assert compute("accuracy", normalize=False) == {"accuracy": 5.0}
    expected = oracle.accuracy_score(REFERENCES, PREDICTIONS, sample_weight=WEIGHTS)
    assert compute("accuracy", sample_weight=WEIGHTS) == {"accuracy": pytest.approx(expected)}


@pytest.mark.parametrize("name", ["f1", "precision", "recall"])
def test_scores_with_averages(name):
    theirs = getattr(oracle, f"{name}_score")
    for average in ("macro", "micro", "weighted"):
        found = compute(name, average=average, sample_weight=WEIGHTS)
        expected = theirs(REFERENCES, PREDICTIONS, average=average, sample_weight=WEIGHTS)
        assert found == {name: pytest.approx(expected)}
        assert type(found[name]) is float
    found = compute(name, average=None, labels=[2, 0])
    assert isinstance(found[name], np.ndarray)
    np.testing.assert_allclose(
        found[name], theirs(REFERENCES, PREDICTIONS, average=None, labels=[2, 0])
    )
    binary = compute(name, None, [0, 1, 1, 0, 0], [0, 1, 0, 1, 0], pos_label=0)
    assert binary == {name: pytest.approx(2 / 3)}


@pytest.mark.parametrize("name", ["precision", "recall"])
def test_zero_division(name):
    assert compute(name, None, [0, 0], [0, 0], zero_division=1) == {name: 1.0}


def test_multilabel_configurations():
    predictions, references = [[0, 1, 1], [1, 0, 0]], [[0, 1, 1], [0, 1, 0]]
    found = compute("f1", "multilabel", predictions, references, average="macro")
    assert found == {"f1": pytest.approx(5 / 9)}
    assert compute("accuracy", "multilabel", predictions, references) == {"accuracy": 0.5}
    found = compute("matthews_correlation", "multilabel", predictions, references)
    np.testing.assert_allclose(found["matthews_correlation"], [0, 0, 1])
    found = compute("matthews_correlation", "multilabel", predictions, references, average="macro")
    assert found == {"matthews_correlation": pytest.approx(1 / 3)}


def test_matthews_correlation():
    references, predictions = [1, 3, 2, 0, 3, 2], [1, 2, 2, 0, 3, 3]
    found = compute("matthews_correlation", None, predictions, references)
    assert found == {"matthews_correlation": pytest.approx(0.5385, abs=1e-4)}


def test_roc_auc():
    scores = [0.5, 0.2, 0.99, 0.3, 0.1, 0.7]
    found = shells.load("roc_auc").compute(references=[1, 0, 1, 1, 0, 0], prediction_scores=scores)
    assert found == {"roc_auc": pytest.approx(7 / 9)}
    rows = [[0.3, 0.5, 0.2], [0.7, 0.2, 0.1], [0.005, 0.99, 0.005]]
    rows += [[0.2, 0.3, 0.5], [0.1, 0.1, 0.8], [0.1, 0.7, 0.2]]
    found = shells.load("roc_auc", "multiclass").compute(
        references=[1, 0, 1, 2, 2, 0], prediction_scores=rows, multi_class="ovr"
    )
    assert found == {"roc_auc": pytest.approx(0.8542, abs=1e-4)}
    gold = [[1, 1, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [0, 1, 1], [1, 0, 1]]
    found = shells.load("roc_auc", "multilabel").compute(
        references=gold, prediction_scores=rows, average=None
    )
    np.testing.assert_allclose(found["roc_auc"], [0.8333, 0.375, 0.9444], atol=1e-4)


def test_confusion_matrix():
    found = compute("confusion_matrix", normalize="true")
    expected = oracle.confusion_matrix(REFERENCES, PREDICTIONS, normalize="true")
    np.testing.assert_allclose(found["confusion_matrix"], expected)


def test_correlations():
    expected = stats.pearsonr(NUMBERS, GUESSES)
    found = compute("pearsonr", None, GUESSES, NUMBERS, return_pvalue=True)
    assert found == {"pearsonr": pytest.approx(expected[0]), "p-value": pytest.approx(expected[1])}
    assert set(compute("pearsonr", None, GUESSES, NUMBERS)) == {"pearsonr"}
    expected = stats.spearmanr(NUMBERS, GUESSES)
    found = compute("spearmanr", None, GUESSES, NUMBERS, return_pvalue=True)
    assert found["spearmanr"] == pytest.approx(expected[0])
    assert found["spearmanr_pvalue"] == pytest.approx(expected[1])
    assert set(compute("spearmanr", None, GUESSES, NUMBERS)) == {"spearmanr"}


def test_errors():
    predictions, references = [2.5, 0.0, 2, 8], [3, -0.5, 2, 7]
    assert compute("mse", None, predictions, references) == {"mse": 0.375}
    assert compute("mse", None, predictions, references, squared=False) == {
        "mse": pytest.approx(0.375**0.5)
    }
    assert compute("mae", None, predictions, references) == {"mae": 0.5}
    predictions, references = [[0.5, 1], [-1, 1], [7, -6]], [[0, 2], [-1, 2], [8, -5]]
    assert compute("mae", "multilist", predictions, references) == {"mae": 0.75}
    found = compute("mse", "multilist", predictions, references, multioutput="raw_values")
    np.testing.assert_allclose(found["mse"], [5 / 12, 1])


def test_examples_can_be_added_one_after_the_other():
    shell = shells.load("accuracy")
    for batch in (slice(0, 3), slice(3, 7)):
        shell.add_batch(predictions=PREDICTIONS[batch], references=REFERENCES[batch])
    shell.add(prediction=PREDICTIONS[7], reference=REFERENCES[7])
    assert shell.compute() == {"accuracy": 0.625}
    assert shell.compute(predictions=[1], references=[1]) == {"accuracy": 1.0}


def test_shells_combine():
    both = evaluate.combine([shells.load("accuracy"), shells.load("f1")])
    assert both.compute(predictions=[0, 1], references=[0, 1]) == {"accuracy": 1.0, "f1": 1.0}


def test_every_shell_goes_by_its_name_and_describes_itself():
    for name in shells.SHELLS:
        shell = shells.load(name)
        assert shell.name == name
        assert shell.description
        assert shell.info.reference_urls


def test_unknown_name():
    with pytest.raises(InputError, match="did you mean 'accuracy'"):
        shells.load("acuracy")
