"""Scores of written texts, beside rouge-score and sacreBLEU; and languages without ASCII words."""

from __future__ import annotations

import random

import numpy as np
import pytest

from hfkit.errors import InputError
from hfkit.metrics import base
from hfkit.metrics.statistics import score
from hfkit.metrics.text import Summaries, Texts, Translations
from hfkit.metrics.text_words import Words, bleu_tokenizer, language_of
from hfkit.registry import find_metric

WORDS = [
    "the",
    "The",
    "a",
    "cat",
    "cats",
    "sat",
    "sitting",
    "on",
    "mats,",
    "mat.",
    "of",
    "dog's",
    "running",
    "runs",
    '"quick"',
    "brown",
    "fox",
    "--",
    "3.5%",
    "1,000",
    "U.S.",
    "and",
    "to",
    "that",
    "it's",
    "(well)",
    "never!",
    "never?",
    "said:",
    "e-mail",
]
PAIRS = {  # right, written; the two share words
    "zh": ("今天天气很好，我们去公园散步。", "今天天气不错，我们去散步。"),
    "ja": ("今日は天気がいいので散歩に行きます。", "天気がいいから散歩します。"),
    "th": ("วันนี้อากาศดี เราไปเดินเล่น", "วันนี้อากาศดีมาก"),
    "ru": ("Сегодня хорошая погода, мы идём гулять.", "Сегодня погода хорошая, идём."),
    "ko": ("오늘은 날씨가 좋아서 산책을 갑니다.", "오늘은 날씨가 좋아요."),
    "hi": ("आज मौसम अच्छा है और हम घूमने जा रहे हैं", "आज मौसम अच्छा है"),
    "de": ("Die größte Überraschung kam später.", "Die größte Überraschung war das."),
}


def texts(kind, written, right, language=None):
    gold = [{"text": text, **({"language": language} if language else {})} for text in right]
    return kind([{"text": text} for text in written], gold, [])


def random_pair(chance):
    right = chance.choices(WORDS, k=chance.randint(1, 14))
    written = [word for word in right if chance.random() < 0.7]
    written += chance.choices(WORDS, k=chance.randint(0, 5))
    if chance.random() < 0.3:
        chance.shuffle(written)
    return " ".join(written), " ".join(right)


def test_english_rouge_equals_rouge_score():
    from rouge_score.rouge_scorer import RougeScorer

    names = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
    scorer = RougeScorer(names, use_stemmer=True)
    chance = random.Random(0)
    for _ in range(500):
        written, right = random_pair(chance)
        if chance.random() < 0.3:
            right = right.replace(" ", "\n", 1)
        expected = scorer.score(right, written)
        found = texts(Summaries, [written], [right], "en").values()
        assert {name: found[name] for name in names} == pytest.approx(
            {name: expected[name].fmeasure for name in names}
        )


def test_scores_of_all_texts_equal_sacrebleu():
    import sacrebleu

    chance = random.Random(1)
    for _ in range(500):
        pairs = [random_pair(chance) for _ in range(chance.randint(1, 4))]
        written, right = [one for one, _ in pairs], [one for _, one in pairs]
        found = texts(Translations, written, right, "en").values()
        assert found["bleu"] == pytest.approx(sacrebleu.corpus_bleu(written, [right]).score)
        chrf = sacrebleu.corpus_chrf(written, [right], word_order=2)
        assert found["chrf++"] == pytest.approx(chrf.score)
        assert found["ter"] == pytest.approx(sacrebleu.corpus_ter(written, [right]).score)


@pytest.mark.parametrize("language", PAIRS)
@pytest.mark.parametrize("named", [True, False])
def test_other_languages_have_words_too(language, named):
    right, written = PAIRS[language]
    found = texts(Texts, [written], [right], language if named else None).values()
    assert found["rouge1"] > 0.3 and found["rougeL"] > 0.3
    assert found["chrf++"] > 5
    same = texts(Texts, [right], [right], language if named else None).values()
    assert same["rouge2"] == same["exact_match"] == 1 and same["bleu"] == pytest.approx(100)
    assert same["ter"] == 0


def test_bleu_counts_chinese_characters():
    right, written = PAIRS["zh"]
    found = texts(Translations, [written], [right]).values()
    blind = texts(Translations, [written], [right], "en").values()
    assert found["bleu"] > 20 > blind["bleu"]


@pytest.mark.parametrize(
    ("named", "sample", "language"),
    [
        (None, "The cat sat on the mat and looked at it", "en"),
        (None, "Die Katze sitzt auf der Matte", ""),
        (None, "漢字とかなを書く", "ja"),
        (None, "GPT 在北京大学", "zh"),
        (None, "123 !?", ""),
        ("deu_Latn", "the cat and the dog", "deu"),
        ("zh_CN", "", "zh"),
        ("jpn_Jpan", "", "ja"),
        ("en_XX", "", "en"),
    ],
)
def test_the_language(named, sample, language):
    assert language_of(named, [sample]) == language


def test_words_of_any_script():
    tokens = Words().tokenize
    assert tokens("Größe ÜBER-all, naïve café") == ["größe", "über", "all", "naïve", "café"]
    assert tokens("हिन्दी है।") == ["हिन्दी", "है"]
    assert tokens("abc在x1的y") == ["abc", "在", "x1", "的", "y"]
    assert tokens("  \u0301 ") == []
    assert bleu_tokenizer("th") == "char" and bleu_tokenizer("") == "13a"


def test_a_resample_is_the_score_of_repeated_texts():
    chance = random.Random(2)
    pairs = [random_pair(chance) for _ in range(12)]
    index = np.array([0, 0, 3, 5, 5, 5, 11])
    metric = texts(Texts, *zip(*pairs, strict=True), "en")
    drawn = texts(Texts, *zip(*[pairs[place] for place in index], strict=True), "en")
    assert metric.values(index) == pytest.approx(drawn.values())


def test_intervals_signatures_and_the_baseline(caplog):
    caplog.set_level("INFO")
    chance = random.Random(3)
    pairs = [random_pair(chance) for _ in range(30)]
    gold = [{"text": right, "source": right.upper(), "language": "en"} for _, right in pairs]
    scores = score(Translations([{"text": one} for one, _ in pairs], gold, []), resamples=200)
    assert scores.headline == "chrf++"
    for name, (low, high) in scores.intervals.items():
        assert low <= scores.values[name] <= high
    signatures = scores.tables["signatures"]
    assert "tok:13a" in signatures["bleu"] and "nw:2" in signatures["chrf++"]
    assert signatures["bleu"] in caplog.text
    assert scores.baseline["chrf++"] < scores.values["chrf++"]
    assert set(scores.baseline) == set(scores.values)
    assert Translations.lower_is_better == {"ter"}


def test_the_baseline_of_summaries_is_the_beginning_of_the_text():
    long = "the cat sat on the mat and then it slept for the whole afternoon"
    gold = [{"text": "the cat sat on it", "source": long, "language": "en"}]
    found = Summaries([{"text": "a dog"}], gold, []).baseline()
    right = texts(Summaries, ["the cat sat on"], ["the cat sat on it"], "en").values()
    assert found == pytest.approx(right)
    assert texts(Summaries, ["a"], ["b"]).baseline() == {}


def test_what_cannot_be_scored():
    with pytest.raises(InputError, match="no 'text'"):
        Texts([{"label": "x"}], [{"text": "y"}], [])
    empty = texts(Texts, [""], ["something"], "en").values()
    assert empty["rouge1"] == empty["bleu"] == empty["chrf++"] == 0 and empty["ter"] == 100


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setattr(base, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="rouge-score") as found:
        base.check_packages(find_metric("summaries"))
    assert "hfkit[text]" in found.value.hint
    base.check_packages(find_metric("single-label"))


def test_importing_is_light():
    import subprocess
    import sys

    code = "import sys, hfkit.metrics.text; print({'nltk', 'sacrebleu', 'absl'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
