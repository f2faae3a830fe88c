"""Metrics that a user names: which code runs, what it is given, what becomes of its result."""

import sys

import evaluate
import pytest

from hfkit.errors import InputError, NetworkError
from hfkit.metrics.user import user_metric

LABELS = ["a", "b", "c"]
GOLD = [{"label": label} for label in "aabbc"]
ANSWERS = [{"label": label} for label in "aabac"]

SCRIPT = """
import datasets
import evaluate


class Probe(evaluate.Metric):
    def _info(self):
        value = {feature}
        return evaluate.MetricInfo(
            description="", citation="", features=datasets.Features(
                {{"predictions": value, "references": value}}))

    def _compute(self, predictions, references):
        return {result}
"""


@pytest.fixture(scope="module")
def modules_folder(tmp_path_factory):
    """`evaluate` copies a script before it imports it; keep the copies out of the real cache."""
    folder = tmp_path_factory.mktemp("modules")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate.config, "HF_MODULES_CACHE", folder)
        patch.setattr(evaluate.config, "HF_METRICS_CACHE", folder)
        patch.setattr(sys, "path", list(sys.path))
        yield


@pytest.fixture
def here(monkeypatch, tmp_path, modules_folder):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path, result, feature='datasets.Value("int32")'):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SCRIPT.format(feature=feature, result=result), encoding="utf-8")
    return path


def trap(folder, path):
    """A script that leaves a mark when it runs."""
    script = folder / path
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(f"open({str(folder / 'ran')!r}, 'w').close()\n", encoding="utf-8")


def test_a_built_in_name_is_ours_whatever_lies_in_the_folder(here):
    trap(here, "accuracy/accuracy.py")
    trap(here, "accuracy.py")
    assert user_metric("accuracy", offline=True)(ANSWERS, GOLD, LABELS) == {"accuracy": 0.8}
    assert not (here / "ran").exists()


def test_an_unknown_bare_name_never_runs_a_file(here):
    trap(here, "mine/mine.py")
    trap(here, "mine.py")
    with pytest.raises(InputError, match="never run") as caught:
        user_metric("mine")
    assert "./mine.py" in str(caught.value)
    with pytest.raises(InputError, match="did you mean 'accuracy'"):
        user_metric("acuracy")
    assert not (here / "ran").exists()


def test_a_name_of_the_hub_never_runs_a_file(here):
    trap(here, "group/mine/mine.py")
    with pytest.raises(InputError, match=r"write \./group/mine"):
        user_metric("group/mine", offline=True)
    with pytest.raises(NetworkError, match="offline"):
        user_metric("group/other", offline=True)
    assert not (here / "ran").exists()


def test_the_hub_out_of_reach(here, monkeypatch):
    def unreachable(name, **_):
        raise FileNotFoundError(name)

    monkeypatch.setattr(evaluate, "load", unreachable)
    with pytest.raises(NetworkError, match="group/other"):
        user_metric("group/other")


@pytest.mark.parametrize("name", ["./folder/probe.py", "folder/probe.py", "absolute", "./probe"])
def test_a_path_is_loaded(here, name):
    write(here / "folder/probe.py", '{"first": predictions[0], "ids": [references]}')
    write(here / "probe/probe.py", '{"first": predictions[0], "ids": [references]}')
    path = str(here / "folder/probe.py") if name == "absolute" else name
    scores = user_metric(path, offline=True)(ANSWERS, GOLD, LABELS)
    assert scores == {"first": 0, "ids.0": 0, "ids.1": 0, "ids.2": 1, "ids.3": 1, "ids.4": 2}
    assert all(type(value) is float for value in scores.values())


def test_results_become_numbers(here):
    result = """{"nested": {"f1": __import__("numpy").float64(0.5), "name": "text"},
                 "nothing": float("nan"), "none": None, "one": __import__("numpy").array([0.25])}"""
    path = write(here / "flat.py", result)
    assert user_metric(str(path))(ANSWERS, GOLD, LABELS) == {"nested.f1": 0.5, "one": 0.25}
    path = write(here / "bare.py", "0.75")
    assert user_metric(str(path))(ANSWERS, GOLD, LABELS) == {"probe": 0.75}
    path = write(here / "empty.py", '{"text": "good"}')
    with pytest.raises(InputError, match="no finite number"):
        user_metric(str(path))(ANSWERS, GOLD, LABELS)


def test_a_metric_of_texts_gets_names(here):
    path = write(
        here / "names.py", '{"right": references == list("aabbc")}', 'datasets.Value("string")'
    )
    assert user_metric(str(path))(ANSWERS, GOLD, LABELS) == {"right": 1.0}


def test_a_script_that_fails_is_the_users_error(here):
    with pytest.raises(InputError, match=r"missing\.py"):
        user_metric("./missing.py")
    (here / "broken.py").write_text("import nothing_of_this_name_exists\n", encoding="utf-8")
    with pytest.raises(InputError, match="cannot load the metric script"):
        user_metric("./broken.py")
    path = write(here / "fails.py", "1 / 0")
    with pytest.raises(InputError, match="ZeroDivisionError"):
        user_metric(str(path))(ANSWERS, GOLD, LABELS)


def test_more_than_two_labels_are_averaged(here):
    scores = user_metric("f1")(ANSWERS, GOLD, LABELS)
    assert scores == {"f1": pytest.approx((0.8 + 2 / 3 + 1) / 3)}
    two = [{"label": "b"}, {"label": "a"}]
    assert user_metric("f1")(two, [two[0], two[0]], ["a", "b"]) == {"f1": pytest.approx(2 / 3)}


def test_roc_auc_gets_scores(here):
    gold = [{"label": "a"}, {"label": "b"}, {"label": "a"}]
    answers = [{"scores": {"a": 1 - s, "b": s}} for s in (0.1, 0.3, 0.4)]
    assert user_metric("roc_auc")(answers, gold, ["a", "b"]) == {"roc_auc": 0.5}
    answers = [{"scores": {"a": s, "b": 0.9 - s, "c": 0.1}} for s in (0.5, 0.25, 0.75)]
    gold = [{"label": "a"}, {"label": "b"}, {"label": "c"}]
    assert user_metric("roc_auc")(answers, gold, LABELS)["roc_auc"] == pytest.approx(2 / 3, abs=0.1)
    with pytest.raises(InputError, match="every label"):
        user_metric("roc_auc")([{"scores": {"a": 1}}] * 3, gold, LABELS)


def test_multi_label_answers_need_a_metric_of_lists(here):
    gold = [{"labels": ["a"]}, {"labels": ["b", "c"]}]
    answers = [{"labels": ["a"]}, {"labels": ["b"]}]
    assert user_metric("accuracy")(answers, gold, LABELS) == {"accuracy": 0.5}
    assert user_metric("f1")(answers, gold, LABELS) == {"f1": pytest.approx(2 / 3)}
    path = write(here / "scalar.py", '{"x": 1}')
    with pytest.raises(InputError, match="one value per example"):
        user_metric(str(path))(answers, gold, LABELS)


def test_regression_gets_floats(here):
    gold, answers = [{"value": 1}, {"value": 2.5}], [{"value": 2}, {"value": 2.5}]
    assert user_metric("mae")(answers, gold, []) == {"mae": 0.5}


def test_an_unknown_label_is_named(here):
    with pytest.raises(InputError, match="'z' is unknown"):
        user_metric("accuracy")([{"label": "z"}], [{"label": "a"}], LABELS)
