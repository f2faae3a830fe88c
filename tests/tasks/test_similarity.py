"""Similarity: what the labels decide, scores on their scale, long texts, and files that load."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys import TOPICS, write_base_model

from hfkit import text
from hfkit.errors import InputError, RowError
from hfkit.infer.predictor import Predictor
from hfkit.infer.torch_engine import TorchEngine
from hfkit.metrics.similarity import Similarity as Scores
from hfkit.model.folder import write_folder
from hfkit.model.load import load_for_prediction, load_for_training
from hfkit.tasks.options import SimilarityOptions
from hfkit.tasks.similarity import Similarity

WORDS = [word for words in TOPICS.values() for word in words]
PAIRS = [
    {"text": "rain and wind", "text_pair": "a storm", "label": 4.5},
    {"text": "soup, bread", "text_pair": "a knife in the pan", "label": 3.0},
    {"text": "guitar", "text_pair": "cold fog", "label": 0.0},
    {"text": "plate", "text_pair": "the stove", "label": 5.0},
]


def make(**options: Any) -> Similarity:
    return Similarity(SimilarityOptions(**options))


def learnt(rows: list[dict[str, Any]], **options: Any) -> Similarity:
    task = make(**options)
    task.learn(rows)
    return task


def labelled(labels: list[Any]) -> list[dict[str, Any]]:
    return [{"text": "a", "text_pair": "b", "label": label} for label in labels]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base_model(tmp_path_factory.mktemp("base"))


def predictor(task: Similarity, base: Path, max_length: int = 32, batch_size: int = 8) -> Predictor:
    model = load_for_training(base, task.auto_class, task.head(), dropout=None, seed=1)
    return Predictor(task, text.from_transformers(base, max_length), TorchEngine(model), batch_size)


@pytest.mark.parametrize(
    ("labels", "loss", "metric", "best"),
    [
        ([0.0, 2.5, 5.0], "cosent", "similarity", "spearman"),
        ([0.2, 1.0], "cosent", "similarity", "spearman"),
        (["0", "1", "1"], "contrastive", "binary-similarity", "average_precision"),
        ([None, None], "multiple_negatives", "retrieval", "ndcg@10"),
    ],
)
def test_the_labels_decide_and_it_is_said(
    labels: list[Any], loss: str, metric: str, best: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "hfkit"):
        task = learnt(labelled(labels))
    assert (task.loss, task.metric, task.best, task.grouped) == (loss, metric, best, True)
    assert "label" in caplog.text
    assert task.resolved()["similarity_loss"] == loss.replace("_", "-")
    assert make(**task.resolved()).loss == loss  # a run repeats from what was saved


def test_a_cross_encoder_reads_both_texts() -> None:
    task = learnt(PAIRS, architecture="cross-encoder")
    assert (task.loss, task.grouped, task.metric) == ("binary_cross_entropy", False, "similarity")
    assert task.auto_class == "AutoModelForSequenceClassification"
    assert task.head()["num_labels"] == 1


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        ([3.0, 3.0], {}, "every label is 3"),
        ([1, 1], {}, "every label is 1; .*; without the column"),
        (
            [None, None],
            {"architecture": "cross-encoder"},
            "cross-encoder cannot learn .* no labels",
        ),
        ([None, None], {"similarity_loss": "contrastive"}, "contrastive cannot learn from this"),
        ([0, 0.5], {"similarity_loss": "multiple-negatives"}, "cannot learn from this: .* numbers"),
    ],
)
def test_data_that_teach_nothing(labels: list[Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        learnt(labelled(labels), **options)


@pytest.mark.parametrize("bad", ["often", "nan", None, float("inf"), ""])
def test_a_label_that_is_no_number_is_named(bad: Any) -> None:
    with pytest.raises(RowError) as caught:
        learnt(labelled([1.0, 2.0, bad]))
    assert caught.value.row == 2


@given(
    labels=st.lists(st.floats(0, 5), min_size=2, max_size=20),
    words=st.lists(st.text(min_size=1), min_size=1, max_size=5),
)
def test_perfect_vectors_give_the_labels_back(labels: list[float], words: list[str]) -> None:
    """Vectors whose cosine is a rising line of the label, decided on themselves."""
    if max(labels) - min(labels) < 1e-3:
        return
    rows = [
        {"text": words[n % len(words)], "text_pair": words[-1], "label": label}
        for n, label in enumerate(labels)
    ]
    task = learnt(rows, similarity_loss="cosent")
    angles = [math.acos(label / 5) for label in labels]
    encoded, outputs = [], []
    for number, angle in enumerate(angles):
        for side, vector in enumerate([(2.0, 0.0), (3 * math.cos(angle), 3 * math.sin(angle))]):
            encoded.append({"input_ids": [1, 2], "_row": number, "side": side})
            outputs.append({"embeddings": np.array(vector)})
    gold = task.gold(rows)
    task.decide(task.decode(outputs, encoded, rows), gold)
    answers = [task.brief(answer) for answer in task.decode(outputs, encoded, rows)]
    assert [set(answer) for answer in answers] == [{"score"}] * len(rows)
    np.testing.assert_allclose(
        [answer["score"] for answer in answers], [one["score"] for one in gold], atol=1e-6
    )


def test_scores_come_on_the_scale_of_the_labels(base: Path) -> None:
    task = learnt(PAIRS)
    asked = predictor(task, base)
    answers, gold = asked.predict(PAIRS), task.gold(PAIRS)
    task.decide(answers, gold)
    after = asked.predict(PAIRS)
    assert task.decisions["scale"] == [0.0, 5.0]
    assert task.decisions["slope"] > 0  # no order is turned around, well trained or not
    cosines = np.array([answer["cosine"] for answer in after])
    np.testing.assert_allclose(cosines, [answer["cosine"] for answer in answers])
    scores = np.array([answer["score"] for answer in after])
    expected = task.decisions["offset"] + task.decisions["slope"] * cosines
    np.testing.assert_allclose(scores, expected)
    assert Scores(after, gold, []).values() == pytest.approx(Scores(answers, gold, []).values())


def test_a_threshold_says_what_is_the_same(base: Path) -> None:
    rows = [{**row, "label": float(row["label"] > 2)} for row in PAIRS]
    task = learnt(rows)
    asked = predictor(task, base)
    task.decide(asked.predict(rows), task.gold(rows))
    answers = asked.predict(rows)
    assert task.decisions.keys() == {"threshold"}
    for answer in answers:
        assert answer["same"] == (answer["score"] >= task.decisions["threshold"])
        assert answer["score"] == answer["cosine"]


@pytest.mark.parametrize("architecture", ["bi-encoder", "cross-encoder"])
def test_the_batch_a_pair_is_in_changes_nothing(base: Path, architecture: str) -> None:
    chance = np.random.default_rng(0)
    rows = [
        {
            role: " ".join(chance.choice(WORDS, chance.integers(1, 60)))
            for role in ("text", "text_pair")
        }
        for _ in range(20)
    ]
    task = make(architecture=architecture)
    scores = [
        [answer["score"] for answer in predictor(task, base, batch_size=size).predict(rows)]
        for size in (1, 7, 64)
    ]
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-5)
    np.testing.assert_allclose(scores[0], scores[2], atol=1e-5)


@pytest.mark.parametrize("architecture", ["bi-encoder", "cross-encoder"])
def test_the_end_of_a_long_text_counts(base: Path, architecture: str) -> None:
    task = make(architecture=architecture)
    asked = predictor(task, base)
    long = "rain " * 500
    rows = [{"text": long + end, "text_pair": "drum"} for end in ("", "choir")]
    encoded = asked.encode(rows)
    assert len(encoded) > 30
    assert all(len(part["input_ids"]) <= 32 for part in encoded)
    first, second = asked.predict(rows)
    assert first["score"] != second["score"]
    assert "truncated" not in first
    cut = predictor(make(architecture=architecture, on_long="truncate"), base).predict(rows)
    assert cut[0]["truncated"]
    assert cut[0]["score"] == pytest.approx(cut[1]["score"], abs=1e-6)


def test_each_text_is_an_encoded_row_with_its_side(base: Path) -> None:
    rows = [
        {"text": "rain", "text_pair": "sun", "negative": " rain "},
        {"text": "pan", "text_pair": "sun"},
    ]
    task = learnt(labelled([None, None]))
    tokenizer = text.from_transformers(base, 32)
    encoded = task.features(rows, tokenizer)
    task.targets(rows, encoded)
    assert [(part["_row"], part["side"]) for part in encoded] == [
        (0, 0), (0, 1), (0, 2), (1, 0), (1, 1),
    ]  # fmt: skip
    keys = [part["text_key"] for part in encoded]
    assert keys[0] == keys[2] != keys[1] == keys[4]
    assert all(math.isnan(part["labels"]) for part in encoded)
    assert [len(answer["vectors"]) for answer in predictor(task, base).predict(rows)] == [3, 2]


def test_a_cross_encoder_learns_labels_between_0_and_1(base: Path) -> None:
    task = learnt(PAIRS, architecture="cross-encoder")
    encoded = task.features(PAIRS, text.from_transformers(base, 32))
    task.targets(PAIRS, encoded)
    assert [part["labels"] for part in encoded] == [[0.9], [0.6], [0.0], [1.0]]
    task.decide([{"score": 0.5}] * 4, task.gold(PAIRS))
    logits = [{"logits": np.array([value])} for value in (0.0, 40.0, -40.0, 1.0)]
    scores = [answer["score"] for answer in task.decode(logits, encoded, PAIRS)]
    assert scores == pytest.approx([2.5, 5.0, 0.0, 5 / (1 + math.exp(-1))])


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("family", ["bert", "distilbert", "modernbert"])
def test_a_folder_is_a_sentence_transformers_model(
    tmp_path: Path, family: str, pooling: str, normalize: bool
) -> None:
    from sentence_transformers import SentenceTransformer
    from transformers import AutoModel

    base = write_base_model(tmp_path / "base", family)
    task = make(pooling=pooling, normalize=normalize)
    model = load_for_training(base, task.auto_class, task.head(), dropout=None, seed=1)
    write_folder(tmp_path / "run", model, base, max_length=64)
    opened = make(**task.resolved())
    opened.restore(json.loads((tmp_path / "run" / "config.json").read_text("utf-8")))
    loaded = load_for_prediction(tmp_path / "run", opened.auto_class, opened.head())
    asked = Predictor(opened, text.from_file(tmp_path / "run", 64), TorchEngine(loaded))
    answers = asked.predict([{k: row[k] for k in ("text", "text_pair")} for row in PAIRS])
    theirs = SentenceTransformer(str(tmp_path / "run"), device="cpu")
    expected = theirs.encode([row["text"] for row in PAIRS])
    found = np.stack([answer["vectors"][0] for answer in answers])
    np.testing.assert_allclose(found, expected, atol=1e-6)
    likeness = theirs.similarity_pairwise(
        expected, theirs.encode([row["text_pair"] for row in PAIRS])
    )
    np.testing.assert_allclose([a["score"] for a in answers], likeness, atol=1e-6)
    assert theirs.max_seq_length == 64
    assert type(AutoModel.from_pretrained(tmp_path / "run")) is type(model.encoder)
    stored = json.loads((tmp_path / "run" / "1_Pooling" / "config.json").read_text("utf-8"))
    assert stored["pooling_mode_cls_token"] == (pooling == "cls")
    assert stored["pooling_mode_mean_tokens"] == (pooling == "mean")


@pytest.mark.parametrize("family", ["bert", "distilbert", "modernbert"])
def test_a_folder_is_a_cross_encoder(tmp_path: Path, family: str) -> None:
    from sentence_transformers import CrossEncoder

    base = write_base_model(tmp_path / "base", family)
    task = make(architecture="cross-encoder")
    asked = predictor(task, base, max_length=64)
    write_folder(tmp_path / "run", asked.engine.model, base, max_length=64)
    pairs = [(row["text"], row["text_pair"]) for row in PAIRS]
    expected = CrossEncoder(str(tmp_path / "run"), device="cpu").predict(pairs)
    found = [answer["score"] for answer in asked.predict(PAIRS)]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert not (tmp_path / "run" / "modules.json").exists()


def test_a_model_from_elsewhere_says_what_it_is() -> None:
    task = make()
    task.restore({"architectures": ["BertForSequenceClassification"], "id2label": {"0": "LABEL_0"}})
    assert task.crossed
    classifier = {
        "architectures": ["BertForSequenceClassification"],
        "id2label": dict.fromkeys("012"),
    }
    with pytest.raises(InputError, match="a classifier with 3 labels"):
        make().restore(classifier)
    task = make()
    task.restore({"architectures": ["BertModel"]})
    assert not task.crossed
    task = make(architecture="bi-encoder")
    task.restore(
        {"architectures": ["BertForSequenceClassification"], "id2label": dict.fromkeys("01")}
    )
    assert not task.crossed


def test_what_rows_say_decides_how_they_are_scored() -> None:
    task = learnt(labelled([None, None]))
    assert task.gold(labelled([0, 1])) == [{"score": 0.0}, {"score": 1.0}]
    assert task.metric == "binary-similarity"
    task.gold(labelled([0.5, 3]))
    assert task.metric == "similarity"
    assert task.gold(labelled([None])) == [{"texts": ("a", "b")}]
    assert task.metric == "retrieval"
    graded = learnt(PAIRS)
    graded.gold(labelled([0, 1]))
    assert graded.metric == "similarity"


def test_texts_without_a_second_one_have_vectors_only(base: Path) -> None:
    answers = predictor(make(), base).predict([{"text": "rain"}, {"text": "pan " * 90}])
    assert [set(answer) for answer in answers] == [{"vectors"}] * 2
    norms = np.linalg.norm([answer["vectors"][0] for answer in answers], axis=1)
    np.testing.assert_allclose(norms, 1.0, atol=1e-6)


def test_windows_of_a_mean_pooled_text_weigh_by_their_tokens(base: Path) -> None:
    task = make(normalize=False)
    asked = predictor(task, base, max_length=12)
    (answer,) = asked.predict([{"text": "rain sun " * 20}])
    parts = asked.encode([{"text": "rain sun " * 20}])
    outputs = asked.run(parts)
    weights = [len(part["input_ids"]) for part in parts]
    expected = np.average([out["embeddings"] for out in outputs], axis=0, weights=weights)
    np.testing.assert_allclose(answer["vectors"][0], expected, atol=1e-6)
