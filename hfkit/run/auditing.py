"""Probabilities of the labels of rows, each row judged by what was fitted on the others.

    rows ─ encoder ─▶ vectors ─ folds ─▶ regression on the others ─▶ probabilities

Equal texts share a fold, and so do the words of a text: else a model would have seen what it
judges.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hfkit.config.report import AuditConfig
from hfkit.data.checks.texts import joined_texts
from hfkit.data.dataset import Dataset
from hfkit.data.rows import keys_of
from hfkit.errors import InputError
from hfkit.processor import without_buffers

if TYPE_CHECKING:
    from hfkit.tasks.base import Task

log = logging.getLogger(__name__)

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]
Folds = list[tuple[Integers, Integers]]  # rows to fit on, rows to judge
AT_ONCE = 256  # texts whose tokens are computed before their states are thinned to words
STEPS = 2000  # of the solver, at most
# Strengths of the prior. What fits every label has learnt the wrong ones too; of these the one is
# taken that gives the labels of rows it has not seen the largest probability.
PRIORS = (0.003, 0.01, 0.03)


class Words(NamedTuple):
    """Words of texts: their vectors, the number of the tag each was given, and which word of which
    row it is."""

    vectors: Floats
    tags: Integers
    rows: Integers
    places: Integers


def text_vectors(config: AuditConfig, data: Dataset) -> Floats:
    """A vector for each row, from those of its texts: of two also how they differ."""
    from hfkit.run.embedding import vectorizer_of

    vectorizer = vectorizer_of(config)
    parts = [
        vectorizer.vectors([str(row[role]) for row in data.rows]).astype(np.float64)
        for role in ("text", "text_pair")
        if role in data.rows[0]
    ]
    if len(parts) == 2:
        parts.append(np.abs(parts[0] - parts[1]))
    return np.hstack(parts)


def word_vectors(config: AuditConfig, data: Dataset, task: Task[Any]) -> Words:
    """A vector for each word of each row: that of the token by which the task knows it."""
    from hfkit.infer.token_states import TokenStates
    from hfkit.model.facts import describe
    from hfkit.model.locate import locate
    from hfkit.run.engines import Wanted, open_engine
    from hfkit.run.opening import checked_length, load_tokenizer

    name = config.model or ""
    without_buffers()
    located = locate(name, offline=config.offline, code=config.allow_remote_code)
    facts = describe(located.folder, code=located.code)
    longest = checked_length(config.max_length, facts.max_length)
    tokenizer = load_tokenizer(located, longest, of_run=False)
    wanted = Wanted(located.folder, "AutoModel", None, config.device, name, code=located.code)
    states = TokenStates(
        task, tokenizer, open_engine(wanted, config), config.batch_size, config.batch_tokens
    )
    found: list[Any] = []
    where: list[tuple[int, int, int]] = []
    for start in range(0, len(data.rows), AT_ONCE):
        some = data.rows[start : start + AT_ONCE]
        encoded = task.features(some, tokenizer)
        task.targets(some, encoded)
        for part, output in zip(encoded, states.run(encoded), strict=True):
            for place, tag in enumerate(part["labels"]):
                if tag >= 0:  # the first token of a word, in the window it is read from
                    found.append(output["last_hidden_state"][place])
                    where.append((tag, start + part["_row"], part["_words"][place]))
    tags, rows, places = np.array(where, dtype=np.intp).T
    return Words(np.array(found, dtype=np.float64), tags, rows, places)


def groups_of(data: Dataset) -> Integers:
    """A number for each row, the same for equal texts."""
    numbers: dict[bytes, int] = {}
    keys = keys_of(map(joined_texts, data.rows))
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.intp)


def out_of_fold(
    vectors: Floats, given: Integers, groups: Integers, classes: int, config: AuditConfig
) -> Floats:
    """The probability of each class for each row, ``[rows, classes]``, by logistic regressions that
    were fitted on the other folds. Raises `InputError` for fewer texts than folds."""
    parts = folds(given, groups, config.folds, config.seed)
    found = [_judged(vectors, given, parts, classes, prior) for prior in PRIORS]
    return min(found, key=lambda chances: _surprise(chances, given))


def _judged(vectors: Floats, given: Integers, parts: Folds, classes: int, prior: float) -> Floats:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    chances = np.zeros((len(given), classes))
    for train, held_out in parts:
        known = np.unique(given[train])
        if len(known) == 1:
            chances[held_out, known[0]] = 1.0
            continue
        scaler = StandardScaler().fit(vectors[train])
        model = LogisticRegression(C=prior, max_iter=STEPS)
        model.fit(scaler.transform(vectors[train]), given[train])
        chances[np.ix_(held_out, known)] = model.predict_proba(scaler.transform(vectors[held_out]))
    return chances


def _surprise(chances: Floats, given: Integers) -> float:
    """The mean negative log-probability of the labels that were given."""
    own = chances[np.arange(len(given)), given]
    return float(-np.log(own.clip(1e-12)).mean())


def folds(given: Sequence[int] | Integers, groups: Integers, count: int, seed: int) -> Folds:
    """The rows to fit on and those to judge, for each fold: labels in proportion, groups whole."""
    import warnings

    from sklearn.model_selection import StratifiedGroupKFold

    if len(np.unique(groups)) < count:
        raise InputError(
            f"{len(np.unique(groups))} different texts are too few for {count} folds",
            place="--folds",
        )
    cut = StratifiedGroupKFold(n_splits=count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a class with fewer rows than folds: some have none of it
        return list(cut.split(np.zeros(len(given)), given, groups))
