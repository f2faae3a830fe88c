"""The card: metadata the Hub's own reader understands, and nothing private."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from huggingface_hub import ModelCard

from hfkit.model.card import Card, CardScore, front_matter, render, write_card

CARD = Card(
    name="parcels",
    task="classification",
    base_model="sentence-transformers/all-MiniLM-L6-v2",
    base_revision="c" * 40,
    datasets=["/home/somebody/secret-project/train.csv", "org/parcels"],
    rows={"training": 1200, "validation": 133},
    scores=[
        CardScore("accuracy", 0.91234, 0.88, 0.94, rows=133),
        CardScore("f1_macro", 0.87),
        CardScore("accuracy", 0.9, 0.87, 0.93, split="test", rows=200),
    ],
    labels=["delivery", "pipe|label"],
    languages=["en"],
    settings={
        "lr": 2e-4,
        "max_steps": None,
        "test": "../private/test.csv",
        "token": "hf_abcdefghijklmnop",
        "options": {"problem": "auto"},
    },
    versions={"transformers": "5.23.0"},
)


def test_the_hub_reads_its_metadata(tmp_path: Path) -> None:
    data = ModelCard.load(write_card(tmp_path, CARD)).data
    assert data.base_model == "sentence-transformers/all-MiniLM-L6-v2"
    assert data.pipeline_tag == "text-classification"
    assert data.library_name == "transformers"
    assert data.datasets == ["org/parcels"]
    assert data.language == ["en"]
    assert data.get("license") is None
    found = [(score.metric_type, score.metric_value, score.dataset_split) for score in
             data.eval_results]  # fmt: skip
    assert found == [
        ("accuracy", 0.91234, "validation"),
        ("f1_macro", 0.87, "validation"),
        ("accuracy", 0.9, "test"),
    ]


def test_nothing_private_is_in_it() -> None:
    text = render(CARD)
    for private in ("somebody", "secret-project", "..", "hf_abc", "/home"):
        assert private not in text
    assert "`train.csv`" in text
    assert "test.csv" in text


def test_what_people_read() -> None:
    text = render(CARD)
    assert "| validation | 133 | accuracy | 0.9123 | 0.8800 to 0.9400 |" in text
    assert "| validation |  | f1_macro | 0.8700 | not computed |" in text
    assert "max_steps" not in text
    assert "| options | problem=auto |" in text
    assert "AutoModelForSequenceClassification.from_pretrained" in text
    assert "hfkit predict" in text
    assert "Licence of the model: not stated" in text


def test_what_is_not_known_is_left_out(tmp_path: Path) -> None:
    path = write_card(tmp_path, Card(name="m", task="classification", base_model="runs/a/b"))
    data = ModelCard.load(path).data
    assert data.get("base_model") is None
    assert data.get("datasets") is None
    assert "Not measured" in path.read_text("utf-8")
    licensed = render(replace(CARD, license="apache-2.0"))
    assert "license: apache-2.0" in licensed


def test_scores_name_the_data_they_were_measured_on() -> None:
    data = {"train": {"source": "parcels:train"}, "validation": {"source": "parcels:train"},
            "test": {"source": "test.csv"}}  # fmt: skip
    card = replace(CARD, datasets=["org/parcels"], data=data)
    (index,) = front_matter(card)["model-index"]
    named = {one["dataset"]["split"]: one["dataset"]["name"] for one in index["results"]}
    assert named == {"validation": "org/parcels", "test": "test.csv"}
