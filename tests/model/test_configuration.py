"""Sizes that config.json states, beside the weights: true ones pass for every family."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from toys import SMALL, tiny_config
from transformers import AutoConfig, AutoModel

from hfkit.errors import InputError
from hfkit.model import gate
from hfkit.model.configuration import check_values

LIKE_BERT = (
    "bert", "roberta", "xlm-roberta", "distilbert", "deberta-v2", "modernbert", "electra",
    "camembert", "ernie", "fnet", "mpnet", "megatron-bert", "roformer", "nystromformer", "deberta",
)  # fmt: skip
OTHERS: dict[str, dict[str, Any]] = {
    "albert": {**SMALL, "num_hidden_layers": 12, "embedding_size": 16},
    "mobilebert": {**SMALL, "embedding_size": 16, "true_hidden_size": 16,
                   "intra_bottleneck_size": 16},
    "convbert": {**SMALL, "embedding_size": 32},
    "squeezebert": {**SMALL, "embedding_size": 32, "q_groups": 2, "k_groups": 2, "v_groups": 2,
                    "post_attention_groups": 1, "intermediate_groups": 2, "output_groups": 2},
    "canine": {**SMALL, "num_hash_buckets": 200, "local_transformer_stride": 32},
    "longformer": {**SMALL, "attention_window": [4, 4]},
    "big_bird": {**SMALL, "attention_type": "original_full"},
    "rembert": {**SMALL, "input_embedding_size": 16, "output_embedding_size": 16},
    "esm": {**SMALL, "mask_token_id": 4},
    "xlnet": {"vocab_size": 400, "d_model": 32, "n_layer": 2, "n_head": 2, "d_inner": 64},
    "xlm": {"vocab_size": 400, "emb_dim": 32, "n_layers": 2, "n_heads": 2},
    "flaubert": {"vocab_size": 400, "emb_dim": 32, "n_layers": 2, "n_heads": 2},
    "funnel": {"vocab_size": 400, "d_model": 32, "n_head": 2, "d_head": 16, "d_inner": 64,
               "block_sizes": [2, 2, 2], "num_decoder_layers": 1,
               "architectures": ["FunnelModel"]},
    "t5": {"vocab_size": 400, "d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2,
           "num_heads": 2},
    "bart": {"vocab_size": 400, "d_model": 32, "encoder_layers": 2, "decoder_layers": 2,
             "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 64,
             "decoder_ffn_dim": 64, "max_position_embeddings": 64},
    "gpt2": {"vocab_size": 400, "n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64},
    "qwen2": {**SMALL, "num_key_value_heads": 2, "max_position_embeddings": 32768},
}  # fmt: skip


def stored(folder: Path, family: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A tiny model's config.json and the headers of its weights, as it is saved."""
    small = OTHERS.get(family)
    config = tiny_config(family) if small is None else AutoConfig.for_model(family, **small)
    AutoModel.from_config(config).save_pretrained(folder)
    found = json.loads((folder / "config.json").read_text("utf-8"))
    return found, gate.read_header(folder / "model.safetensors")


@pytest.mark.parametrize("family", [*LIKE_BERT, *OTHERS])
def test_what_a_family_says_of_itself_is_true(tmp_path: Path, family: str) -> None:
    config, tensors = stored(tmp_path, family)
    check_values(config, tensors, "config.json")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    return stored(tmp_path_factory.mktemp("bert"), "bert")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"num_hidden_layers": 3}, '"num_hidden_layers" is 3, and the weights hold 2 at most'),
        ({"n_layer": 10**6}, '"n_layer" is 1000000, and the weights hold 2 at most'),
        ({"hidden_size": 33}, '"hidden_size" is 33, and no tensor of the weights has that size'),
        ({"vocab_size": 10**7}, "is 10000000, and the largest size in the weights is 400"),
        ({"num_labels": 401}, '"num_labels" is 401, and the largest size in the weights is 400'),
        ({"max_position_embeddings": 161}, "and the weights are for at most 160"),
        ({"hidden_size": "32"}, "\"hidden_size\" is '32', not a whole number of at least 1"),
        ({"text_config": {"num_layers": -1}}, '"num_layers" is -1, not a whole number'),
        ({"rope": {"theta": [1.0, float("inf")]}}, '"theta" is inf, not a finite number'),
        ({"architectures": "Bert"}, "\"architectures\": expected a list of names, got 'Bert'"),
    ],
)
def test_what_is_not_is_said(bert: Any, changes: dict[str, Any], reason: str) -> None:
    config, tensors = bert
    with pytest.raises(InputError) as caught:
        check_values({**config, **changes}, tensors, "m/config.json")
    assert reason in str(caught.value)
    assert str(caught.value).startswith("m/config.json: ")


def test_what_is_open_may_be_null(bert: Any) -> None:
    config, tensors = bert
    check_values({**config, "n_inner": None, "architectures": None}, tensors, "config.json")
