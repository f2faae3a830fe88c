"""Guessing the language, the base model, the learning rate; on real texts where there are any."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hfkit.errors import InputError
from hfkit.model import defaults
from hfkit.model.defaults import (
    ENGLISH_MODEL,
    LEARNING_RATES,
    MULTILINGUAL_MODEL,
    default_lr,
    default_model,
    guess_language,
)
from hfkit.model.facts import describe
from hfkit.model.locate import MINILM

ENGLISH = ["The parcel has not arrived.", "It was a waste of money."]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("where is my parcel and who has it", "English"),
        ("Don’t you think it’s time?", "English"),
        ("Das Paket ist noch nicht angekommen, was soll ich tun?", "Latin"),
        ("Le colis n'est pas arrivé et personne ne répond.", "Latin"),
        ("El paquete no ha llegado y nadie contesta.", "Latin"),
        ("Het pakket is er nog niet en niemand weet waar het is.", "Latin"),
        ("Посылка ещё не пришла", "Cyrillic"),
        ("这个酒店的环境很好", "Chinese"),
        ("この商品はとても良いです", "Japanese"),
        ("이 상품은 정말 좋아요", "Korean"),
        ("الطرد لم يصل بعد", "Arabic"),
        ("पार्सल अभी तक नहीं आया", "Devanagari"),
        ("ᚠᚢᚦᚨᚱᚲ", "another script"),
        ("12345 !!!", "unknown"),
        ("", "unknown"),
    ],
)
def test_language(text: str, language: str) -> None:
    assert guess_language([text]) == language


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("sst2/train.tsv", "English"),
        ("trec6/train.txt", "English"),
        ("banking77/train.csv", "English"),
        ("tweet_emotion/train_text.txt", "English"),
        ("multi30k_en_de/train.en", "English"),
        ("multi30k_en_de/train.de", "Latin"),
        ("chnsenticorp/train.tsv", "Chinese"),
        ("afqmc/train.txt", "Chinese"),
    ],
)
def test_language_of_real_texts(real_data: Callable[[str], Path], name: str, language: str) -> None:
    lines = real_data(name).read_text("utf-8").splitlines()
    assert guess_language(lines) == language
    if name != "tweet_emotion/train_text.txt":
        assert guess_language(lines[:40]) == language


def test_language_of_real_arabic(real_data: Callable[[str], Path]) -> None:
    content = json.loads(real_data("xquad/xquad.ar.json").read_text("utf-8"))
    texts = [part["context"] for article in content["data"] for part in article["paragraphs"]]
    assert guess_language(texts) == "Arabic"


def test_what_lies_in_the_cache_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(defaults, "is_cached", lambda name: True)
    assert default_model("classification", ENGLISH)[0] == ENGLISH_MODEL
    name, reason = default_model("classification", ["это хорошо"])
    assert name == MULTILINGUAL_MODEL
    assert "Cyrillic" in reason


def test_without_a_cache_english_gets_the_packaged_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(defaults, "is_cached", lambda name: False)
    monkeypatch.setattr(defaults, "packaged_minilm", lambda: Path("somewhere"))
    name, reason = default_model("classification", ENGLISH)
    assert name == MINILM
    assert f"-m {ENGLISH_MODEL}" in reason
    with pytest.raises(InputError, match=f"-m {MULTILINGUAL_MODEL}"):
        default_model("classification", ["это хорошо"])


def test_without_anything_the_flag_is_proposed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(defaults, "is_cached", lambda name: False)
    monkeypatch.setattr(defaults, "packaged_minilm", lambda: None)
    with pytest.raises(InputError, match=f"-m {ENGLISH_MODEL}"):
        default_model("classification", ENGLISH)


def test_learning_rate_falls_with_size(tiny_base_folder: Path) -> None:
    facts = describe(tiny_base_folder)
    sizes = [1_000_000, 10_800_000, 40_000_000, 85_000_000, 300_000_000, 10**9]
    rates = [default_lr(replace(facts, body_parameters=size)) for size in sizes]
    assert [rate for rate, _ in rates] == [2e-4, 2e-4, 1e-4, 5e-5, 2e-5, 1e-5]
    assert "85M parameters" in rates[3][1]
    t5 = [default_lr(replace(facts, model_type="mt5", body_parameters=n)) for n in (10**7, 10**9)]
    assert [rate for rate, _ in t5] == [3e-4, 1e-4]
    assert [most for most, _ in LEARNING_RATES] == sorted(most for most, _ in LEARNING_RATES)
