"""Which words an answer came from: the number that stands for it, attributed to tokens and words.

    classification   the logit of the label (or the number)
    ner              for each entity, the mean of the logits of its tags
    qa               the score of the span: the logits of its start and of its end
    similarity       the cosine, once for each text with the other one as it is; of a cross-encoder
                     its logit

By integrated gradients, or by occlusion: how much lower the number is with a word masked. The one
needs torch, the other only answers, and so works with every engine.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hfkit.config.explain import EXPLAINED
from hfkit.errors import InputError, did_you_mean
from hfkit.tasks.collate import collate
from hfkit.words import find_words

if TYPE_CHECKING:
    from hfkit.infer.predictor import Predictor
    from hfkit.model.attributions import Attributed, Number
    from hfkit.tasks.base import Answer, EncodedRow, Row

log = logging.getLogger(__name__)


class Word(NamedTuple):
    """A word of the text of a `role`, in characters, with the tokens that it is made of."""

    role: str
    text: str
    start: int
    end: int
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class Asked:
    """A number to explain: `what` it stands for, as what `measure` of it, the row that it is a
    number of, and the row's words."""

    what: str
    measure: str
    row: EncodedRow
    words: list[Word]
    number: Number


@dataclass(frozen=True)
class Explanation:
    """How much each word adds to a number. `error` is the share of the difference that the words
    and the other tokens do not sum up to; None for occlusion, which promises no sum."""

    what: str
    measure: str
    method: str
    value: float
    baseline: float
    words: list[Word]
    amounts: list[float]
    tokens: list[tuple[str, float]] = field(default_factory=list)
    steps: int | None = None
    error: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        pairs = zip(self.words, self.amounts, strict=True)
        return {
            "what": self.what,
            "measure": self.measure,
            "method": self.method,
            "value": self.value,
            "baseline": self.baseline,
            "steps": self.steps,
            "relative_error": self.error,
            "words": [
                {"role": word.role, "text": word.text, "start": word.start, "end": word.end,
                 "attribution": amount}
                for word, amount in pairs
            ],
            "tokens": [{"token": token, "attribution": amount} for token, amount in self.tokens],
        }  # fmt: skip


def asked(
    predictor: Predictor, task: str, row: Row, label: str | None
) -> tuple[Answer, list[Asked]]:
    """Answer a row, and find the numbers that stand for the answer.

    `label` names another label than the chosen one, or the type of entities to explain. Raises
    `InputError` for a task that is not explained and for a label that it does not know.
    """
    if task not in EXPLAINED:
        raise InputError(f"{task} is not explained", hint="one of " + ", ".join(EXPLAINED))
    row = _fitting(predictor, row)
    answer = predictor.predict([row])[0]
    encoded = predictor.encode([row])
    found: list[Asked]
    if task == "classification":
        found = [_of_label(predictor, row, encoded[0], answer, label)]
    elif task == "ner":
        found = _of_entities(predictor, row, encoded[0], answer, label)
    elif task == "qa":
        found = [_of_span(predictor, row, encoded[0], answer)]
    else:
        found = _of_likeness(predictor, row, encoded)
    return answer, found


def _fitting(predictor: Predictor, row: Row) -> Row:
    """The row with its longest texts cut until all is in one window, which is said."""
    roles = [name for name in ("context", "text", "text_pair") if name in row]
    short = row
    while not _is_one_window(predictor, short):
        role = max(roles, key=lambda name: len(short[name]))
        if not short[role]:
            raise InputError("the question alone is longer than a window", place="--question")
        short = {**short, role: short[role][: int(len(short[role]) * 0.8)].rstrip()}
    cut = [f"{len(short[role])} characters of {role}" for role in roles if short[role] != row[role]]
    if cut:
        log.warning("longer than a window: the first %s are explained", " and ".join(cut))
    return short


def _is_one_window(predictor: Predictor, row: Row) -> bool:
    """Whether the model reads a row at once and whole; of vectors, each of its texts."""
    encoded = predictor.encode([row])
    sides = len({part.get("side") for part in encoded})
    return len(encoded) == sides and not any(part.get("_truncated") for part in encoded)


def _of_label(
    predictor: Predictor, row: Row, encoded: EncodedRow, answer: Answer, label: str | None
) -> Asked:
    labels = predictor.task.labels
    words = words_of(predictor, row, encoded)
    if not labels:
        return Asked("value", "number", encoded, words, lambda outputs: outputs["logits"][:, 0])
    scores = answer["scores"]
    chosen = answer.get("label") or max(scores, key=lambda name: scores[name])
    wanted = chosen if label is None else label
    if wanted not in labels:
        raise InputError(f'no label "{wanted}"', place="--label", hint=did_you_mean(wanted, labels))
    place = labels.index(wanted)
    return Asked(f'label "{wanted}"', "logit", encoded, words, lambda out: out["logits"][:, place])


def _of_entities(
    predictor: Predictor, row: Row, encoded: EncodedRow, answer: Answer, label: str | None
) -> list[Asked]:
    words = words_of(predictor, row, encoded)
    labels, found = predictor.task.labels, []
    numbers = {name: number for number, name in enumerate(labels)}
    first_token = {number: token for token, number in reversed(list(enumerate(encoded["_words"])))}
    for entity in answer["entities"]:
        if label is not None and entity["label"] != label:
            continue
        inside = [
            number
            for number, (start, end) in enumerate(find_words(row["text"]))
            if start < entity["end"] and end > entity["start"] and number in first_token
        ]
        places = [
            (first_token[number], numbers[answer["tags"][number]])
            for number in inside
            if answer["tags"][number] in numbers
        ]
        if not places:
            continue

        def number(outputs: Mapping[str, Any], places: Sequence[Any] = tuple(places)) -> Any:
            return sum(outputs["logits"][:, token, tag] for token, tag in places) / len(places)

        what = f'{entity["label"]} "{entity["text"]}"'
        found.append(Asked(what, "mean logit of its tags", encoded, words, number))
    if not found:
        raise _nothing_found(answer, labels, label)
    return found


def _nothing_found(answer: Answer, labels: Sequence[str], label: str | None) -> InputError:
    """What to say where there is no entity to explain, with a way on."""
    types = sorted({name.partition("-")[2] for name in labels if "-" in name})
    if label is None:
        hint = f"take a text in which the model finds one of {', '.join(types)}"
        return InputError("no entity was found, so there is nothing to explain", hint=hint)
    found = sorted({entity["label"] for entity in answer["entities"]})
    hint = f"leave it out to explain {', '.join(found)}" if found else ""
    if label not in types:
        hint = did_you_mean(label, types)
    what = f"no entity of type {label} was found, so there is nothing to explain"
    return InputError(what, place="--label", hint=hint)


def _of_span(predictor: Predictor, row: Row, encoded: EncodedRow, answer: Answer) -> Asked:
    from hfkit.nbest import tokens_of

    start, end = answer["start"], answer["end"]
    place = None if start is None else tokens_of(encoded["_starts"], encoded["_ends"], start, end)
    first, last = place or (encoded["_null"], encoded["_null"])
    what = f'answer "{answer["answer"]}"' if place else "no answer"
    measure = "logits of its start and end" if place else "logits of the first token"
    words = words_of(predictor, row, encoded)
    return Asked(
        what, measure, encoded, words,
        lambda out: out["start_logits"][:, first] + out["end_logits"][:, last],
    )  # fmt: skip


def _of_likeness(predictor: Predictor, row: Row, encoded: Sequence[EncodedRow]) -> list[Asked]:
    from hfkit.vectors import normalized

    if "side" not in encoded[0]:
        words = words_of(predictor, row, encoded[0])
        return [Asked("likeness", "logit", encoded[0], words, lambda out: out["logits"][:, 0])]
    vectors = [output["embeddings"] for output in predictor.run(encoded)]
    units = normalized(np.stack(vectors).astype(np.float64))
    found = []
    for part, other, role in zip(encoded[:2], units[1::-1], ("text", "text_pair"), strict=True):

        def number(outputs: Mapping[str, Any], other: Any = other) -> Any:
            given = outputs["embeddings"]
            unit = given.new_tensor(other) if hasattr(given, "new_tensor") else other
            return (given @ unit) / (given**2).sum(-1) ** 0.5

        words = words_of(predictor, {role: row[role]}, part)
        found.append(Asked(f"likeness, by the words of {role}", "cosine", part, words, number))
    return found


def words_of(predictor: Predictor, row: Row, encoded: EncodedRow) -> list[Word]:
    """The words of the texts of a row, with the tokens each is made of.

    Raises `InputError` for a tokenizer that does not tell where its tokens stand.
    """
    roles = [name for name in ("question", "context", "text", "text_pair") if name in row]
    texts = [row[role].strip() if role == "question" else row[role] for role in roles]
    backend = predictor.tokenizer.backend
    try:
        found = backend.encode(texts[0], texts[1] if len(texts) > 1 else None)
        ids, offsets, sides = found.ids, found.offsets, found.sequence_ids
    except (AttributeError, TypeError) as error:
        raise InputError("this tokenizer does not say where its tokens stand in a text") from error
    if list(ids) != list(encoded["input_ids"]):
        raise InputError("the tokens of this text cannot be found in it again")
    words = []
    for side, (role, text) in enumerate(zip(roles, texts, strict=True)):
        own = [(token, place) for token, place in enumerate(offsets) if sides[token] == side]
        taken: set[int] = set()
        for start, end in find_words(text):
            tokens = tuple(
                token for token, (first, last) in own
                if token not in taken and first < end and last > start
            )  # fmt: skip
            taken.update(tokens)
            words.append(Word(role, text[start:end], start, end, tokens))
    return words


def masked_ids(predictor: Predictor, one: Asked) -> list[int]:
    """The tokens of a row with all its words masked; special tokens stay."""
    ids, stands_for = list(one.row["input_ids"]), _mask(predictor)
    for word in one.words:
        for token in word.tokens:
            ids[token] = stands_for
    return ids


def _mask(predictor: Predictor) -> int:
    """The token that stands for a word that is not there; padding where there is no mask."""
    found = predictor.tokenizer.mask_id
    return predictor.tokenizer.padding["input_ids"] if found is None else found


def by_gradients(predictor: Predictor, model: Any, one: Asked) -> Explanation:
    """Explain by integrated gradients; `model` is the one that the predictor asks."""
    from hfkit.model.attributions import integrated_gradients

    inputs = model_inputs(predictor, model, one.row)
    masked = np.array([masked_ids(predictor, one)], dtype=np.int64)
    found = integrated_gradients(model, inputs, masked, one.number)
    amounts = [float(sum(found.tokens[token] for token in word.tokens)) for word in one.words]
    return _explanation(predictor, one, amounts, found)


def _explanation(
    predictor: Predictor, one: Asked, amounts: list[float], found: Attributed
) -> Explanation:
    names = token_names(predictor, one.row["input_ids"])
    return Explanation(
        one.what,
        one.measure,
        "integrated gradients",
        found.value,
        found.baseline,
        one.words,
        amounts,
        list(zip(names, found.tokens.tolist(), strict=True)),
        found.steps,
        found.error,
    )


def by_occlusion(predictor: Predictor, one: Asked) -> Explanation:
    """Explain by masking each word: how much lower the number then is."""
    stands_for, ids = _mask(predictor), one.row["input_ids"]
    variants = [one.row, {**one.row, "input_ids": masked_ids(predictor, one)}]
    for word in one.words:
        hidden = dict.fromkeys(word.tokens, stands_for)
        changed = [hidden.get(token, number) for token, number in enumerate(ids)]
        variants.append({**one.row, "input_ids": changed})
    outputs = predictor.run(variants)
    stacked = {name: np.stack([output[name] for output in outputs]) for name in outputs[0]}
    numbers = np.asarray(one.number(stacked), dtype=np.float64)
    amounts = (numbers[0] - numbers[2:]).tolist()
    return Explanation(
        one.what, one.measure, "occlusion", float(numbers[0]), float(numbers[1]), one.words, amounts
    )


def model_inputs(predictor: Predictor, model: Any, row: EncodedRow) -> dict[str, Any]:
    """The arrays of one row that the model reads."""
    import inspect

    known = inspect.signature(model.forward).parameters
    batch = collate([row], predictor.tokenizer.padding)
    return {name: array for name, array in batch.items() if name in known}


def token_names(predictor: Predictor, ids: Sequence[int]) -> list[str]:
    """The texts of tokens, as the vocabulary has them."""
    names = {number: token for token, number in predictor.tokenizer.vocabulary().items()}
    return [names.get(number, str(number)) for number in ids]
