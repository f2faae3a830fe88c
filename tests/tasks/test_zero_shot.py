"""Zero-shot: as transformers' pipeline where that is right, and right where it is not."""

from __future__ import annotations

import json
import random
import warnings

import numpy as np
import pytest
from toys import TOPICS, write_base_model, write_classifier

from hfkit.choices import find_entailment, read_lines
from hfkit.errors import InputError, RowError
from hfkit.infer.predictor import Predictor
from hfkit.infer.torch_engine import TorchEngine
from hfkit.model.load import load_for_prediction
from hfkit.registry import make_task
from hfkit.text import from_transformers

WORDS = [word for words in TOPICS.values() for word in words]
ORDERS = (
    ("contradiction", "neutral", "entailment"),
    ("neutral", "entailment", "contradiction"),
    ("ENTAILMENT", "NEUTRAL", "CONTRADICTION"),
)


def zero_shot(**options):
    return make_task("zero-shot", options)


def write_nli(folder, names=ORDERS[0], seed=0):
    """A random NLI model, its head spread wide so that scores differ."""
    import torch
    from transformers import AutoModelForSequenceClassification

    numbers = {name: number for number, name in enumerate(names)}
    write_classifier(
        folder, num_labels=len(names), id2label=dict(enumerate(names)), label2id=numbers
    )
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    torch.manual_seed(seed)
    torch.nn.init.normal_(model.classifier.weight, std=3.0)
    model.save_pretrained(folder)
    path = folder / "tokenizer_config.json"  # so that the pipeline gives the model segments too
    inputs = ["input_ids", "token_type_ids", "attention_mask"]
    settings = {**json.loads(path.read_text("utf-8")), "model_input_names": inputs}
    path.write_text(json.dumps(settings), "utf-8")
    return folder


@pytest.fixture(scope="module")
def nli(tmp_path_factory):
    return write_nli(tmp_path_factory.mktemp("nli"))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return write_base_model(tmp_path_factory.mktemp("encoder"))


def predictor(folder, max_length=64, batch_size=16, **options):
    task = zero_shot(**options)
    task.restore(json.loads((folder / "config.json").read_text("utf-8")))
    engine = TorchEngine(load_for_prediction(folder, task.auto_class))
    return Predictor(task, from_transformers(folder, max_length), engine, batch_size)


def random_rows(count, seed=0):
    chance = random.Random(seed)
    rows = []
    for _ in range(count):
        text = " ".join(chance.choices(WORDS, k=chance.randint(1, 8)))
        labels = chance.sample(WORDS, chance.randint(2, 4))
        rows.append({"text": text, "candidates": labels})
    return rows


@pytest.mark.parametrize("multi", [False, True], ids=["single", "multi"])
def test_a_thousand_texts_as_the_pipeline_answers_them(nli, multi) -> None:
    from transformers import pipeline

    rows = random_rows(1000)
    mine = predictor(nli, multi_label=multi, threshold=0.3).predict(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = pipeline("zero-shot-classification", model=str(nli), device="cpu")
        for row, answer in zip(rows, mine, strict=True):
            wanted = theirs(row["text"], row["candidates"], multi_label=multi)
            scores = dict(zip(wanted["labels"], wanted["scores"], strict=True))
            assert answer["scores"] == pytest.approx(scores, abs=2e-5)
            assert list(answer["scores"]) == row["candidates"]
            if multi:
                above = [name for name in row["candidates"] if answer["scores"][name] >= 0.3]
                assert answer["labels"] == above
            else:
                assert answer["label"] == max(answer["scores"], key=answer["scores"].get)
                assert answer["score"] == answer["scores"][answer["label"]]


class FixedEngine:
    """The logits of entailment and contradiction depend on whether the label stands in the text."""

    def __init__(self, names):
        self.names = [name.casefold() for name in names]

    def run(self, batch):
        ids, types = batch["input_ids"], batch["token_type_ids"]
        logits = np.zeros((len(ids), len(self.names)), dtype=np.float32)
        for row in range(len(ids)):
            text, sentence = (set(ids[row][types[row] == kind]) - {0, 3} for kind in (0, 1))
            sign = 4.0 if sentence & text else -4.0
            logits[row, self.names.index("entailment")] = sign
            logits[row, self.names.index("contradiction")] = -sign
        return {"logits": logits}


@pytest.mark.parametrize("names", ORDERS, ids=lambda names: names[0])
@pytest.mark.parametrize("multi", [False, True], ids=["single", "multi"])
def test_the_order_of_the_models_labels_does_not_matter(nli, names, multi) -> None:
    task = zero_shot(labels="drum,soup,fog", multi_label=multi, template="{}")
    task.restore(
        {
            "architectures": ["BertForSequenceClassification"],
            "id2label": {str(number): name for number, name in enumerate(names)},
        }
    )
    ready = Predictor(task, from_transformers(nli, 64), FixedEngine(names))  # type: ignore[arg-type]
    [answer] = ready.predict([{"text": "the soup and the salt"}])
    if multi:
        assert answer["labels"] == ["soup"]
        assert answer["scores"]["soup"] == pytest.approx(1 / (1 + np.exp(-8)))
    else:
        assert answer["label"] == "soup"
        assert answer["score"] == pytest.approx(1 / (1 + 2 * np.exp(-8)))


def test_entailment_is_found_by_name() -> None:
    assert find_entailment(["neutral", "entailment", "contradiction"]) == (1, 2)
    assert find_entailment(["not_entailment", "entailment"]) == (1, 0)
    assert find_entailment(["entailment", "not entailment"]) == (0, 1)
    assert find_entailment(["Entailed", "other"]) == (0, 1)
    assert find_entailment(["a", "b", "entails"]) == (2, None)
    assert find_entailment(["LABEL_0", "LABEL_1", "LABEL_2"], "LABEL_1") == (1, None)
    assert find_entailment(["yes", "no", "contradicts"], "yes") == (0, 2)


@pytest.mark.parametrize(
    "labels", [["LABEL_0", "LABEL_1", "LABEL_2"], ["entail", "entailment"], ["pos", "neg"], []]
)
def test_names_that_do_not_say_are_refused(labels) -> None:
    with pytest.raises(InputError, match=r"do not say which is entailment.*--entailment-label"):
        find_entailment(labels)


def test_an_entailment_label_must_exist() -> None:
    with pytest.raises(InputError, match="did you mean 'LABEL_1'"):
        find_entailment(["LABEL_0", "LABEL_1"], "LABEL_l")


def test_a_model_without_a_named_contradiction_scores_against_all(nli, caplog) -> None:
    task = zero_shot(labels="a,b", multi_label=True, entailment_label="two")
    config = {"architectures": ["XForSequenceClassification"]}
    with caplog.at_level("INFO"):
        task.restore({**config, "id2label": {"0": "one", "1": "two", "2": "three"}})
    assert "no label named contradiction" in caplog.text
    encoded = [{"input_ids": [1], "_row": 0, "_label": number} for number in (0, 1)]
    outputs = [{"logits": np.array([1.0, 2.0, 3.0])}, {"logits": np.array([0.0, 5.0, 0.0])}]
    [answer] = task.decode(outputs, encoded, [{"text": "x"}])
    both = np.exp([1.0, 2.0, 3.0])[1] / np.exp([1.0, 2.0, 3.0]).sum()
    assert answer["scores"]["a"] == pytest.approx(both) and answer["labels"] == ["b"]


def test_huge_logits_do_not_overflow(nli) -> None:
    task = zero_shot(labels="a,b")
    task.restore({"architectures": ["XForSequenceClassification"],
                  "id2label": {"0": "entailment", "1": "contradiction"}})  # fmt: skip
    encoded = [{"input_ids": [1], "_row": 0, "_label": number} for number in (0, 1)]
    outputs = [{"logits": np.array([9e4, 0.0])}, {"logits": np.array([-9e4, 0.0])}]
    [answer] = task.decode(outputs, encoded, [{"text": "x"}])
    assert answer["scores"] == {"a": 1.0, "b": 0.0}


def test_a_long_text_is_read_in_windows_and_the_label_stands_in_each(nli) -> None:
    ready = predictor(nli, max_length=32, labels="drum,soup", template="this is {}")
    text = " ".join(WORDS * 4)
    encoded = ready.encode([{"text": text}, {"text": "fog"}])
    sentences = {
        place: ready.tokenizer.encode([f"this is {name}"])[0][0]["input_ids"][1:]
        for place, name in enumerate(["drum", "soup"])
    }
    for part in encoded:
        wanted = sentences[part["_label"]]
        assert part["input_ids"][-len(wanted) :] == wanted  # its end mark included
        assert len(part["input_ids"]) <= 32
    windows = [part for part in encoded if part["_row"] == 0 and part["_label"] == 0]
    assert len(windows) > 3
    seen = {token for part in windows for token in part["input_ids"]}
    assert set(ready.tokenizer.encode([text], on_long="window")[0][0]["input_ids"]) <= seen
    assert len(ready.predict([{"text": text}, {"text": "fog"}])) == 2


def test_a_cut_text_keeps_its_label_and_says_so(nli) -> None:
    ready = predictor(nli, max_length=40, labels="drum,soup", on_long="truncate")
    answers = ready.predict([{"text": " ".join(WORDS)}, {"text": "fog"}])
    assert answers[0]["truncated"] and "truncated" not in answers[1]


def test_a_sentence_that_fills_half_a_window_is_refused(nli) -> None:
    ready = predictor(nli, max_length=32, labels=f"drum,{' '.join(WORDS[:20])}")
    with pytest.raises(RowError, match=r"more than half a window of 32.*--max-length"):
        ready.predict([{"text": "fog"}])


@pytest.mark.parametrize("kind", ["nli", "encoder"])
@pytest.mark.parametrize("multi", [False, True], ids=["single", "multi"])
def test_neither_batch_nor_neighbours_show(kind, multi, request) -> None:
    folder = request.getfixturevalue(kind)
    rows = random_rows(60, seed=1)
    rows[3]["text"] = " ".join(WORDS * 3)
    wanted = predictor(folder, batch_size=1, multi_label=multi).predict(rows)
    whole = predictor(folder, batch_size=64, multi_label=multi)
    alone = [answer for row in rows for answer in whole.predict([row])]
    for found in (whole.predict(rows), alone):
        for one, other in zip(wanted, found, strict=True):
            assert other["scores"] == pytest.approx(one["scores"], abs=1e-5)


def test_an_embedding_model_compares_vectors(encoder) -> None:
    ready = predictor(encoder, labels="drum,soup,fog")
    assert ready.task.auto_class == "hfkit.model.heads:Embedder" and ready.task.template == "{}"
    [answer] = ready.predict([{"text": "the old fog"}])
    texts = ["the old fog", "drum", "soup", "fog"]
    rows = [parts[0] for parts in ready.tokenizer.encode(texts)]
    vectors = np.stack([output["embeddings"] for output in ready.run(rows)]).astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    powers = np.exp(20 * (vectors[1:] @ vectors[0]))
    shares = dict(zip(texts[1:], powers / powers.sum(), strict=True))
    assert answer["scores"] == pytest.approx(shares, abs=1e-5)
    [several] = predictor(encoder, labels="drum,soup,fog", multi_label=True).predict(
        [{"text": "the old fog"}]
    )
    expected = {name: 3 * share / (3 * share + 1) for name, share in shares.items()}
    assert several["scores"] == pytest.approx(expected, abs=1e-5)
    assert several["labels"] == [name for name in expected if expected[name] >= 0.5]


def test_a_label_may_be_described_in_other_words(encoder, nli, tmp_path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("A\tdrum\nB\tsoup\n", "utf-8")
    for folder in (encoder, nli):
        [plain] = predictor(folder, labels="drum,soup").predict([{"text": "fog"}])
        [found] = predictor(folder, labels_file=str(path)).predict([{"text": "fog"}])
        assert list(found["scores"]) == ["A", "B"]
        assert list(found["scores"].values()) == pytest.approx(list(plain["scores"].values()))


def test_each_label_is_embedded_once(encoder) -> None:
    ready = predictor(encoder, labels="drum,soup")
    encoded = ready.encode([{"text": "fog"}] * 50)
    assert len(encoded) == 52 and [part["_sentence"] for part in encoded[50:]] == ["drum", "soup"]


def test_labels_are_named_on_one_line_or_in_a_file(tmp_path) -> None:
    assert zero_shot(labels=" a , b c ").labels == ["a", "b c"]
    path = tmp_path / "labels.txt"
    path.write_text("\ufeffred, white and blue\r\n\n  green \n", "utf-8")
    assert zero_shot(labels_file=str(path)).labels == ["red, white and blue", "green"]
    path.write_text("LOC\ta place\nHUM\n", "utf-8")
    assert zero_shot(labels_file=str(path)).described == {"LOC": "a place", "HUM": "HUM"}
    assert "candidates?" in zero_shot(labels="a,b").columns
    assert "candidates" in zero_shot().columns


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"labels": "a,b,a"}, '--labels: the label "a" stands there twice'),
        ({"labels": "a,,b"}, "--labels: an empty label"),
        ({"labels": ""}, "--labels: an empty label"),
        ({"labels": "a"}, "one label leaves nothing to choose"),
        ({"labels": "a,b", "labels_file": "x"}, "also given as --labels-file"),
        ({"labels_file": "nowhere.txt"}, "nowhere.txt: cannot be read"),
        ({"labels": "a,b", "template": "about it"}, "--template: no {} for the label"),
    ],
)
def test_labels_one_cannot_choose_from_are_refused(options, problem) -> None:
    with pytest.raises(InputError) as caught:
        zero_shot(**options)
    assert problem in str(caught.value)


def test_an_empty_or_foreign_file_of_labels_is_refused(tmp_path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("\n \n")
    with pytest.raises(InputError, match="no labels in it"):
        read_lines(str(path))
    path.write_bytes(b"caf\xe9\n")
    with pytest.raises(InputError, match="not UTF-8"):
        read_lines(str(path))


def test_rows_bring_their_own_labels() -> None:
    task = zero_shot(labels="a,b")
    assert task.candidates({"text": "x", "candidates": ["c", "d"]}) == ["c", "d"]
    assert task.candidates({"text": "x", "candidates": "c, d"}) == ["c", "d"]
    assert task.candidates({"text": "x", "candidates": None}) == ["a", "b"]
    for wrong in ([], ["c", "c"], ["c"], [1, 2], 7):
        with pytest.raises(RowError) as caught:
            task.candidates({"text": "x", "candidates": wrong}, 5)
        assert caught.value.row == 5 and "candidates" in caught.value.message
    with pytest.raises(RowError, match="no labels to choose from"):
        zero_shot().candidates({"text": "x"})


def test_a_right_answer_must_be_one_to_choose() -> None:
    task = zero_shot(labels="sports,politics")
    assert task.gold([{"label": "sports"}]) == [{"label": "sports"}]
    with pytest.raises(RowError, match=r'"Sports" is not among .*did you mean .sports') as caught:
        task.gold([{"label": "sports"}, {"label": "Sports"}])
    assert caught.value.row == 1
    with pytest.raises(RowError, match="--multi-label"):
        task.gold([{"label": ["sports", "politics"]}])
    several = zero_shot(labels="a,b,c", multi_label=True)
    assert several.gold([{"label": ["b", "a"]}, {"label": []}]) == [
        {"labels": ["a", "b"]},
        {"labels": []},
    ]
    own = zero_shot()
    own.gold([{"label": "d", "candidates": ["c", "d"]}, {"label": "a", "candidates": ["d", "a"]}])
    assert own.labels == ["c", "d", "a"]


def test_perfect_outputs_decode_to_the_right_answers() -> None:
    rows = random_rows(300, seed=2)
    task = zero_shot()
    task.restore({"architectures": ["XForSequenceClassification"],
                  "id2label": {"0": "neutral", "1": "entailment", "2": "contradict"}})  # fmt: skip
    chance = random.Random(3)
    for row in rows:
        row["label"] = chance.choice(row["candidates"])
    encoded = [
        {"input_ids": [1] * chance.randint(1, 9), "_row": number, "_label": place}
        for number, row in enumerate(rows)
        for place in range(len(row["candidates"]))
        for _ in range(chance.randint(1, 3))
    ]
    chance.shuffle(encoded)
    outputs = []
    for part in encoded:
        row = rows[part["_row"]]
        right = row["candidates"][part["_label"]] == row["label"]
        outputs.append({"logits": np.array([0.0, 3.0, -3.0] if right else [0.0, -3.0, 3.0])})
    answers = task.decode(outputs, encoded, rows)
    assert [{"label": one["label"]} for one in answers] == task.gold(rows)


def test_it_is_not_trained() -> None:
    task = zero_shot(labels="a,b")
    for act in (lambda: task.learn([]), lambda: task.targets([], []), lambda: task.loss):
        with pytest.raises(InputError, match="-t nli"):
            act()


def test_shown_briefly() -> None:
    task = zero_shot(labels="a,b,c", multi_label=True)
    answer = {"labels": ["b"], "scores": {"a": 0.1, "b": 0.9, "c": 0.2}}
    assert task.brief(answer) == {"labels": ["b"], "scores": {"b": 0.9}}
    assert task.brief({"labels": ["b"]}) == {"labels": ["b"]}
    assert zero_shot(labels="a,b").brief({"label": "a", "score": 1.0, "scores": {}}) == {
        "label": "a",
        "score": 1.0,
    }
