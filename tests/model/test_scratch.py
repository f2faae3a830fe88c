"""Base models without weights: their shape, their tokenizer, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from toys import write_tokenizer

from hfkit.backend import read_backend
from hfkit.errors import InputError, SafetyError
from hfkit.model.facts import describe
from hfkit.model.load import load_for_training
from hfkit.model.scratch import SIZES, make_base

MASKED = "hfkit.model.pretraining:MaskedWords"


def test_the_sizes_are_those_of_the_small_berts(tiny_tokenizer_folder: Path) -> None:
    for size, (layers, width) in SIZES.items():
        base = make_base(str(tiny_tokenizer_folder), size, None)
        facts = describe(base.folder, fresh=True)
        assert (facts.layers, facts.hidden_size, facts.model_type) == (layers, width, "bert")
        assert base.fresh and base.name == f"bert-{size}"
    with pytest.raises(InputError, match=r"no model\.safetensors"):
        describe(base.folder)


def test_the_estimate_of_parameters_is_close(tiny_tokenizer_folder: Path) -> None:
    base = make_base(str(tiny_tokenizer_folder), "mini", None)
    model = load_for_training(base.folder, "AutoModel", {}, dropout=None, seed=1, fresh=True)
    real = sum(parameter.numel() for parameter in model.parameters())
    assert describe(base.folder, fresh=True).parameters == pytest.approx(real, rel=0.05)


def test_the_seed_draws_the_weights(tiny_tokenizer_folder: Path) -> None:
    base = make_base(str(tiny_tokenizer_folder), "tiny", None)

    def weights(seed: int) -> Any:
        model = load_for_training(base.folder, MASKED, {}, dropout=0.0, seed=seed, fresh=True)
        return next(model.parameters()).detach()

    assert (weights(1) == weights(1)).all()
    assert (weights(1) != weights(2)).any()


def test_the_tokenizer_decides_the_vocabulary(tmp_path: Path) -> None:
    write_tokenizer(tmp_path / "tokenizer")
    shape = {
        "model_type": "bert", "vocab_size": 9999, "pad_token_id": 77, "hidden_size": 32,
        "num_attention_heads": 2, "architectures": ["BertForQuestionAnswering"],
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(shape))
    base = make_base(str(tmp_path / "tokenizer"), None, str(tmp_path / "config.json"))
    config = json.loads((base.folder / "config.json").read_text())
    assert (config["vocab_size"], config["pad_token_id"]) == (9999, 0)
    assert "architectures" not in config
    assert base.name == "bert-from-scratch"


def test_what_writes_stops_at_the_separator_of_a_tokenizer_without_an_end(tmp_path: Path) -> None:
    write_tokenizer(tmp_path / "tokenizer")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bart"}))
    base = make_base(str(tmp_path / "tokenizer"), None, str(tmp_path / "config.json"))
    config = json.loads((base.folder / "config.json").read_text())
    separator = read_backend(base.folder).token_to_id("[SEP]")
    assert config["eos_token_id"] == config["forced_eos_token_id"] == separator


def test_a_t5_begins_to_write_with_the_padding_token(tmp_path: Path) -> None:
    write_tokenizer(tmp_path / "tokenizer")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "t5"}))
    base = make_base(str(tmp_path / "tokenizer"), None, str(tmp_path / "config.json"))
    config = json.loads((base.folder / "config.json").read_text())
    assert config["decoder_start_token_id"] == config["pad_token_id"] == 0


@pytest.mark.parametrize(
    ("config", "error"),
    [
        ({"model_type": "bert", "auto_map": {"AutoModel": "x.Y"}}, SafetyError),
        ({"model_type": "bert", "attn_implementation": "org/kernel"}, SafetyError),
        ({"hidden_size": 3}, InputError),
    ],
)
def test_a_configuration_passes_the_gate(
    config: dict[str, Any], error: type[Exception], tmp_path: Path
) -> None:
    write_tokenizer(tmp_path / "tokenizer")
    (tmp_path / "shape.json").write_text(json.dumps(config))
    with pytest.raises(error):
        make_base(str(tmp_path / "tokenizer"), None, str(tmp_path / "shape.json"))
