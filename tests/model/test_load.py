"""Loading: precision, seeds, dropout, heads kept or replaced, and what is said about it."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from toys import write_base_model, write_classifier
from transformers import AutoModelForSequenceClassification

from hfkit.errors import InputError, SafetyError
from hfkit.model.load import load_for_prediction, load_for_training

FAMILIES = ["bert", "roberta", "xlm-roberta", "distilbert", "deberta-v2", "modernbert", "electra"]
AUTO = "AutoModelForSequenceClassification"


def head(*names: str, problem: str = "single_label_classification") -> dict[str, Any]:
    return {
        "num_labels": len(names),
        "id2label": dict(enumerate(names)),
        "label2id": {name: number for number, name in enumerate(names)},
        "problem_type": problem,
    }


def load(folder: Path, wanted: dict[str, Any], seed: int = 1, **more: Any) -> Any:
    return load_for_training(folder, AUTO, wanted, dropout=more.get("dropout"), seed=seed)


def logits(model: Any) -> torch.Tensor:
    ids = torch.tensor([[2, 10, 11, 12, 3], [2, 20, 30, 40, 3]])
    with torch.no_grad():
        return torch.Tensor(model.eval()(input_ids=ids).logits)


def rewrite(folder: Path, change: Any) -> None:
    """Change the stored tensors."""
    tensors = load_file(folder / "model.safetensors")
    save_file(change(tensors), folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("family", FAMILIES)
def test_a_base_model_gets_the_head_of_the_task(
    tmp_path: Path, family: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = write_base_model(tmp_path, family)
    capfd.readouterr()
    with caplog.at_level(logging.INFO, "hfkit"):
        model = load(folder, head("no", "yes", "maybe"))
    assert model.config.num_labels == 3
    assert model.config.id2label == {0: "no", 1: "yes", 2: "maybe"}
    assert model.config.problem_type == "single_label_classification"
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    notes = [record.getMessage() for record in caplog.records if record.name.startswith("hfkit")]
    assert len(notes) == 1
    assert "random: classifier" in notes[0]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_head_is_drawn_from_the_seed(tmp_path: Path, family: str) -> None:
    folder = write_base_model(tmp_path, family)
    torch.manual_seed(5)
    first, after = load(folder, head("a", "b")).state_dict(), torch.rand(1)
    torch.manual_seed(6)
    again, other = load(folder, head("a", "b")).state_dict(), load(folder, head("a", "b"), 2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(logits(other), logits(load(folder, head("a", "b"))))
    torch.manual_seed(5)
    assert torch.equal(torch.rand(1), after)  # the caller's generator has not moved


def test_half_precision_is_trained_in_single(tmp_path: Path) -> None:
    folder = write_base_model(tmp_path)
    rewrite(folder, lambda tensors: {name: value.bfloat16() for name, value in tensors.items()})
    path = folder / "config.json"
    path.write_text(
        json.dumps({**json.loads(path.read_text("utf-8")), "dtype": "bfloat16"}), "utf-8"
    )
    assert {weight.dtype for weight in load(folder, head("a", "b")).parameters()} == {torch.float32}


@pytest.mark.parametrize("family", FAMILIES)
def test_dropout_reaches_every_layer(tmp_path: Path, family: str) -> None:
    folder = write_base_model(tmp_path, family)
    for wanted in (0.0, 0.25):
        model = load(folder, head("a", "b"), dropout=wanted)
        found = {layer.p for layer in model.modules() if isinstance(layer, torch.nn.Dropout)}
        assert found == {wanted} or family == "modernbert"
        if wanted == 0.0:
            ids = torch.tensor([[2, 10, 11, 12, 3]])
            model.train()
            assert torch.equal(model(input_ids=ids).logits, model(input_ids=ids).logits)


def test_attention_is_sdpa_where_there_is_one(tmp_path: Path) -> None:
    bert = load(write_base_model(tmp_path / "bert", "bert"), head("a", "b"))
    assert bert.config._attn_implementation == "sdpa"
    deberta = load(write_base_model(tmp_path / "deberta", "deberta-v2"), head("a", "b"))
    assert deberta.config._attn_implementation == "eager"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_head_with_the_same_labels_is_kept_in_any_order(
    tmp_path: Path, family: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_classifier(tmp_path, family)
    stored = logits(AutoModelForSequenceClassification.from_pretrained(folder))
    with caplog.at_level(logging.INFO, "hfkit"):
        model = load(folder, head("weather", "kitchen", "music"))
    assert "head is kept" in caplog.text
    torch.testing.assert_close(logits(model), stored[:, [2, 0, 1]])
    assert model.config.id2label[0] == "weather"


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "wanted",
    [
        head("x", "y", "z"),
        head("x", "y"),
        head("kitchen", "music", "weather", problem="multi_label_classification"),
        {"num_labels": 1, "problem_type": "regression"},
    ],
)
def test_a_head_for_another_question_is_replaced(
    tmp_path: Path, family: str, wanted: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_classifier(tmp_path, family)
    stored = load_file(folder / "model.safetensors")
    with caplog.at_level(logging.INFO, "hfkit"):
        model = load(folder, wanted)
    assert "is replaced" in caplog.text
    assert logits(model).shape == (2, wanted["num_labels"])
    assert model.config.num_labels == wanted["num_labels"]
    now = model.state_dict()
    changed = {
        name
        for name, value in stored.items()
        if now[name].shape != value.shape or not torch.equal(now[name], value)
    }
    assert changed
    assert all(name.startswith("classifier") for name in changed)  # the encoder is as stored
    assert torch.equal(logits(model), logits(load(folder, wanted)))


def test_a_head_of_another_task_is_replaced_even_if_it_fits(tmp_path: Path) -> None:
    from toys import tiny_config, write_tokenizer
    from transformers import AutoModelForTokenClassification

    names = {0: "a", 1: "b"}
    config = tiny_config("bert", id2label=names, label2id={"a": 0, "b": 1})
    AutoModelForTokenClassification.from_config(config).save_pretrained(tmp_path)
    write_tokenizer(tmp_path)
    stored = load_file(tmp_path / "model.safetensors")["classifier.weight"]
    model = load(tmp_path, head("a", "b"))
    assert not torch.equal(model.classifier.weight, stored)
    with pytest.raises(InputError, match="another task"):
        load_for_prediction(tmp_path, AUTO)


def test_a_regression_head_is_kept_whatever_its_name(tmp_path: Path) -> None:
    changes = {"num_labels": 1, "id2label": {0: "LABEL_0"}, "label2id": {"LABEL_0": 0}}
    folder = write_classifier(tmp_path, "bert", **changes, problem_type="regression")
    stored = load_file(folder / "model.safetensors")["classifier.weight"]
    model = load(folder, {"num_labels": 1, "problem_type": "regression"})
    assert torch.equal(model.classifier.weight, stored)


def test_an_incomplete_encoder_is_an_error(tmp_path: Path) -> None:
    folder = write_base_model(tmp_path)
    rewrite(
        folder,
        lambda tensors: {name: value for name, value in tensors.items() if "1.output" not in name},
    )
    with pytest.raises(InputError, match="of the encoder") as caught:
        load(folder, head("a", "b"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_incomplete_encoder_is_trained_where_that_is_meant(
    tmp_path: Path, family: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_base_model(tmp_path, family)
    whole = load_file(folder / "model.safetensors")
    absent = [name for name in whole if ".1." in name][1:]  # one stays: the layer is known to be
    rewrite(folder, lambda tensors: {key: tensors[key] for key in tensors if key not in absent})
    with pytest.raises(InputError, match="of the encoder"):
        load(folder, head("a", "b"))

    def anew(seed: int = 1) -> Any:
        wanted = head("a", "b")
        return load_for_training(folder, AUTO, wanted, dropout=None, seed=seed, allow_missing=True)

    with caplog.at_level(logging.INFO, "hfkit"):
        model = anew()
    (warning,) = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    prefix = model.base_model_prefix
    assert f"{len(absent)} weights of the encoder" in warning
    assert f"{prefix}.{min(absent)}" in warning and "\n" not in warning
    assert "random: classifier" in caplog.text  # what is always new is said as ever
    now, again, other = model.state_dict(), anew().state_dict(), anew(2).state_dict()
    assert all(torch.equal(now[name], again[name]) for name in now)
    for name, stored in whole.items():
        found = now.get(f"{prefix}.{name}", stored)  # a classifier may have no pooler
        assert torch.equal(found, stored) == (name not in absent or stored.ndim == 1), name
        if name in absent and stored.ndim > 1:
            assert not torch.equal(found, other[f"{prefix}.{name}"])


def test_an_absent_pooler_is_new_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write_base_model(tmp_path)
    rewrite(
        folder,
        lambda tensors: {name: value for name, value in tensors.items() if "pooler" not in name},
    )
    with caplog.at_level(logging.INFO, "hfkit"):
        load(folder, head("a", "b"))
    assert "pooler" in caplog.text


def test_layers_without_a_place_are_refused(tmp_path: Path) -> None:
    folder = write_base_model(tmp_path)
    path = folder / "config.json"
    config = {**json.loads(path.read_text("utf-8")), "num_hidden_layers": 1}
    path.write_text(json.dumps(config), "utf-8")
    with pytest.raises(InputError, match="have no place in the model"):
        load(folder, head("a", "b"))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    folder = write_classifier(tmp_path)

    def spoil(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        tensors["classifier.bias"][0] = value
        return tensors

    rewrite(folder, spoil)
    with pytest.raises(InputError, match=r"NaN or infinity \(classifier.bias\)"):
        load_for_prediction(folder, AUTO)


@pytest.mark.parametrize("family", FAMILIES)
def test_prediction_gives_the_stored_model(tmp_path: Path, family: str) -> None:
    folder = write_classifier(tmp_path, family)
    model = load_for_prediction(folder, AUTO)
    assert not model.training
    stored = AutoModelForSequenceClassification.from_pretrained(folder)
    assert torch.equal(logits(model), logits(stored))


def test_a_base_model_does_not_predict(tiny_base_folder: Path) -> None:
    with pytest.raises(InputError, match="org/m is a base model without a trained head"):
        load_for_prediction(tiny_base_folder, AUTO, name="org/m")


def test_a_head_without_all_its_weights_does_not_predict(tmp_path: Path) -> None:
    folder = write_classifier(tmp_path)
    rewrite(
        folder,
        lambda tensors: {key: value for key, value in tensors.items() if key != "classifier.bias"},
    )
    with pytest.raises(InputError, match=r"classifier.bias not in the weights"):
        load_for_prediction(folder, AUTO)


@pytest.mark.parametrize("model_type", ["no-such-model", "t5gemma-of-tomorrow"])
def test_an_unknown_model_type_is_one_line(tmp_path: Path, model_type: str) -> None:
    folder = write_base_model(tmp_path)
    path = folder / "config.json"
    config = {**json.loads(path.read_text("utf-8")), "model_type": model_type}
    path.write_text(json.dumps(config), "utf-8")
    with pytest.raises(InputError, match="transformers cannot load this model") as caught:
        load(folder, head("a", "b"))
    assert "\n" not in str(caught.value)


def test_too_little_memory_is_not_the_fault_of_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 TB")

    folder = write_classifier(tmp_path)
    monkeypatch.setattr(AutoModelForSequenceClassification, "from_pretrained", full)
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        load_for_prediction(folder, AUTO)


def test_the_gate_comes_first(tmp_path: Path) -> None:
    folder = write_base_model(tmp_path)
    path = folder / "config.json"
    config = {**json.loads(path.read_text("utf-8")), "auto_map": {"AutoConfig": "evil.Config"}}
    path.write_text(json.dumps(config), "utf-8")
    marker = tmp_path / "ran"
    (folder / "evil.py").write_text(f"open({str(marker)!r}, 'w')", "utf-8")
    for call in (lambda: load(folder, head("a", "b")), lambda: load_for_prediction(folder, AUTO)):
        with pytest.raises(SafetyError):
            call()
    assert not marker.exists()
