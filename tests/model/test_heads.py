"""Vectors, spans and tokens: bases of every kind load, and what a folder says of its pooling."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from toys import write_base_model, write_classifier

from hfkit.errors import InputError, SafetyError
from hfkit.model.folder import write_folder
from hfkit.model.heads import Embedder, pooled
from hfkit.model.load import load_for_prediction, load_for_training
from hfkit.model.locate import packaged_minilm
from hfkit.model.pooling import stored_pooling

FAMILIES = ["bert", "roberta", "xlm-roberta", "distilbert", "deberta-v2", "modernbert", "electra"]
TOKENS, SPANS = "AutoModelForTokenClassification", "AutoModelForQuestionAnswering"
EMBEDDER = "hfkit.model.heads:Embedder"
IDS = torch.tensor([[2, 10, 11, 12, 3], [2, 20, 30, 40, 3]])


def tags(*names: str) -> dict[str, Any]:
    numbers = {name: number for number, name in enumerate(names)}
    return {"num_labels": len(names), "id2label": dict(enumerate(names)), "label2id": numbers}


def outputs(model: Any) -> dict[str, torch.Tensor]:
    with torch.no_grad():
        return dict(model.eval()(input_ids=IDS))


@pytest.mark.parametrize("write", [write_base_model, write_classifier])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("auto", "head", "shapes"),
    [
        (TOKENS, tags("O", "B-x", "I-x"), {"logits": (2, 5, 3)}),
        (SPANS, {}, {"start_logits": (2, 5), "end_logits": (2, 5)}),
        (EMBEDDER, {}, {"embeddings": (2, 32)}),
    ],
)
def test_a_run_loads_as_it_was(
    tmp_path: Path, write: Any, family: str, auto: str, head: Any, shapes: Any
) -> None:
    """A base model, and a classifier of three labels with its head in the way."""
    base = write(tmp_path / "base", family)
    model = load_for_training(base, auto, head, dropout=0.0, seed=1)
    expected = outputs(model)
    assert {name: tuple(value.shape) for name, value in expected.items()} == shapes
    write_folder(tmp_path / "run", model, base, max_length=64)
    config = json.loads((tmp_path / "run" / "config.json").read_text("utf-8"))
    assert "hfkit_pooling" not in config
    assert ("id2label" in config) == (auto == TOKENS)
    assert config.get("problem_type") is None
    again = load_for_training(tmp_path / "run", auto, head, dropout=0.0, seed=9)
    for loaded in (load_for_prediction(tmp_path / "run", auto), again):
        for name, value in outputs(loaded).items():
            torch.testing.assert_close(value, expected[name], rtol=0, atol=1e-6)


@pytest.mark.parametrize("family", ["bert", "deberta-v2"])
def test_pooling_is_kept_where_attention_is_tried_twice(tmp_path: Path, family: str) -> None:
    """DeBERTa has one kind of attention, so that it is loaded a second time."""
    base = write_base_model(tmp_path / "base", family)
    head = {"hfkit_pooling": "max", "hfkit_normalize": False}
    model = load_for_training(base, EMBEDDER, head, dropout=0.0, seed=1)
    assert (model.pooling, model.normalize) == ("max", False)


def test_a_kept_head_of_tags_follows_the_order_of_the_task(tmp_path: Path) -> None:
    base = write_base_model(tmp_path / "base")
    model = load_for_training(base, TOKENS, tags("O", "B-x", "I-x"), dropout=0.0, seed=1)
    write_folder(tmp_path / "run", model, base, max_length=64)
    again = load_for_training(tmp_path / "run", TOKENS, tags("B-x", "I-x", "O"), dropout=0, seed=2)
    torch.testing.assert_close(
        outputs(again)["logits"], outputs(model)["logits"][..., [1, 2, 0]], rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("auto", [TOKENS, SPANS])
def test_a_base_model_and_a_classifier_have_no_such_head(tmp_path: Path, auto: str) -> None:
    with pytest.raises(InputError, match="without a trained head"):
        load_for_prediction(write_base_model(tmp_path / "base"), auto)
    with pytest.raises(InputError, match="trained for another task"):
        load_for_prediction(write_classifier(tmp_path / "other"), auto)


def test_any_encoder_gives_vectors(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    base = write_base_model(tmp_path / "base")
    assert outputs(load_for_prediction(base, EMBEDDER))["embeddings"].shape == (2, 32)
    with caplog.at_level(logging.INFO, "hfkit"):
        load_for_training(base, EMBEDDER, {}, dropout=None, seed=1)
        assert not caplog.records
        load_for_training(write_classifier(tmp_path / "c"), EMBEDDER, {}, dropout=None, seed=1)
    assert "its trained head plays no part" in caplog.text


def test_the_packaged_minilm_gives_the_vectors_of_sentence_transformers() -> None:
    from sentence_transformers import SentenceTransformer

    folder = packaged_minilm()
    if folder is None:
        pytest.skip("the packaged MiniLM is not installed")
    model = load_for_prediction(folder, EMBEDDER)
    assert model.pooling == "mean"
    theirs = SentenceTransformer(str(folder), device="cpu")
    texts = ["A man plays a flute.", "x", "Rain fell all day and half of the night."]
    batch = theirs.tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        vectors = model(**batch).embeddings
    expected = torch.tensor(theirs.encode(texts))
    found = torch.nn.functional.normalize(vectors, dim=-1)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
def test_padding_has_no_part_in_a_vector(pooling: str) -> None:
    tokens, mask = torch.randn(3, 7, 4), torch.ones(3, 7, dtype=torch.long)
    mask[1, 4:] = mask[2, 1:] = 0
    for row, length in enumerate([7, 4, 1]):
        alone = pooled(tokens[row : row + 1, :length], mask[row : row + 1, :length], pooling)
        torch.testing.assert_close(pooled(tokens, mask, pooling)[row : row + 1], alone)


def pooling_folder(folder: Path, config: Any, modules: Any = None) -> Path:
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(config), "utf-8")
    library = "sentence_transformers.models"
    steps = [{"type": f"{library}.{name}", "path": path} for name, path in modules or [
        ("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")]]  # fmt: skip
    (folder / "modules.json").write_text(json.dumps(steps), "utf-8")
    return folder


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}, "mean"),
        ({"pooling_mode_max_tokens": True}, "max"),
        ({"pooling_mode": "cls"}, "cls"),
        ({"pooling_mode": ["mean"]}, "mean"),
    ],
)
def test_both_spellings_of_pooling(tmp_path: Path, config: Any, expected: str) -> None:
    assert stored_pooling(pooling_folder(tmp_path, config)) == expected


@pytest.mark.parametrize(
    ("config", "modules", "message"),
    [
        ({"pooling_mode": ["mean", "max"]}, None, r"pooling by mean \+ max"),
        ({"pooling_mode_lasttoken": True}, None, "pooling by lasttoken .*; --pooling mean"),
        ({}, None, "pooling by nothing"),
        ({"pooling_mode": "cls"}, [("Dense", "2_Dense")], "a step of its vectors .Dense. is not"),
    ],
)
def test_other_ways_to_a_vector_are_refused(
    tmp_path: Path, config: Any, modules: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        stored_pooling(pooling_folder(tmp_path, config, modules))


def test_a_pooling_that_is_not_there_is_not_guessed(tmp_path: Path) -> None:
    folder = pooling_folder(tmp_path, {}, [("Transformer", ""), ("Pooling", "9_Pooling")])
    with pytest.raises(InputError, match=r"9_Pooling/config\.json: not there"):
        stored_pooling(folder)
    outside = pooling_folder(tmp_path / "other", {}, [("Pooling", "../../secret")])
    with pytest.raises(SafetyError, match="outside the model's folder"):
        stored_pooling(outside)


def test_a_refusal_keeps_its_place_and_its_kind(tmp_path: Path) -> None:
    base = write_base_model(tmp_path / "base")
    pooling_folder(base, {}, [("Pooling", "/etc")])
    with pytest.raises(SafetyError, match=r"^base/[^(]*outside the model's folder"):
        load_for_prediction(base, EMBEDDER)


def test_a_broken_list_of_steps_is_one_line(tmp_path: Path) -> None:
    assert stored_pooling(tmp_path) is None
    (tmp_path / "modules.json").write_text("{", "utf-8")
    with pytest.raises(InputError, match="not JSON"):
        stored_pooling(tmp_path)
    (tmp_path / "modules.json").write_text('{"a": 1}', "utf-8")
    with pytest.raises(InputError, match="expected a list"):
        stored_pooling(tmp_path)


def test_an_unknown_pooling_is_an_input_error() -> None:
    with pytest.raises(InputError, match="unknown pooling 'best'"):
        Embedder(torch.nn.Linear(1, 1), "best")
