"""A written folder loads with transformers alone, gives the same logits, and leaks nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from toys import write_base_model
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from hfkit.errors import InputError, ResourceError
from hfkit.model import folder as module
from hfkit.model.facts import describe
from hfkit.model.folder import write_folder
from hfkit.model.load import load_for_prediction, load_for_training, quiet
from hfkit.model.locate import packaged_minilm

FAMILIES = ["bert", "roberta", "xlm-roberta", "distilbert", "deberta-v2", "modernbert", "electra"]
AUTO = "AutoModelForSequenceClassification"
HEAD = {
    "num_labels": 2,
    "id2label": {0: "no", 1: "ja, öfter"},
    "label2id": {"no": 0, "ja, öfter": 1},
    "problem_type": "single_label_classification",
}
TEXTS = ["rain and a drum", "x", "soup " * 150]


def run_folder(tmp_path: Path, family: str, **more: Any) -> tuple[Path, Any]:
    """A model with a new head, written to a folder."""
    base = write_base_model(tmp_path / "base", family)
    model = load_for_training(base, AUTO, more.pop("head", HEAD), dropout=None, seed=1).eval()
    write_folder(tmp_path / "run", model, base, max_length=96)
    return tmp_path / "run", model


def logits(model: Any, tokenizer: Any) -> torch.Tensor:
    batch = tokenizer(TEXTS, padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        return torch.Tensor(model(**batch).logits)


@pytest.mark.parametrize("family", FAMILIES)
def test_transformers_alone_loads_it(tmp_path: Path, family: str) -> None:
    run, model = run_folder(tmp_path, family)
    with quiet():
        loaded = AutoModelForSequenceClassification.from_pretrained(run).eval()
        tokenizer = AutoTokenizer.from_pretrained(run)
        classify = pipeline("text-classification", model=str(run), device="cpu")
        answers = classify(TEXTS, truncation=True, top_k=None)
    expected = logits(model, tokenizer)
    assert torch.equal(logits(loaded, tokenizer), expected)
    assert torch.equal(logits(load_for_prediction(run, AUTO), tokenizer), expected)
    for row, answer in zip(expected.softmax(dim=1), answers, strict=True):
        found = {entry["label"]: entry["score"] for entry in answer}
        assert found == pytest.approx({"no": row[0].item(), "ja, öfter": row[1].item()}, abs=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_stands_in_the_files(tmp_path: Path, family: str) -> None:
    run, _ = run_folder(tmp_path, family)
    assert sorted(path.name for path in run.iterdir()) == [
        "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip
    config = json.loads((run / "config.json").read_text("utf-8"))
    assert config["id2label"] == {"0": "no", "1": "ja, öfter"}
    assert config["label2id"] == {"no": 0, "ja, öfter": 1}
    assert config["problem_type"] == "single_label_classification"
    assert config["architectures"][0].endswith("ForSequenceClassification")
    assert config["dtype"] == config["torch_dtype"] == "float32"
    settings = json.loads((run / "tokenizer_config.json").read_text("utf-8"))
    assert settings["model_max_length"] == 96
    assert settings["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert not set(settings) & set(module.TOKENIZER_LEAKS)
    segments = "token_type_ids" in settings["model_input_names"]
    assert segments == (config.get("type_vocab_size", 0) > 1)
    pair = AutoTokenizer.from_pretrained(run)("rain", "drum")
    assert list(pair) == settings["model_input_names"]
    backend = json.loads((run / "tokenizer.json").read_text("utf-8"))
    assert backend["truncation"] is None
    assert backend["padding"] is None
    for path in run.glob("*.json"):
        assert str(tmp_path) not in path.read_text("utf-8")
    facts = describe(run)
    assert (facts.has_head, facts.labels, facts.max_length) == (True, ["no", "ja, öfter"], 96)


def test_one_number_as_answer(tmp_path: Path) -> None:
    run, _ = run_folder(tmp_path, "bert", head={"num_labels": 1, "problem_type": "regression"})
    config = json.loads((run / "config.json").read_text("utf-8"))
    assert len(config["id2label"]) == 1
    assert AutoModelForSequenceClassification.from_pretrained(run).config.num_labels == 1


def test_default_looking_labels_are_written_out(tmp_path: Path) -> None:
    names = {0: "LABEL_0", 1: "LABEL_1"}
    head = {**HEAD, "id2label": names, "label2id": {"LABEL_0": 0, "LABEL_1": 1}}
    run, _ = run_folder(tmp_path, "bert", head=head)
    assert describe(run).labels == ["LABEL_0", "LABEL_1"]


def test_a_run_is_a_base_model_for_the_next(tmp_path: Path) -> None:
    run, model = run_folder(tmp_path, "modernbert")
    again = load_for_training(run, AUTO, HEAD, dropout=None, seed=9).eval()
    write_folder(tmp_path / "second", again, run, max_length=96)
    first, second = (
        (path / "config.json").read_text("utf-8") for path in (run, tmp_path / "second")
    )
    assert json.loads(first) == json.loads(second)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "second")
    assert torch.equal(logits(again, tokenizer), logits(model, tokenizer))


def test_the_packaged_minilm_loses_its_hidden_truncation(tmp_path: Path) -> None:
    base = packaged_minilm()
    if base is None:
        pytest.skip("the packaged MiniLM is not installed")
    from tokenizers import Tokenizer

    model = load_for_training(base, AUTO, HEAD, dropout=None, seed=1).eval()
    write_folder(tmp_path, model, base, max_length=256)
    text = "word " * 400
    assert len(Tokenizer.from_file(str(tmp_path / "tokenizer.json")).encode(text).ids) == 402
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert len(tokenizer(text, truncation=True)["input_ids"]) == 256
    assert (
        tokenizer(TEXTS[:2])["input_ids"]
        == AutoTokenizer.from_pretrained(base)(TEXTS[:2], padding=False)["input_ids"]
    )
    reloaded = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    assert torch.equal(logits(reloaded, tokenizer), logits(model, tokenizer))


def test_the_weights_come_last_and_stages_vanish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = []
    rename = Path.replace

    def watch(self: Path, target: Path) -> Path:
        moved.append(target.name)
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", watch)
    (tmp_path / "run" / ".stage-model").mkdir(parents=True)
    (tmp_path / "run" / ".stage-model" / "left.tmp").write_bytes(b"by a killed run")
    run, _ = run_folder(tmp_path, "bert")
    assert moved[-1] == "model.safetensors"
    assert sorted(moved) == sorted(path.name for path in run.iterdir())


def test_a_failure_leaves_the_old_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, model = run_folder(tmp_path, "bert")
    before = {path.name: path.read_bytes() for path in run.iterdir()}

    def full(*_: Any) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(module, "write_model", full)
    with pytest.raises(ResourceError, match="disk full"):
        write_folder(run, model, tmp_path / "base", max_length=64)
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_a_tokenizer_that_does_not_load_is_one_line(tmp_path: Path) -> None:
    _, model = run_folder(tmp_path, "bert")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "config.json").write_text("{}", "utf-8")
    with pytest.raises(InputError, match="tokenizer does not load") as caught:
        write_folder(tmp_path / "other", model, tmp_path / "empty", max_length=64)
    assert "\n" not in str(caught.value)
