"""Named entities: whatever the text, the right outputs give the right entities."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from hfkit import text
from hfkit.errors import InputError, RowError
from hfkit.infer.predictor import Predictor
from hfkit.registry import make_task
from hfkit.spans import Scheme, Span, tags_of
from hfkit.targets import IGNORED
from hfkit.tasks.ner import Ner
from hfkit.words import find_words

Row = dict[str, Any]
TYPES = ["PER", "LOC", "JOB-TITLE"]
SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much]
KINDS = ["wordpiece", "bytes", "sentencepiece"]

CORPUS = [
    "Anna Roth lives in Bern , not in Basel .",
    "安娜住在伯尔尼 中国人民 中国人民 中国",
    "the rain and the storm don't stop; U.S. 3.5%",
    "مرحبا بالعالم שלום עולם हिन्दी में",
] * 3


@cache
def backend(kind: str) -> Any:
    """A tokenizer of each of the families in use, trained on a few lines."""
    from tokenizers import (
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
        trainers,
    )  # fmt: skip

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    made: Any
    if kind == "wordpiece":
        made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        made.normalizer = normalizers.BertNormalizer(lowercase=True)
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer: Any = trainers.WordPieceTrainer(vocab_size=300, special_tokens=special)
    elif kind == "bytes":
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        )
    else:
        made = Tokenizer(models.Unigram())
        made.normalizer = normalizers.NFKC()
        made.pre_tokenizer = pre_tokenizers.Metaspace()
        made.decoder = decoders.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=200, special_tokens=special, unk_token="[UNK]", show_progress=False
        )
    made.train_from_iterator(CORPUS, trainer)
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return made


def tokenizer(kind: str, max_length: int = 16) -> text.Tokenizer:
    return text.Tokenizer(backend(kind), max_length, {"input_ids": 0, "attention_mask": 0})


def task(rows: list[Row] = (), **options: Any) -> Ner:  # type: ignore[assignment]
    made = make_task("ner", options)
    assert isinstance(made, Ner)
    if rows:
        made.learn(rows)
    return made


def perfect(made: Ner, rows: list[Row], encoded: list[Row], seed: int = 0) -> list[Row]:
    """Outputs that are right where training looks, and noise everywhere else."""
    made.targets(rows, encoded)
    chance = np.random.default_rng(seed)
    outputs = []
    for part in encoded:
        logits = chance.normal(scale=30, size=(len(part["input_ids"]), len(made.labels)))
        for place, label in enumerate(part["labels"]):
            if label != IGNORED:
                logits[place] = np.where(np.arange(len(made.labels)) == label, 20.0, -20.0)
        outputs.append({"logits": logits.astype(np.float32)})
    return outputs


def bare(made: Ner, answers: list[Row]) -> list[Row]:
    """Answers as gold has them: without scores."""
    return [
        {**one, "entities": [{k: v for k, v in e.items() if k != "score"} for e in one["entities"]]}
        for one in map(made.brief, answers)
    ]


def borders(kind: str, content: str) -> tuple[list[tuple[int, int]], list[bool], list[bool]]:
    """The words of a text; which have a token, and before which no token reaches across."""
    words = find_words(content)
    found = backend(kind).encode(content)
    offsets = [
        place for place, special in zip(found.offsets, found.special_tokens_mask, strict=True)
        if not special
    ]  # fmt: skip
    touched = [
        {n for n, (s, e) in enumerate(offsets) if s < end and start < e} for start, end in words
    ]
    clean = [not (before & own) for before, own in zip([set(), *touched], touched, strict=False)]
    return words, [bool(one) for one in touched], [*clean, True]


odd = st.sampled_from(
    ["👩‍👧", "e\u0301", "\u200b", "\xad", "中", "国", "שלום", "مرحبا", "में", " ", "\n", "\u3000",
     "don't", "x" * 90, "É", "ﬁ", "🇨🇭", "\ufeff", "서울에서", "U.S.", "İ"]
)  # fmt: skip
texts = st.lists(st.one_of(odd, st.text(max_size=8), st.just(" ")), max_size=12).map("".join)


@st.composite
def spans_between(draw: st.DrawFn, starts: list[int], ends: list[int]) -> list[Span]:
    """Spans that begin and end where it is allowed, and do not overlap."""
    found: list[Span] = []
    for start in starts:
        if (found and start < found[-1].end) or not draw(st.booleans()):
            continue
        possible = [end for end in ends if start < end <= start + 4]
        if possible:
            found.append(Span(start, draw(st.sampled_from(possible)), draw(st.sampled_from(TYPES))))
    return found


@pytest.mark.parametrize("kind", KINDS)
@settings(
    max_examples=120, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
@given(data=st.data())
def test_perfect_outputs_decode_to_gold_in_texts(kind: str, data: st.DataObject) -> None:
    rows = []
    for content in data.draw(st.lists(texts, min_size=1, max_size=3)):
        words, has_token, clean = borders(kind, content)
        starts = [n for n in range(len(words)) if has_token[n] and clean[n]]
        ends = [n + 1 for n in range(len(words)) if has_token[n] and clean[n + 1]]
        spans = data.draw(spans_between(starts, ends))
        label = [
            {"start": words[one.start][0], "end": words[one.end - 1][1], "label": one.label}
            for one in spans
        ]
        rows.append({"text": content, "label": label})
    assume(any(row["label"] for row in rows))
    made = task(rows, constrained=data.draw(st.booleans()))
    encoded = made.features(rows, tokenizer(kind, data.draw(st.sampled_from([8, 16, 400]))))
    gold = made.gold(rows)
    assert bare(made, made.decode(perfect(made, rows, encoded), encoded, rows)) == gold
    for row, answer in zip(rows, gold, strict=True):
        for one in answer["entities"]:
            assert row["text"][one["start"] : one["end"]] == one["text"]


@pytest.mark.parametrize("kind", KINDS)
@settings(
    max_examples=120, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
@given(data=st.data())
def test_perfect_outputs_decode_to_gold_in_tokens(kind: str, data: st.DataObject) -> None:
    scheme: Scheme = data.draw(st.sampled_from(["io", "iob1", "iob2", "bioes", "bmes", "bilou"]))
    pieces = st.one_of(odd, st.text(max_size=6), st.sampled_from(["Anna", "Bern", "中", "don't"]))
    rows = []
    for tokens in data.draw(st.lists(st.lists(pieces, max_size=9), min_size=1, max_size=3)):
        found = text.spaced(backend(kind)).encode(tokens, is_pretokenized=True)
        having = sorted({word for word in found.word_ids if word is not None})
        spans = data.draw(spans_between(having, [word + 1 for word in having]))
        rows.append({"tokens": tokens, "label": tags_of(spans, len(tokens), scheme)})
        if (
            scheme == "io"
        ):  # neighbours of one type are one entity; so are those it cannot see between
            pairs = pairwise(spans)
            assume(all(any(one.end <= word < two.start for word in having) for one, two in pairs))
    assume(any(set(row["label"]) - {"O"} for row in rows))
    made = task(rows, constrained=data.draw(st.booleans()))
    encoded = made.features(rows, tokenizer(kind, data.draw(st.sampled_from([8, 16, 400]))))
    gold = made.gold(rows)
    answers = made.decode(perfect(made, rows, encoded), encoded, rows)
    assert bare(made, answers) == gold
    for row, answer in zip(rows, answers, strict=True):
        assert len(answer["tags"]) == len(row["tokens"])
        for one in answer["entities"]:
            assert " ".join(row["tokens"])[one["start"] : one["end"]] == one["text"]


def test_only_the_first_token_of_a_word_is_labelled_and_each_word_once() -> None:
    tokens = ["Anna", "unbelievably", "\u200b", "Bern"] * 10
    rows = [{"tokens": tokens, "label": ["B-PER", "O", "O", "B-LOC"] * 10}]
    made = task(rows)
    encoded = made.features(rows, tokenizer("wordpiece", 12))
    made.targets(rows, encoded)
    assert len(encoded) > 3
    labelled = [
        part["_words"][place]
        for part in encoded
        for place, label in enumerate(part["labels"])
        if label != IGNORED
    ]
    assert sorted(labelled) == [word for word in range(len(tokens)) if word % 4 != 2]
    for part in encoded:
        for place, label in enumerate(part["labels"]):
            assert label == IGNORED or part["_words"][place] != part["_words"][place - 1]


def test_labels_are_iob2_with_o_first() -> None:
    rows = [{"tokens": ["a", "b", "c"], "label": ["I-PER", "B-PER", "I-LOC"]}]
    made = task(rows)
    assert made.labels == ["O", "B-LOC", "B-PER"]
    assert made.gold(rows)[0]["tags"] == ["B-PER", "B-PER", "B-LOC"]
    assert task([{"tokens": ["a", "b"], "label": ["S-X", "O"]}]).labels == ["O", "B-X"]
    assert task([{"text": "Anna Roth", "label": [{"start": 0, "end": 9, "label": "JOB-TITLE"}]}]
        ).labels == ["O", "B-JOB-TITLE", "I-JOB-TITLE"]  # fmt: skip


def test_tags_without_prefixes_stay_as_they_are() -> None:
    rows = [{"tokens": ["a", "dog", "barks"], "label": ["DET", "NOUN", "VERB"]}]
    made = task(rows)
    assert made.labels == ["O", "DET", "NOUN", "VERB"]
    assert made.gold(rows)[0]["tags"] == ["DET", "NOUN", "VERB"]
    again = task()
    again.restore(made.head())
    assert (again.labels, again.scheme) == (made.labels, "io")
    unlearned = task()  # predictions are scored without their model
    assert unlearned.gold(rows) == made.gold(rows)


@pytest.mark.parametrize("scheme", ["io", "iob1", "iob2", "bioes", "bilou"])
def test_a_foreign_model_of_any_scheme_decodes(scheme: Scheme) -> None:
    spans = [Span(0, 2, "PER"), Span(2, 3, "LOC"), Span(4, 5, "PER")]
    tags = tags_of(spans, 6, scheme)
    labels = sorted({*tags, *tags_of([Span(0, 3, "PER"), Span(3, 6, "LOC")], 6, scheme)})
    made = task()
    made.restore({"id2label": {str(n): label for n, label in enumerate(labels)}})
    assert made.scheme == scheme
    row = {"tokens": ["Anna", "Roth", "Bern", "and", "Bo", "left"]}
    (part,) = made.features([row], tokenizer("wordpiece", 400))
    logits = np.zeros((len(part["input_ids"]), len(labels)))
    for place, word in enumerate(part["_words"]):
        if word >= 0:
            logits[place, labels.index(tags[word])] = 9.0
    (answer,) = made.decode([{"logits": logits}], [part], [row])
    assert [(one["label"], one["text"]) for one in answer["entities"]] == [
        ("PER", "Anna Roth"), ("LOC", "Bern"), ("PER", "Bo"),
    ]  # fmt: skip
    assert answer["tags"] == tags_of(spans, 6, "io" if scheme == "io" else "iob2")


def test_the_scheme_of_an_ambiguous_foreign_model_can_be_named() -> None:
    labels = {"0": "O", "1": "B-X", "2": "I-X"}
    plain, named = task(), task(scheme="iob1")
    plain.restore({"id2label": labels})
    named.restore({"id2label": labels})
    assert (plain.scheme, named.scheme) == ("iob2", "iob1")
    own = task(scheme="iob1")  # a run on IOB1 data has IOB2 labels, and says so
    own.restore({"id2label": labels, "tag_scheme": "iob2"})
    assert own.scheme == "iob2"
    foreign = task()
    foreign.restore({"id2label": labels, "tag_scheme": "BIO"})
    assert foreign.scheme == "iob2"


def test_constrained_decoding_gives_only_what_is_possible() -> None:
    row = {"tokens": ["Anna", "Roth"]}
    rows = [{**row, "label": ["B-PER", "I-PER"]}]
    for constrained, tags in ((False, ["I-PER", "I-PER"]), (True, ["B-PER", "I-PER"])):
        made = task(rows, constrained=constrained)
        (part,) = made.features([row], tokenizer("wordpiece"))
        logits = np.full((len(part["input_ids"]), 3), -9.0)  # O, B-PER, I-PER
        logits[:, 1:] = [1.0, 1.5]
        (answer,) = made.decode([{"logits": logits}], [part], [row])
        assert answer["tags"] == tags
        assert len(answer["entities"]) == constrained


def test_the_score_is_the_mean_of_the_words_probabilities() -> None:
    rows = [{"tokens": ["Anna", "Roth", "\u200b", "left"], "label": ["B-PER", "I-PER", "O", "O"]}]
    made = task(rows)
    (part,) = made.features(rows, tokenizer("wordpiece", 400))
    logits = np.zeros((len(part["input_ids"]), 3))
    first = {word: part["_words"].index(word) for word in (0, 1, 3)}
    logits[first[0]] = np.log([0.1, 0.8, 0.1])
    logits[first[1]] = np.log([0.3, 0.1, 0.6])
    logits[first[3]] = np.log([0.9, 0.05, 0.05])
    (answer,) = made.decode([{"logits": logits}], [part], rows)
    assert answer["entities"] == [
        {"label": "PER", "start": 0, "end": 9, "text": "Anna Roth", "score": pytest.approx(0.7)}
    ]
    assert answer["tags"] == ["B-PER", "I-PER", "O", "O"]


def test_a_word_without_a_token_lies_in_the_entity_around_it() -> None:
    rows = [{"tokens": ["\xad", "Anna", "\u200b", "Roth", "\u200b"],
             "label": ["O", "B-PER", "I-PER", "I-PER", "O"]}]  # fmt: skip
    made = task(rows)
    encoded = made.features(rows, tokenizer("wordpiece"))
    (answer,) = made.decode(perfect(made, rows, encoded), encoded, rows)
    assert answer["tags"] == rows[0]["label"]
    assert answer["entities"][0]["text"] == "Anna \u200b Roth"


def test_words_that_share_a_token_share_its_entity() -> None:
    """A piece like 中国 is one token: the entity reaches to its end."""
    rows = [{"text": "在 中国 ", "label": [{"start": 2, "end": 4, "label": "LOC"}]}]
    made = task(rows)
    (part,) = encoded = made.features(rows, tokenizer("sentencepiece"))
    if part["_words"] != part["_last"]:
        assert part["_last"][part["_words"].index(1)] == 2
    assert bare(made, made.decode(perfect(made, rows, encoded), encoded, rows)) == made.gold(rows)


def test_what_was_cut_off_is_missed_and_flagged() -> None:
    rows = [{"tokens": ["Anna", *["left"] * 40, "Bern"], "label": ["B-PER", *["O"] * 40, "B-LOC"]}]
    made = task(rows, on_long="truncate")
    encoded = made.features(rows, tokenizer("wordpiece"))
    (answer,) = made.decode(perfect(made, rows, encoded), encoded, rows)
    assert answer["truncated"] is True
    assert answer["tags"] == ["B-PER", *["O"] * 41]
    assert len(made.gold(rows)[0]["entities"]) == 2
    with pytest.raises(InputError, match="tokens, a window holds 16"):
        task(rows, on_long="error").features(rows, tokenizer("wordpiece"))


def test_gold_keeps_what_tags_cannot_express(caplog: pytest.LogCaptureFixture) -> None:
    rows = [
        {"text": "Berlin Mitte ", "label": [{"start": 0, "end": 6, "label": "LOC"},
                                            {"start": 0, "end": 13, "label": "LOC"},
                                            {"start": 8, "end": 10, "label": "PER"},
                                            {"start": 6, "end": 7, "label": "PER"}],
         "document": "a"},
    ]  # fmt: skip
    made = task()
    with caplog.at_level(logging.INFO, "hfkit"):
        made.learn(rows)
        (gold,) = made.gold(rows)
        made.gold(rows)
    assert [(one["start"], one["end"]) for one in gold["entities"]] == [
        (0, 6), (0, 12), (6, 7), (8, 10),
    ]  # fmt: skip
    assert gold["document"] == "a"
    assert "tags" not in gold
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "entities that begin or end within a word, the whole of which is learnt: 1"
        " (the first in row 1)",
        "entities that hold no word and cannot be learnt: 1 (the first in row 1)",
        "entities that overlap with a longer one, which is learnt: 2 (the first in row 1)",
    ]


def test_the_scheme_and_its_violations_are_said(caplog: pytest.LogCaptureFixture) -> None:
    rows = [{"tokens": ["a", "b"], "label": tags} for tags in
            (["B-X", "I-X"], ["B-X", "O"], ["B-X", "I-X"], ["O", "I-X"])]  # fmt: skip
    with caplog.at_level(logging.INFO, "hfkit"):
        made = task(rows)
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "the tags are iob2 (entities begin with B-)",
        "tags that are not as iob2 has them: 1; an entity begins where one has no beginning",
    ]
    assert made.gold(rows)[3]["tags"] == ["O", "B-X"]


def test_mistakes_are_named_with_their_row() -> None:
    rows = [{"tokens": ["a"], "label": ["B-X"]}]
    with pytest.raises(RowError, match='entity type "Y" was not seen at training; known: "X"') as e:
        task(rows).gold([{"tokens": ["a"], "label": [tag]} for tag in ("O", "B-Y", "B-Z")])
    assert e.value.row == 1
    with pytest.raises(RowError, match='tag "X" has no prefix') as e:
        task([*rows, {"text": "b", "label": []}, {"tokens": ["a"], "label": ["X"]}])
    assert e.value.row == 2
    with pytest.raises(InputError, match="no row has an entity"):
        task([{"tokens": ["a"], "label": ["O"]}])
    with pytest.raises(RowError, match='tag "L-X" is not of the scheme iob2; it has B-, I- and O'):
        task([{"tokens": ["a"], "label": ["L-X"]}], scheme="iob2")


def test_entities_of_an_unknown_type_are_there_to_be_missed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rows = [{"tokens": ["a", "b"], "label": tags} for tags in (["B-X", "O"], ["B-X", "B-Y"])]
    made = task(rows[:1])
    with caplog.at_level(logging.WARNING, "hfkit"):
        gold = made.gold(rows)
    assert [len(one["entities"]) for one in gold] == [1, 2]
    assert caplog.records[0].getMessage() == (
        'entities of a type that was not seen at training: 1 ("Y"; the first in row 2);'
        ' they count as missed; known: "X"'
    )


class ByToken:
    """An engine without context: the output of a token is a row of a table."""

    def __init__(self, table: np.ndarray) -> None:
        self.table = table

    def run(self, batch: dict[str, Any]) -> dict[str, Any]:
        return {"logits": self.table[batch["input_ids"]].astype(np.float32)}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(given_texts=st.lists(texts, min_size=1, max_size=4), seed=st.integers(0, 5))
def test_answers_do_not_depend_on_windows_and_batches(
    kind: str, given_texts: list[str], seed: int
) -> None:
    table = np.random.default_rng(seed).normal(size=(500, 5))
    rows: list[Row] = [{"text": content} for content in given_texts]
    rows += [{"tokens": content.split(" ")} for content in given_texts]
    found = []
    for max_length, stride, batch_size in ((1000, None, 1), (8, None, 3), (12, 3, 8), (9, 0, 2)):
        made = task(stride=stride)
        made.restore({"id2label": dict(enumerate(["O", "B-X", "I-X", "B-Y", "I-Y"]))})
        predictor = Predictor(made, tokenizer(kind, max_length), ByToken(table), batch_size)
        found.append(predictor.predict(rows))
    assert all(one == found[0] for one in found)
    assert len(found[0]) == len(rows)


def test_the_end_of_a_long_document_is_read() -> None:
    filler = "the rain and the storm stop ; " * 2100
    content = filler + "Anna Roth lives in Bern"
    assert len(content) > 60_000
    made = task()
    made.restore({"id2label": dict(enumerate(["O", "B-PER", "I-PER"]))})
    reader = tokenizer("wordpiece", 128)
    table = np.tile([5.0, 0.0, 0.0], (500, 1))
    table[reader.backend.encode("anna", add_special_tokens=False).ids[0]] = [0.0, 5.0, 0.0]
    table[reader.backend.encode("roth", add_special_tokens=False).ids[0]] = [0.0, 0.0, 5.0]
    predictor = Predictor(made, reader, ByToken(table))
    for row in ({"text": content}, {"tokens": content.split(" ")}):
        (answer,) = predictor.predict([row])
        (entity,) = answer["entities"]
        assert entity["text"] == "Anna Roth" == content[entity["start"] : entity["end"]]
        assert entity["start"] == len(filler)
        assert "truncated" not in answer


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Write a random tagger over the toy words with the labels asked for."""
    import torch
    from toys import tiny_config, write_tokenizer
    from transformers import AutoModelForTokenClassification

    def make(labels: list[str], outside: float = 0.0) -> Path:
        folder = tmp_path_factory.mktemp("tagger")
        torch.manual_seed(1)
        config = tiny_config(
            "bert",
            initializer_range=0.6,
            num_labels=len(labels),
            id2label=dict(enumerate(labels)),
            label2id={label: number for number, label in enumerate(labels)},
        )
        model = AutoModelForTokenClassification.from_config(config)
        with torch.no_grad():
            model.classifier.bias[0] += outside
        model.save_pretrained(folder)
        return write_tokenizer(folder)

    return make


def of_pipeline(folder: Path, strategy: str, contents: list[str]) -> list[list[Row]]:
    from transformers import pipeline

    read = pipeline("token-classification", str(folder), aggregation_strategy=strategy)
    return [
        [
            {
                "label": one["entity_group"],
                "start": one["start"],
                "end": one["end"],
                "text": content[one["start"] : one["end"]],
                "score": pytest.approx(one["score"], abs=1e-5),
            }
            for one in entities
        ]
        for content, entities in zip(contents, read(contents, batch_size=16), strict=True)
    ]


def opened(folder: Path, **options: Any) -> Predictor:
    import json

    from transformers import AutoModelForTokenClassification

    from hfkit.infer.torch_engine import TorchEngine

    made = task(**options)
    made.restore(json.loads((folder / "config.json").read_text("utf-8")))
    model = AutoModelForTokenClassification.from_pretrained(folder)
    return Predictor(made, text.from_transformers(folder, 128), TorchEngine(model), 16)


def toy_texts(count: int, *, pieces: bool) -> list[str]:
    """Texts of toy words; with `pieces` also words of several tokens, and signs."""
    import random

    from toys import FILLERS, TOPICS

    chance = random.Random(0)
    words = [word for topic in TOPICS.values() for word in topic] + FILLERS
    if pieces:
        words += ["Raining", "don't", "3.5", "U.S.", "xyz,", "(old)"]
    return [" ".join(chance.choices(words, k=chance.randint(1, 9))) for _ in range(count)]


def test_short_texts_are_answered_as_by_transformers_pipeline(
    tagger: Callable[..., Path],
) -> None:
    folder = tagger(["O", "PER", "LOC"])  # without prefixes all readings of tags agree
    predictor = opened(folder)
    for strategy, pieces in (("first", True), ("simple", False)):
        contents = toy_texts(600, pieces=pieces)
        theirs = of_pipeline(folder, strategy, contents)
        ours = predictor.predict([{"text": content} for content in contents])
        assert [one["entities"] for one in ours] == theirs
        assert sum(map(len, theirs)) > 600


def test_tags_that_keep_to_their_scheme_are_read_as_by_transformers_pipeline(
    tagger: Callable[..., Path],
) -> None:
    from hfkit.spans import violations

    folder = tagger(["O", "B-PER", "I-PER", "B-LOC", "I-LOC"], 5.0)
    contents = toy_texts(600, pieces=False)
    raw = opened(folder, constrained=False)
    kept = [
        content
        for content in contents
        if not violations([raw.predict([{"tokens": content.split()}])[0]["tags"]], "iob2")
    ]
    assert len(kept) > 60
    ours = opened(folder).predict([{"text": content} for content in kept])
    assert [one["entities"] for one in ours] == of_pipeline(folder, "first", kept)


def test_labels_that_a_model_does_not_name() -> None:
    made = make_task("ner", {})
    made.restore({"num_labels": 3})
    assert made.labels == ["LABEL_0", "LABEL_1", "LABEL_2"]
    made.restore({"id2label": None})  # transformers leaves out what it would name itself
    assert made.labels == ["LABEL_0", "LABEL_1"]
    for wrong in (["O", "B-X"], 5, {"first": "O"}):
        with pytest.raises(InputError, match=r"config\.json: expected a name for each number"):
            made.restore({"id2label": wrong})
