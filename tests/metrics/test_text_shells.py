"""The shells of texts: the keys and scales of the Hub's modules, with their keyword arguments."""

from __future__ import annotations

import pytest

from hfkit.metrics import shells

WRITTEN = ["the cat sat on the mat", "he reads a book"]
RIGHT = ["the cat is on the mat", "she reads the books"]
SEVERAL = [[one, one.replace("the", "a")] for one in RIGHT]


def compute(name, references=RIGHT, **keywords):
    return shells.load(name).compute(predictions=WRITTEN, references=references, **keywords)


def test_rouge():
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rouge1", "rougeL"], use_stemmer=True)
    expected = [scorer.score(*pair) for pair in zip(RIGHT, WRITTEN, strict=True)]
    found = compute("rouge", use_stemmer=True)
    assert list(found) == ["rouge1", "rouge2", "rougeL", "rougeLsum"]
    assert found["rouge1"] == pytest.approx(sum(one["rouge1"].fmeasure for one in expected) / 2)
    each = compute("rouge", use_aggregator=False, rouge_types=["rougeL"])
    assert len(each["rougeL"]) == 2 and list(each) == ["rougeL"]
    assert compute("rouge", SEVERAL)["rouge1"] >= compute("rouge")["rouge1"]
    assert compute("rouge", tokenizer=lambda text: text.split("e"))["rouge1"] < 0.7


def test_those_of_sacrebleu():
    import sacrebleu

    found = compute("sacrebleu")
    assert found["score"] == pytest.approx(sacrebleu.corpus_bleu(WRITTEN, [RIGHT]).score)
    assert set(found) == {"score", "counts", "totals", "precisions", "bp", "sys_len", "ref_len"}
    turned = [list(one) for one in zip(*SEVERAL, strict=True)]
    expected = sacrebleu.corpus_bleu(WRITTEN, turned, lowercase=True, tokenize="char").score
    found = compute("sacrebleu", SEVERAL, lowercase=True, tokenize="char")
    assert found["score"] == pytest.approx(expected)
    found = compute("chrf", word_order=2)
    expected = sacrebleu.corpus_chrf(WRITTEN, [RIGHT], word_order=2).score
    assert found == {"score": pytest.approx(expected), "char_order": 6, "word_order": 2, "beta": 2}
    found = compute("ter")
    assert found["score"] == pytest.approx(sacrebleu.corpus_ter(WRITTEN, [RIGHT]).score)
    assert set(found) == {"score", "num_edits", "ref_length"}


def test_exact_match():
    shell = shells.load("exact_match")
    given = {"predictions": ["The cat.", "12 a"], "references": ["the cat", "a"]}
    assert shell.compute(**given) == {"exact_match": 0.0}
    loose = {"ignore_case": True, "ignore_punctuation": True, "regexes_to_ignore": ["[0-9]+ "]}
    assert shells.load("exact_match").compute(**given, **loose) == {"exact_match": 1.0}


def test_one_right_text_for_some_and_two_for_others():
    with pytest.raises(Exception, match="as many right texts"):
        compute("sacrebleu", [["a", "b"], ["c"]])
