"""Simple models beside the fine-tuned one: in `evaluate`, in a training, and in metrics.json."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from hfkit.config import Columns, Reading
from hfkit.data.dataset import load_rows
from hfkit.registry import make_task
from hfkit.run import baselines
from hfkit.run.baselines import baseline_scores


def column(path: Path, name: str) -> list[str]:
    with path.open(encoding="utf-8", newline="") as stream:
        return [row[name] for row in csv.DictReader(stream)]


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory, tiny_base_folder, toy_files) -> Path:
    from hfkit.cli.app import run

    out = tmp_path_factory.mktemp("baselines") / "out"
    command = [
        "finetune", toy_files["train"], "--validation", toy_files["validation"], "-m",
        tiny_base_folder, "-o", out, "--max-steps", 2, "--device", "cpu", "--threads", 1,
        "--max-length", 24, "--baselines", "-q",
    ]  # fmt: skip
    assert run([str(word) for word in command]) == 0
    return out


def test_a_training_saves_its_baselines(run_folder):
    saved = json.loads((run_folder / "metrics.json").read_text())["scores"]["validation"]
    assert set(saved["baselines"]) == {"tf-idf", "frozen"}
    assert saved["baselines"]["tf-idf"]["accuracy"] > 0.9  # the words give the label away
    assert "f1_macro" in saved["baselines"]["frozen"] and "accuracy" in saved["baseline"]


def test_evaluate_learns_from_the_rows_of_the_run(hfkit, run_folder, toy_files):
    command = ("evaluate", run_folder, toy_files["test"], "--baselines", "--threads", 1)
    code, out, err = hfkit(*command)
    assert code == 0, err
    found = json.loads(out)["baselines"]
    words = TfidfVectorizer(sublinear_tf=True, token_pattern=r"(?u)\b\w+\b", ngram_range=(1, 2))
    texts, labels = column(toy_files["train"], "text"), column(toy_files["train"], "label")
    model = LogisticRegression(C=10, max_iter=1000).fit(words.fit_transform(texts), labels)
    right = model.predict(words.transform(column(toy_files["test"], "text")))
    expected = np.mean(right == np.array(column(toy_files["test"], "label")))
    assert found["tf-idf"]["accuracy"] == pytest.approx(expected)
    assert f"baselines learn from the 96 rows of {toy_files['train']}" in err
    assert hfkit(*command)[1] == out


def test_the_rows_must_be_at_hand(hfkit, tiny_classifier_folder, toy_files, tmp_path):
    command = ("evaluate", tiny_classifier_folder, toy_files["test"], "--baselines")
    code, _, err = hfkit(*command)
    assert code == 2 and "name them with --training-data" in err
    code, out, err = hfkit(*command, "--training-data", toy_files["train"])
    assert code == 0 and set(json.loads(out)["baselines"]) == {"tf-idf"}, err
    answers = tmp_path / "p.jsonl"
    answers.write_text('{"text": "a", "label": "music", "prediction": {"label": "music"}}\n')
    code, _, err = hfkit("evaluate", answers, "--baselines")
    assert code == 2 and "give the model in place of its predictions" in err


def scores(tmp_path: Path, task_name: str, lines: list[dict], training: list[dict], **options):
    """The baselines of a task, on rows as a file has them."""
    task = make_task(task_name, options)
    parts = []
    for name, rows in (("training", training), ("rows", lines)):
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        parts.append(
            load_rows(
                str(path), Reading(), Columns(), task.columns, label_kind=task.label_kind
            ).rows
        )
    task.learn(parts[0])
    return baseline_scores(task, *parts, task.gold(parts[1]))


def test_words_keep_their_usual_tag(tmp_path):
    training = [
        {"tokens": ["Anna", "Roth", "left", "Bern"], "tags": ["B-PER", "I-PER", "O", "B-LOC"]},
        {"tokens": ["Bern", "left", "Anna"], "tags": ["B-LOC", "O", "B-PER"]},
    ]
    rows = [{"tokens": ["Anna", "left", "Oslo"], "tags": ["B-PER", "O", "B-LOC"]}]
    found = scores(tmp_path, "ner", rows, training)["lookup"]
    assert (found["precision"], found["recall"]) == (1.0, 0.5)
    person, place = {"start": 0, "end": 9, "label": "PER"}, {"start": 15, "end": 19, "label": "LOC"}
    texts = [{"text": "Anna Roth left Bern", "entities": [person, place]}]
    assert scores(tmp_path, "ner", texts, texts)["lookup"]["f1"] == 1.0


def test_the_nearest_sentence_answers(tmp_path):
    context = "The lamp is on the shelf. The key is under the mat. Nobody asked."
    answer = {"text": "under the mat", "answer_start": context.index("under")}
    rows = [{"question": "Where is the key?", "context": context, "answers": [answer]}]
    found = scores(tmp_path, "qa", rows, rows)["sentence"]
    assert 0.5 < found["f1"] < 1 and found["exact_match"] == 0


def test_texts_that_share_words_are_alike(tmp_path):
    rows = [
        {"text": "red car", "text_pair": "red car", "label": 5.0},
        {"text": "red car", "text_pair": "red bus", "label": 3.0},
        {"text": "red car", "text_pair": "old tree", "label": 0.5},
    ]
    assert scores(tmp_path, "similarity", rows, rows)["tf-idf"]["spearman"] == pytest.approx(1)


def test_labels_numbers_pairs_and_characters(tmp_path):
    several = [
        {"text": "sun rain", "label": ["a", "b"]}, {"text": "sun", "label": ["a"]},
        {"text": "rain", "label": ["b"]}, {"text": "soup", "label": []},
    ] * 4  # fmt: skip
    found = scores(tmp_path, "classification", several, several, problem="multi-label")
    assert found["tf-idf"]["f1_micro"] > 0.9
    numbers = [{"text": text, "label": value} for text, value in (("low", 0.5), ("high", 9.5))] * 5
    found = scores(tmp_path, "classification", numbers, numbers, problem="regression")
    assert found["tf-idf"]["pearson"] > 0.9
    pairs = [
        {"text": "sun", "text_pair": "sun", "label": "same"},
        {"text": "sun", "text_pair": "rain", "label": "other"},
        {"text": "rain", "text_pair": "rain", "label": "same"},
        {"text": "rain", "text_pair": "sun", "label": "other"},
    ] * 4  # fmt: skip
    assert scores(tmp_path, "classification", pairs, pairs)["tf-idf"]["accuracy"] == 1.0
    chinese = [{"text": "今天下雨了", "label": "w"}, {"text": "汤很好喝", "label": "k"}] * 4
    asked = [{"text": "下雨吗", "label": "w"}, {"text": "这汤好喝", "label": "k"}]
    assert scores(tmp_path, "classification", asked, chinese)["tf-idf"]["accuracy"] == 1.0


def test_many_rows_are_drawn_and_that_is_said(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(baselines, "MOST", 4)
    rows = [{"text": f"sun {n}" if n % 2 else f"soup {n}", "label": "wk"[n % 2]} for n in range(20)]
    with caplog.at_level("INFO"):
        scores(tmp_path, "classification", rows, rows)
    assert "baseline tf-idf: learns from 4 of 20 training rows" in caplog.text
