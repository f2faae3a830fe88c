"""Hiding tokens, so that a model learns to find them: what BERT is trained on.

Of the tokens of a text some are chosen, 15 % as a rule. Eight of ten of them are replaced by the
mask, one by any token, and one is left as it is: otherwise the model would only ever read a text
that has masks in it (Devlin et al., NAACL 2019).

What is chosen is a function of the tokens and a key, and of nothing else. The key is (seed, epoch,
row) in training, so that each epoch hides other tokens; in an evaluation it is made of the tokens
themselves, so that the same text is always asked about the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

from hfkit.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hfkit.text import Tokenizer

MASKED, REPLACED = 0.8, 0.1  # of what is chosen; the rest stays
MASK = "[MASK]"  # what people write, whatever the model's own mask is called
INSIDE = "##"  # in front of a piece inside a word
SPACES = ("\u0120", "\u2581")  # in front of a piece that begins a word, in other vocabularies
NONE_HIDDEN = {"masked": 0, "found": 0, "loss": 0.0}
SCORED = 0xFFFFFFFF  # stands for the epoch where a text is scored


class Vocabulary:
    """What masking knows of a tokenizer, all by the number of the token.

    `fixed`: special, and never chosen. `inside`: goes on with the word of the token before. `plain`
    are the tokens that may stand in place of any other. Raises `InputError` for a tokenizer that
    has no mask.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        import numpy as np

        if tokenizer.mask_id is None:
            raise InputError(
                "it has no mask, so no word can be hidden",
                place="the model's tokenizer",
                hint="take an encoder such as BERT or RoBERTa",
            )
        tokens = tokenizer.vocabulary()
        size = max(tokens.values()) + 1
        self.mask_id = tokenizer.mask_id
        self.mask = next((t for t, number in tokens.items() if number == self.mask_id), "")
        self.fixed = np.zeros(size, dtype=bool)
        self.fixed[[number for number in tokenizer.special_ids() if number < size]] = True
        self.inside = np.zeros(size, dtype=bool)
        self.inside[[number for token, number in tokens.items() if token.startswith(INSIDE)]] = True
        if not self.inside.any() and any(token.startswith(SPACES) for token in tokens):
            inner = [number for token, number in tokens.items() if not token.startswith(SPACES)]
            self.inside[inner] = True
        known = np.zeros(size, dtype=bool)
        known[list(tokens.values())] = True
        self.plain = np.flatnonzero(known & ~self.fixed)


class Hidden(NamedTuple):
    """Tokens as the model reads them, which of them it is asked for, and what stood there."""

    ids: list[int]
    places: list[int]
    answers: list[int]


def hide(
    ids: Sequence[int],
    key: Sequence[int],
    vocabulary: Vocabulary,
    *,
    rate: float,
    whole_words: bool = False,
) -> Hidden:
    """Choose a share of the tokens, at least one, and hide them.

    With `whole_words` all pieces of a word are chosen together, as many words as fit into the
    share. A text of special tokens alone has nothing to hide.
    """
    import numpy as np

    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence(list(key))))
    tokens = np.array(ids, dtype=np.int64)
    free = np.flatnonzero(~vocabulary.fixed[tokens])
    if not len(free):
        return Hidden(list(ids), [], [])
    count = max(1, round(rate * len(free)))
    if whole_words:
        chosen = _words(tokens, free, count, vocabulary, generator)
    else:
        chosen = np.sort(generator.choice(free, size=count, replace=False))
    answers = tokens[chosen]
    fate = generator.random(len(chosen))
    others = generator.choice(vocabulary.plain, size=len(chosen))
    tokens[chosen] = np.where(
        fate < MASKED,
        vocabulary.mask_id,
        np.where(fate < MASKED + REPLACED, others, answers),
    )
    return Hidden(tokens.tolist(), chosen.tolist(), answers.tolist())


def _words(
    tokens: NDArray[Any],
    free: NDArray[Any],
    count: int,
    vocabulary: Vocabulary,
    generator: np.random.Generator,
) -> NDArray[Any]:
    """The places of whole words, drawn until no further one fits into `count`; of words that are
    all too long the shortest."""
    import numpy as np

    goes_on = vocabulary.inside[tokens[free]] & (np.diff(free, prepend=-2) == 1)
    words = np.split(free, np.flatnonzero(~goes_on)[1:])
    chosen: list[Any] = []
    left = count
    for number in generator.permutation(len(words)):
        if len(words[number]) <= left:
            chosen.append(words[number])
            left -= len(words[number])
        if not left:
            break
    return np.sort(np.concatenate(chosen or [min(words, key=len)]))


def key_of(ids: Sequence[int]) -> tuple[int, int]:
    """The key of a text that is scored: the same for the same tokens.

    >>> key_of([5, 7]) == key_of([5, 7]), key_of([5, 7]) == key_of([7, 5])
    (True, False)
    """
    return SCORED, crc32(" ".join(map(str, ids)).encode())


def count_found(
    answer: dict[str, Any], output: Mapping[str, NDArray[Any]], expected: Sequence[int]
) -> None:
    """Add the hidden words of an encoded row to what `answer` says of its row, as `NONE_HIDDEN`
    begins: how many there are, how many were found, and the sum of their losses."""
    count = len(expected)
    answer["masked"] += count
    answer["found"] += int((output["best_ids"][:count, 0] == expected).sum())
    answer["loss"] -= float(output["answered"][:count].astype(float).sum())


def best_words(
    ids: NDArray[Any], scores: NDArray[Any], text_of: Callable[[list[int]], str]
) -> list[list[dict[str, Any]]]:
    """For each mask its best tokens ``[masks, K]``, as words with their probabilities, from their
    log-probabilities."""
    import numpy as np

    return [
        [
            {"token": text_of([int(token)]).strip(), "score": float(score)}
            for token, score in zip(tokens, np.exp(likely.astype(float)), strict=True)
        ]
        for tokens, likely in zip(ids, scores, strict=True)
    ]


def filled(text: str, mask: str, words: Sequence[str]) -> str:
    """A text with a word in the place of each mask; a piece of a word goes on with the one before.

    >>> filled("The [MASK] is [MASK].", "[MASK]", ["sky", "blue"])
    'The sky is blue.'
    """
    before, *rest = text.replace(MASK, mask).split(mask)
    for word, after in zip(words, rest, strict=True):
        inside = word.startswith(INSIDE)
        before = (before.rstrip() if inside else before) + word.removeprefix(INSIDE) + after
    return before
