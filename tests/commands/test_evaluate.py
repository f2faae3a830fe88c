"""Scores of a model and of a file of predictions; thresholds; strict data."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from sklearn.metrics import accuracy_score, f1_score

from hfkit.commands.evaluate import evaluate
from hfkit.commands.predict import predictions, write_predictions
from hfkit.config import EvaluateConfig, PredictConfig
from hfkit.data.predictions import answer_of
from hfkit.errors import InputError


def evaluated(model, data=None, **settings):
    return evaluate(EvaluateConfig(model=str(model), data=data and str(data), **settings))


def read_csv(path):
    with Path(path).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def predicted(model, data, output, **settings):
    write_predictions(
        PredictConfig(model=str(model), inputs=[str(data)], output=str(output), **settings)
    )
    return output


def write(path, text):
    path.write_text(text, "utf-8")
    return path


@pytest.fixture(scope="module")
def result(tiny_classifier_folder, toy_files):
    return evaluated(tiny_classifier_folder, toy_files["test"])


def test_scores_equal_those_of_scikit_learn(result, tiny_classifier_folder, toy_files):
    gold = [row["label"] for row in read_csv(toy_files["test"])]
    config = PredictConfig(model=str(tiny_classifier_folder), inputs=[str(toy_files["test"])])
    answers = [record["prediction"]["label"] for record in predictions(config)]
    assert result.scores.count == 30
    assert result.scores.values["accuracy"] == pytest.approx(accuracy_score(gold, answers))
    expected = f1_score(gold, answers, average="macro", zero_division=0)
    assert result.scores.values["f1_macro"] == pytest.approx(expected)


def test_the_result_has_intervals_and_a_baseline_and_is_json(result, tiny_classifier_folder):
    low, high = result.scores.intervals["accuracy"]
    assert low <= result.scores.values["accuracy"] <= high
    assert "accuracy" in result.scores.baseline
    found = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert found["values"]["accuracy"] == result.scores.values["accuracy"]
    assert found["model"] == str(tiny_classifier_folder) and found["missed"] == []


@pytest.mark.parametrize("name", ["p.jsonl", "p.csv", "p.tsv"])
@pytest.mark.parametrize("scores", [False, True])
def test_a_file_of_predictions_scores_as_the_model_does(
    result, tiny_classifier_folder, toy_files, tmp_path, name, scores
):
    path = predicted(tiny_classifier_folder, toy_files["test"], tmp_path / name, scores=scores)
    for data in (None, toy_files["test"]):
        found = evaluated(path, data).scores.values
        assert found["accuracy"] == result.scores.values["accuracy"]
        assert found["f1_macro"] == pytest.approx(result.scores.values["f1_macro"])
        if scores:
            assert found["roc_auc"] == pytest.approx(result.scores.values["roc_auc"], abs=1e-3)


def test_bare_predictions_are_matched_by_their_order(
    result, tiny_classifier_folder, toy_files, tmp_path
):
    path = predicted(
        tiny_classifier_folder, toy_files["test"], tmp_path / "p.jsonl", only_prediction=True
    )
    found = evaluated(path, toy_files["test"])
    assert found.scores.values["accuracy"] == result.scores.values["accuracy"]
    with pytest.raises(InputError, match="30 predictions for 96 rows"):
        evaluated(path, toy_files["train"])


def test_a_row_without_a_prediction_is_an_error_with_its_place(tmp_path):
    path = write(
        tmp_path / "p.jsonl",
        '{"label": "a", "prediction": {"label": "a", "score": 1.0}}\n'
        '{"label": "a", "row": 2, "error": "the text is empty"}\n',
    )
    with pytest.raises(InputError, match="no prediction: the text is empty") as caught:
        evaluated(path)
    assert caught.value.place.endswith("p.jsonl:2")


def test_predictions_of_numbers_and_of_several_labels(tmp_path):
    path = write(
        tmp_path / "n.jsonl",
        "".join(
            json.dumps({"text": "x", "label": gold, "prediction": {"value": value}}) + "\n"
            for gold, value in ((1.0, 1.5), (2.5, 2.0), (3.0, 3.5))
        ),
    )
    assert evaluated(path).scores.values["mse"] == pytest.approx(0.25)
    path = write(
        tmp_path / "m.csv",
        "text,label,prediction.labels,prediction.scores,error\nx,a|b,a,0.9,\ny,b,b,0.8,\nz,,,,\n",
    )
    with pytest.raises(InputError):  # the last row has no prediction at all
        evaluated(path, label_delimiter="|")


def test_a_threshold_that_is_missed_is_told_and_one_that_is_met_is_not(
    tiny_classifier_folder, toy_files
):
    found = evaluated(
        tiny_classifier_folder, toy_files["test"], fail_under=["accuracy=1.01", "f1_macro=0"]
    )
    assert len(found.missed) == 1 and found.missed[0].startswith("accuracy is 0.")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("acuracy=0.5", "did you mean 'accuracy'"),
        ("accuracy", "accuracy=0.9"),
        ("accuracy=high", "a number"),
    ],
)
def test_a_threshold_that_makes_no_sense(tiny_classifier_folder, toy_files, given, told):
    with pytest.raises(InputError) as caught:
        evaluated(tiny_classifier_folder, toy_files["test"], fail_under=[given])
    assert told in str(caught.value) and caught.value.place == "--fail-under"


def test_a_metric_that_the_user_names_is_added(tiny_classifier_folder, toy_files, result):
    found = evaluated(tiny_classifier_folder, toy_files["test"], metric=["accuracy"])
    added = set(found.scores.values) - set(result.scores.values)
    assert added == {"accuracy:accuracy"}
    assert found.scores.values["accuracy:accuracy"] == found.scores.values["accuracy"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("text,label\nrain,weather\nsun,whether\n", "whether"),
        ("text,label\nrain,weather\n,weather\n", "empty"),
        ("text,label\nrain,weather\nsun,weather,3\n", "3"),
        ("text,label\nrain,weather\nsun,\n", "label"),
    ],
)
def test_a_bad_row_ends_it_with_its_place_before_the_model_is_loaded(
    tiny_classifier_folder, tmp_path, monkeypatch, text, told
):
    monkeypatch.setattr(
        "hfkit.run.predicting.make_predictor", lambda *_: pytest.fail("the model was loaded")
    )
    data = write(tmp_path / "t.csv", text)
    with pytest.raises(InputError) as caught:
        evaluated(tiny_classifier_folder, data)
    assert caught.value.place == f"{data}:3" and told in str(caught.value)


def test_an_unseen_label_names_the_known_ones(tiny_classifier_folder, tmp_path):
    data = write(tmp_path / "t.csv", "text,label\nrain,whether\n")
    with pytest.raises(InputError, match='"whether" was not seen') as caught:
        evaluated(tiny_classifier_folder, data)
    assert '"kitchen", "music", "weather"' in caught.value.hint


def test_the_scores_are_written_to_a_file_once(tiny_classifier_folder, toy_files, tmp_path):
    output = tmp_path / "scores.json"
    found = evaluated(tiny_classifier_folder, toy_files["test"], output=str(output))
    assert json.loads(output.read_text("utf-8")) == json.loads(json.dumps(found.to_json()))
    with pytest.raises(InputError, match="exists"):
        evaluated(tiny_classifier_folder, toy_files["test"], output=str(output))


def test_without_data_a_model_cannot_be_scored(tiny_classifier_folder):
    with pytest.raises(InputError, match="no data"):
        evaluated(tiny_classifier_folder)


def test_data_and_model_in_the_wrong_order(tiny_classifier_folder, toy_files):
    with pytest.raises(InputError, match="is a model, and not data; the model comes first"):
        evaluated(toy_files["test"], tiny_classifier_folder)


def test_flat_answers_are_put_together_again():
    fields = {"prediction.labels": "a|b", "prediction.scores": "0.9|0.8", "error": ""}
    assert answer_of(fields) == {"labels": ["a", "b"], "scores": {"a": 0.9, "b": 0.8}}
    assert answer_of({"prediction.value": "3.5"}) == {"value": 3.5}
    fields = {"prediction.labels": "", "prediction.scores.a": "0.1", "prediction.scores.b": "0.2"}
    assert answer_of(fields) == {"labels": [], "scores": {"a": 0.1, "b": 0.2}}
    with pytest.raises(InputError, match="expected a number"):
        answer_of({"prediction.value": "much"})


def test_predictions_in_another_order_are_refused(tiny_classifier_folder, tmp_path, toy_files):
    output = predicted(tiny_classifier_folder, toy_files["test"], tmp_path / "p.jsonl")
    lines = output.read_text("utf-8").splitlines(keepends=True)
    shuffled = write(tmp_path / "s.jsonl", "".join([lines[1], lines[0], *lines[2:]]))
    assert evaluated(output, toy_files["test"]).scores.count == 30
    with pytest.raises(InputError, match=r"not the row predicted at .*column 'text' differs"):
        evaluated(shuffled, toy_files["test"])


def test_a_limit_on_an_error_is_an_upper_one(tmp_path):
    data = write(tmp_path / "d.csv", "text,label\na,1.5\nb,2.5\nc,4.5\n")
    answers = "".join(f'{{"text":"{t}","prediction":{{"value":{v}}}}}\n' for t, v in
                      (("a", 1.0), ("b", 2.0), ("c", 4.0)))  # fmt: skip
    predictions = write(tmp_path / "p.jsonl", answers)
    assert evaluated(predictions, data, fail_under=["mse=1"]).missed == []
    assert evaluated(predictions, data, fail_under=["mse=0.1"]).missed == ["mse is 0.25, above 0.1"]


def test_several_labels_in_csv_come_back_whatever_the_delimiter_of_the_data(tmp_path):
    data = write(tmp_path / "d.csv", "text,label\na,x;y\nb,x\n")
    predictions = write(
        tmp_path / "p.csv",
        "text,prediction.labels,prediction.scores\na,x|y,0.9|0.8\nb,x,0.7\n",
    )
    found = evaluated(predictions, data, label_delimiter=";")
    assert found.scores.values["subset_accuracy"] == 1.0


def test_texts_that_were_cut_are_said(tiny_classifier_folder, tmp_path, caplog):
    rows = f"text,label\n{'rain ' * 200},weather\nsoup,kitchen\n"
    data = write(tmp_path / "long.csv", rows)
    evaluated(tiny_classifier_folder, data)
    assert "were cut" not in caplog.text  # read in windows
    evaluated(tiny_classifier_folder, data, options={"on_long": "truncate"})
    assert "1 of 2 texts are longer than the model reads and were cut" in caplog.text
