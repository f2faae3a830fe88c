"""Models of many languages are trained, asked and scored with the tokens of both in place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from toys import translated_rows, write_polyglot
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

Command = Callable[..., tuple[int, str, str]]

LANGUAGES = {"mbart": ("en_XX", "de_DE"), "nllb": ("eng_Latn", "deu_Latn")}


def named(family: str) -> tuple[str, ...]:
    source, target = LANGUAGES[family]
    return ("--source-language", source, "--target-language", target)


@pytest.mark.parametrize("family", LANGUAGES)
def test_a_model_learns_to_translate_and_is_scored(
    family: str, hfkit: Command, tmp_path: Path
) -> None:
    base = write_polyglot(tmp_path / "base", family)
    for name, count in (("train", 200), ("validation", 20)):
        rows = translated_rows(count, seed=count)
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / f"{name}.jsonl").write_text(text)
    run = tmp_path / "run"
    code, _, err = hfkit(
        "finetune", tmp_path / "train.jsonl", "-t", "translation", "-m", base, "-o", run,
        "--validation", tmp_path / "validation.jsonl", "--text-column", "en",
        "--target-column", "de", *named(family), "--lr", "5e-3", "--epochs", 30, "-b", 16,
        "--seed", 1, "--dropout", 0, "--max-target-length", 8, "--beams", 2, "--device", "cpu",
    )  # fmt: skip
    assert code == 0, err
    code, out, err = hfkit("predict", run, "rain snow", "--format", "jsonl")
    assert code == 0, err
    assert json.loads(out)["prediction"]["text"] == "regen schnee"

    rows = [{"en": "snow rain", "de": "schnee regen"}, {"en": "snow rain", "de": "regen regen"}]
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, out, err = hfkit("score", run, pairs)
    assert code == 0, err
    right, wrong = (json.loads(line)["prediction"] for line in out.splitlines())
    assert right["log_prob"] > wrong["log_prob"] + 1
    assert right["tokens"] == 3, "two words and the end; the language is given"

    source, target = LANGUAGES[family]
    tokenizer = AutoTokenizer.from_pretrained(run, src_lang=source, tgt_lang=target)
    model = AutoModelForSeq2SeqLM.from_pretrained(run)
    batch = tokenizer(rows[0]["en"], return_tensors="pt")
    labels = tokenizer(text_target=rows[0]["de"], return_tensors="pt").input_ids
    # mBART writes the language last and is given it first; NLLB writes it first.
    start = labels[:, -1:] if family == "mbart" else torch.tensor([[2]])
    with torch.no_grad():
        logits = model(**batch, decoder_input_ids=torch.cat([start, labels[:, :-1]], 1)).logits
    each = logits.log_softmax(-1).gather(-1, labels.unsqueeze(-1)).squeeze()
    own = each[:-1] if family == "mbart" else each[1:]
    assert right["log_prob"] == pytest.approx(float(own.sum()), abs=1e-4)


def test_a_model_elsewhere_is_told_its_languages(hfkit: Command, tmp_path: Path) -> None:
    base = write_polyglot(tmp_path / "base", "nllb")
    code, _, err = hfkit("score", base, "text=rain", "target=regen")
    assert code == 2 and "--target-language: this model reads and writes several languages" in err
    code, out, err = hfkit("score", base, "text=rain", "target=regen", *named("nllb"))
    assert code == 0, err
    assert json.loads(out)["prediction"]["tokens"] == 2
