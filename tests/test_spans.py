"""Tag schemes: recognised, read strictly and leniently as seqeval does, converted, decoded."""

from __future__ import annotations

import itertools
import random
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys import SEQEVAL_SCHEMES

from hfkit.errors import RowError
from hfkit.spans import (
    LETTERS,
    SCHEMES,
    Scheme,
    Span,
    Transitions,
    convert,
    joined,
    lenient_spans,
    recognise,
    scheme_of_labels,
    split,
    strict_spans,
    tags_of,
    transitions,
    violations,
    viterbi,
)

TYPES = ["PER", "LOC", "JOB-TITLE", "B-SIDE"]


@st.composite
def spans(draw: st.DrawFn, most: int = 6) -> tuple[list[Span], int]:
    """Spans that do not overlap, and the number of words."""
    found, place = [], 0
    for _ in range(draw(st.integers(0, most))):
        start = place + draw(st.integers(0, 2))
        place = start + draw(st.integers(1, 4))
        found.append(Span(start, place, draw(st.sampled_from(TYPES))))
    return found, place + draw(st.integers(0, 2))


def random_tags(letters: str, chance: random.Random) -> list[str]:
    """Tags in any order, mostly against their scheme."""
    tags = ["O", *(f"{letter}-{label}" for letter in letters for label in ("X", "Y"))]
    return chance.choices(tags, k=chance.randint(1, 9))


@given(spans(), st.sampled_from([scheme for scheme in SCHEMES if scheme != "io"]))
def test_tags_and_spans_are_inverse_in_every_scheme(
    case: tuple[list[Span], int], scheme: Scheme
) -> None:
    found, length = case
    tags = tags_of(found, length, scheme)
    assert len(tags) == length
    assert violations([tags], scheme) == 0
    assert strict_spans(tags, scheme) == lenient_spans(tags) == found
    assert convert(convert(tags), scheme) == tags
    assert convert(tags) == tags_of(found, length, "iob2")


@given(st.sampled_from("BIESMLU"), st.text(min_size=1))
def test_a_conversion_touches_the_prefix_only(prefix: str, label: str) -> None:
    assert split(joined(prefix, label)) == (prefix, label)
    assert convert(["I-JOB-TITLE", "I-JOB-TITLE"], "iob2") == ["B-JOB-TITLE", "I-JOB-TITLE"]
    assert convert(["B-B-I", "I-B-I"], "bioes") == ["B-B-I", "E-B-I"]


@pytest.mark.parametrize(("scheme", "letters", "name"), SEQEVAL_SCHEMES)
def test_the_strict_reading_is_that_of_seqeval(scheme: Scheme, letters: str, name: str) -> None:
    import seqeval.scheme as oracle

    chance = random.Random(0)
    for _ in range(1500):
        tags = random_tags(letters, chance)
        theirs = oracle.Tokens(tags, getattr(oracle, name)).entities
        assert strict_spans(tags, scheme) == [Span(one.start, one.end, one.tag) for one in theirs]
        if scheme == "bioes":
            assert strict_spans([tag.replace("I-", "M-") for tag in tags], "bmes") == strict_spans(
                tags, "bioes"
            )


@pytest.mark.parametrize("letters", ["BI", "BIES", "I", "ES"])
def test_the_lenient_reading_is_seqevals_default(letters: str) -> None:
    from seqeval.metrics.sequence_labeling import get_entities

    chance = random.Random(1)
    for _ in range(1500):
        tags = random_tags(letters, chance)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = [Span(start, end + 1, label) for label, start, end in get_entities(tags)]
        assert lenient_spans(tags) == theirs


def test_the_field_s_trap() -> None:
    """What seqeval's default mode calls perfect is not what IOB2 says."""
    gold, predicted = ["B-PER", "I-PER"], ["I-PER", "I-PER"]
    assert lenient_spans(predicted) == lenient_spans(gold)
    assert strict_spans(predicted, "iob2") == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_schemes_are_recognised(scheme: Scheme) -> None:
    given = [
        tags_of([Span(0, 3, "PER"), Span(4, 5, "LOC"), Span(5, 6, "LOC")], 7, scheme),
        tags_of([Span(1, 2, "LOC")], 3, scheme),
        ["O"],
    ]
    found = recognise(given)
    assert (found.scheme, found.violations) == (scheme, 0)
    labels = sorted({tag for tags in given for tag in tags})
    assert scheme_of_labels(labels) == scheme


def test_violations_are_counted() -> None:
    assert recognise([["B-X", "I-X", "O"], ["I-X"], ["O", "I-Y"], ["B-X", "O", "B-Y"]]) == (
        "iob2", "entities begin with B-", 2,
    )  # fmt: skip
    assert recognise([["B-X", "O"], ["E-X", "S-X"]])[::2] == ("bioes", 2)
    assert recognise([["I-X"], ["B-X", "I-X"], ["B-X", "I-X"]], "iob1")[::2] == ("iob1", 2)
    assert recognise([["O", "O"]]) == ("iob2", "no word is in an entity", 0)


@pytest.mark.parametrize(
    ("sequences", "row", "message"),
    [
        ([["O"], ["B-X", "X"], ["X"]], 1, 'tag "X" has no prefix, others have \\(2 rows\\)'),
        ([["B-X", "M-X"], ["L-X"]], 1, 'tag "L-X" is of no known scheme: prefixes B, L, M'),
        ([["O", ""]], 0, 'tag "" is no tag'),
        ([["O"], ["O", None]], 1, "tag None is no tag"),
        ([["B-"]], 0, 'tag "B-" is no tag'),
        ([["b-per", "i-per"]], 0, "small prefix"),
        ([["PER-B", "O"]], 0, "prefix at the end"),
    ],
)
def test_what_is_of_no_scheme_is_named(sequences: list[list[str]], row: int, message: str) -> None:
    with pytest.raises(RowError, match=message) as caught:
        recognise(sequences)
    assert caught.value.row == row
    assert caught.value.hint


def test_a_scheme_that_was_given_is_checked() -> None:
    with pytest.raises(RowError, match='tag "E-X" is not of the scheme iob2'):
        recognise([["B-X", "E-X"]], "iob2")
    with pytest.raises(RowError, match='tag "X" is not of the scheme bilou'):
        recognise([["X"]], "bilou")


def best_by_trying(scores: np.ndarray, allowed: Transitions) -> float:
    """The score of the best allowed path, by trying all of them."""
    best = -np.inf
    for path in itertools.product(range(scores.shape[1]), repeat=len(scores)):
        pairs = itertools.pairwise(path)
        if (
            allowed.first[path[0]]
            and allowed.last[path[-1]]
            and all(allowed.between[one, two] for one, two in pairs)
        ):
            best = max(best, sum(scores[place, label] for place, label in enumerate(path)))
    return float(best)


@pytest.mark.parametrize("scheme", ["iob1", "iob2", "bioes", "bilou"])
def test_viterbi_finds_the_best_path_that_is_allowed(scheme: Scheme) -> None:
    labels = ["O", *(f"{letter}-X" for letter in LETTERS[scheme]), "B-Y"]
    allowed = transitions(labels, scheme)
    chance = np.random.default_rng(0)
    for _ in range(300):
        scores = chance.normal(size=(chance.integers(1, 5), len(labels)))
        path = viterbi(scores, allowed)
        tags = [labels[number] for number in path]
        assert violations([tags], scheme) == 0
        found = float(scores[np.arange(len(path)), path].sum())
        assert found == pytest.approx(best_by_trying(scores, allowed))
        assert strict_spans(tags, scheme) == lenient_spans(tags)


def test_viterbi_without_words_or_without_a_way() -> None:
    allowed = transitions(["O", "B-X", "I-X"], "iob2")
    assert viterbi(np.zeros((0, 3)), allowed).tolist() == []
    nowhere = transitions(["B-X", "I-X"], "bioes")  # no E-X: nothing that begins ever ends
    assert viterbi(np.array([[0.0, 1.0]]), nowhere).tolist() == [1]
