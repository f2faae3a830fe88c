"""Zero-shot from the command line: at once with the packaged MiniLM, and after training on NLI."""

from __future__ import annotations

import json

import pytest
from toys import read_jsonl, write_base_model

import hfkit
from hfkit.cli.app import run
from hfkit.errors import InputError
from hfkit.model.locate import packaged_minilm

minilm = pytest.mark.skipif(packaged_minilm() is None, reason="the packaged MiniLM is not there")

TEXTS = {
    "The keeper saved two penalties and the fans went wild.": "football",
    "The midfielder scored from outside the box.": "football",
    "Simmer the onions in butter before you add the rice.": "cooking",
    "Knead the dough and let it rise for an hour.": "cooking",
    "Heavy showers will move in from the west tonight.": "weather",
    "It stays frosty, with fog in the valleys.": "weather",
}
LABELS = "football,cooking,weather"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "texts.jsonl"
    lines = [json.dumps({"text": text, "label": label}) for text, label in TEXTS.items()]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


@minilm
def test_it_works_at_once(file, capsys) -> None:
    assert run(["predict", "minilm", str(file), "-t", "zero-shot", "--labels", LABELS]) == 0
    captured = capsys.readouterr()
    found = [json.loads(line) for line in captured.out.splitlines()]
    assert [record["prediction"]["label"] for record in found] == list(TEXTS.values())
    assert list(found[0]["prediction"]) == ["label", "score"]
    assert "vectors" in captured.err


@minilm
def test_a_labelled_file_is_scored(file, capsys) -> None:
    flags = ["-t", "zero-shot", "--labels", LABELS]
    assert run(["evaluate", "minilm", str(file), *flags]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["metric"] == "single-label" and scores["values"]["accuracy"] == 1
    assert scores["values"]["f1_macro"] == 1
    assert (
        run(["evaluate", "minilm", str(file), "-t", "zero-shot", "--labels", "football,law"]) == 2
    )
    assert 'texts.jsonl:3: label "cooking" is not among' in capsys.readouterr().err


@minilm
def test_several_labels_and_a_file_of_labels(file, tmp_path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("football, or soccer\ncooking\nweather\n")
    found = list(
        hfkit.predict(
            "minilm", str(file), task="zero-shot", labels_file=str(labels), multi_label=True
        )
    )
    assert "football, or soccer" in found[0]["prediction"]["labels"]
    assert "cooking" in found[2]["prediction"]["labels"]
    assert set(found[2]["prediction"]["scores"]) == set(found[2]["prediction"]["labels"])


@minilm
def test_rows_with_labels_of_their_own(tmp_path, capsys) -> None:
    path = tmp_path / "in.jsonl"
    records = [
        {"text": "Knead the dough.", "candidates": ["baking", "sailing"]},
        {"text": "Reef the sails!", "candidates": ["baking", "sailing"]},
        {"text": "Reef the sails!", "candidates": ["baking", "baking"]},
    ]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert (
        run(["predict", "minilm", str(path), "-t", "zero-shot", "-o", str(tmp_path / "o.jsonl")])
        == 1
    )
    first, second, third = read_jsonl(tmp_path / "o.jsonl")
    assert first["prediction"]["label"] == "baking" and second["prediction"]["label"] == "sailing"
    assert "stands there twice" in third["error"]


@minilm
def test_a_model_kept_open() -> None:
    model = hfkit.load("minilm", task="zero-shot", labels=LABELS)
    assert model.labels == LABELS.split(",")
    found = model.predict(list(TEXTS))
    assert [answer["label"] for answer in found] == list(TEXTS.values())
    own = model.predict({"text": "Reef the sails!", "candidates": ["baking", "sailing"]})
    assert own[0]["label"] == "sailing"


def test_without_labels_it_says_how_to_name_them(tmp_path, capsys) -> None:
    folder = str(write_base_model(tmp_path / "encoder"))
    assert run(["predict", folder, "a text", "-t", "zero-shot"]) == 2
    error = capsys.readouterr().err
    assert "reads text and candidates" in error and "--labels" in error


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--labels", "a,b,a"], "stands there twice"),
        (["--labels", "a"], "nothing to choose"),
        (["--labels", "a,b", "--template", "no place"], "no {} for the label"),
    ],
)
def test_mistakes(flags, problem, tmp_path, capsys) -> None:
    folder = str(write_base_model(tmp_path / "encoder"))
    assert run(["predict", folder, "a text", "-t", "zero-shot", *flags]) == 2
    error = capsys.readouterr().err
    assert problem in error and error.count("hfkit: error") == 1


def test_it_is_not_trained(tmp_path, file, tiny_base_folder) -> None:
    with pytest.raises(InputError, match="-t nli"):
        hfkit.finetune(
            str(file), model=str(tiny_base_folder), task="zero-shot", output=str(tmp_path / "out")
        )


@pytest.fixture(scope="module")
def nli_run(tmp_path_factory, tiny_base_folder):
    """A model trained on pairs: a sentence entails what is said of a word in it."""
    folder = tmp_path_factory.mktemp("nli")
    words = ["rain", "soup", "drum", "fog", "salt", "song", "pan", "snow", "oven", "tune"]
    lines = []
    for number in range(240):
        word, other = words[number % 10], words[(number * 7 + 3) % 10]
        said, label = [
            (word, "entailment"), (other, "contradiction"), ("the", "neutral")
        ][number % 3]  # fmt: skip
        if said == word and label == "contradiction":
            label = "entailment"
        lines.append(json.dumps({"premise": f"the {word}", "hypothesis": said, "label": label}))
    path = folder / "train.jsonl"
    path.write_text("\n".join(lines) + "\n")
    done = hfkit.finetune(
        str(path), model=str(tiny_base_folder), task="nli", output=str(folder / "run"), epochs=1
    )
    return str(done.folder)


def test_a_model_trained_on_nli_takes_any_labels(nli_run, capsys) -> None:
    flags = ["-t", "zero-shot", "--labels", "drum,soup", "--template", "{}", "--scores"]
    assert run(["predict", nli_run, "the soup", *flags]) == 0
    [found] = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert set(found["prediction"]["scores"]) == {"drum", "soup"}
    assert sum(found["prediction"]["scores"].values()) == pytest.approx(1)
    assert run(["predict", nli_run, "the soup", *flags, "--multi-label"]) == 0


def test_a_classifier_that_is_no_nli_model_is_refused(tiny_classifier_folder, capsys) -> None:
    flags = ["-t", "zero-shot", "--labels", "a,b"]
    assert run(["predict", str(tiny_classifier_folder), "the soup", *flags]) == 2
    error = capsys.readouterr().err
    assert "do not say which is entailment: kitchen, music, weather" in error
    assert "--entailment-label" in error
    named = [*flags, "--entailment-label", "music"]
    assert run(["predict", str(tiny_classifier_folder), "the soup", *named]) == 0
