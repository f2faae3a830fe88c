"""Facts read from JSON and headers agree with the loaded model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from toys import write_base_model, write_classifier, write_writer

from hfkit.errors import InputError
from hfkit.model.facts import (
    describe,
    label_names,
    require_head,
)
from hfkit.model.locate import packaged_minilm

FAMILIES = ["bert", "roberta", "xlm-roberta", "distilbert", "deberta-v2", "modernbert", "electra"]


@pytest.mark.parametrize("family", FAMILIES)
def test_sizes_agree_with_torch(tmp_path: Path, family: str) -> None:
    from transformers import AutoModel

    facts = describe(write_base_model(tmp_path, family))
    model = AutoModel.from_pretrained(tmp_path)
    embeddings = sum(weight.numel() for name, weight in model.named_parameters() if "embed" in name)
    assert facts.parameters == model.num_parameters()
    assert facts.body_parameters == facts.parameters - embeddings
    assert (facts.model_type, facts.hidden_size, facts.layers) == (family, 32, 2)
    assert facts.attention_heads == 2
    assert (facts.has_head, facts.labels) == (False, None)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_trained_head_is_seen(tmp_path: Path, family: str) -> None:
    facts = describe(write_classifier(tmp_path, family))
    assert facts.has_head
    assert facts.labels == ["kitchen", "music", "weather"]
    require_head(facts, "AutoModelForSequenceClassification", "m")
    with pytest.raises(InputError, match="another task"):
        require_head(facts, "AutoModelForTokenClassification", "m")


def test_a_base_model_has_no_head_to_predict_with(tiny_base_folder: Path) -> None:
    with pytest.raises(InputError, match=r"m is a base model .*hfkit finetune DATA -m m"):
        require_head(describe(tiny_base_folder), "AutoModelForSequenceClassification", "m")


@pytest.mark.parametrize(
    ("family", "positions", "tokenizer", "expected"),
    [
        ("bert", 160, int(1e30), 160),
        ("bert", 160, 128, 128),
        ("bert", 64, 128, 64),
        ("roberta", 514, int(1e30), 512),
        ("xlm-roberta", 514, 4096, 512),
    ],
)
def test_longest_input(
    tmp_path: Path, family: str, positions: int, tokenizer: int, expected: int
) -> None:
    folder = write_base_model(tmp_path, family, max_position_embeddings=positions, pad_token_id=1)
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**settings, "model_max_length": tokenizer}), "utf-8")
    assert describe(folder).max_length == expected


def test_the_packaged_minilm() -> None:
    folder = packaged_minilm()
    if folder is None:
        pytest.skip("the packaged MiniLM is not installed")
    facts = describe(folder)
    assert round(facts.parameters / 1e6, 1) == 22.7
    assert round(facts.body_parameters / 1e6, 1) == 10.8
    assert (facts.max_length, facts.has_head, facts.languages) == (512, False, ("en",))


def test_facts_need_no_torch(tiny_base_folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from hfkit.model.facts import describe\n"
        f"describe(Path({str(tiny_base_folder)!r}))\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'numpy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("card", "languages"),
    [
        ("---\nlanguage: de\n---\n", ("de",)),
        ("---\nlanguage: [en, fr]\n---\n", ("en", "fr")),
        ("---\nlanguage: {a: b}\n---\n", ()),
        ("---\n{broken\n---\n", ()),
        ("no front matter", ()),
        ("", ()),
    ],
)
def test_languages_of_the_card(tmp_path: Path, card: str, languages: tuple[str, ...]) -> None:
    write_base_model(tmp_path)
    (tmp_path / "README.md").write_text(card, "utf-8")
    assert describe(tmp_path).languages == languages


def test_label_names_are_in_the_order_of_their_numbers() -> None:
    names: dict[str, Any] = {"id2label": {str(n): f"l{n}" for n in reversed(range(12))}}
    assert label_names(names) == [f"l{n}" for n in range(12)]
    with pytest.raises(InputError):
        label_names({"id2label": {"x": "y"}})


def test_a_family_without_positions_reads_any_length(tmp_path):
    write_writer(tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**settings, "n_positions": 512}))
    assert describe(tmp_path).max_length > 100_000
