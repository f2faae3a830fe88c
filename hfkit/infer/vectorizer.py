"""Texts in, vectors out: windows of long texts are averaged, then each vector is brought to length.

It answers rows as a `Predictor` does, so that the stream, with its order and its error rows, serves
both.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hfkit.errors import InputError
from hfkit.infer.flow import Answerer, Batch
from hfkit.infer.predictor import cut_batches, is_unpadded, tokens_of
from hfkit.tasks.collate import length_of
from hfkit.vectors import joined, normalized

if TYPE_CHECKING:
    from hfkit.infer.engine import Engine
    from hfkit.tasks.base import Answer, EncodedRow, Outputs, Row
    from hfkit.text import OnLong, Tokenizer

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Vectorizer(Answerer):
    """An encoder's tokenizer and engine; answers a row with the ``vector`` of its ``text``.

    ``truncated`` is said where a text was cut. `dimensions` keeps the first numbers of a vector
    only; `prompt` stands in front of each text, `prompts` are what the model wants there, by kind.
    """

    tokenizer: Tokenizer
    engine: Engine
    batch_size: int | None = None
    batch_tokens: int | None = None
    on_long: OnLong = "window"
    normalize: bool = True
    dimensions: int | None = None
    prompt: str = ""
    prompts: Mapping[str, str] = field(default_factory=dict)

    def of(self, kind: str, prompt: str | None = None) -> Vectorizer:
        """The same for texts of a kind ("query", "document", or "" for any), with this prompt, else
        with the model's own for them, which is said."""
        if prompt is None and self.prompts.get(kind):
            prompt = self.prompts[kind]
            log.info('each %s starts with "%s", as the model says', kind or "text", prompt)
        return replace(self, prompt=prompt or "")

    @property
    def token_outputs(self) -> Sequence[str]:
        """None: a vector belongs to a whole text."""
        return ()

    def encode(self, rows: Sequence[Row]) -> list[EncodedRow]:
        """The windows of each row's ``text``; ``_row`` tells whose they are."""
        texts = [self.prompt + row["text"] for row in rows]
        windows = self.tokenizer.encode(texts, on_long=self.on_long)
        return [{**part, "_row": number} for number, parts in enumerate(windows) for part in parts]

    def batches(self, encoded: Sequence[EncodedRow]) -> list[Batch]:
        """The batches that these windows are computed in."""
        tokens = self.batch_tokens or tokens_of(self.engine)
        unpadded = is_unpadded(self.engine)
        return cut_batches(encoded, self.batch_size, tokens, unpadded=unpadded)

    def decode(
        self, outputs: Sequence[Outputs], encoded: Sequence[EncodedRow], rows: Sequence[Row]
    ) -> list[Answer]:
        """Join the windows of each row. Raises `InputError` for more `dimensions` than there
        are."""
        whole = np.stack([output["embeddings"] for output in outputs])
        owner = np.array([part["_row"] for part in encoded])
        weights = np.array([length_of(part) for part in encoded], dtype=np.float64)
        vectors = joined(whole, owner, weights, len(rows))
        if self.dimensions is not None:
            if self.dimensions > vectors.shape[1]:
                problem = f"the model's vectors have {vectors.shape[1]} numbers"
                raise InputError(problem, place="--dimensions")
            vectors = vectors[:, : self.dimensions]
        if self.normalize:
            vectors = normalized(vectors)
        answers: list[Answer] = [{"vector": vector} for vector in vectors.astype(np.float32)]
        for part in encoded:
            if part.get("_truncated"):
                answers[part["_row"]]["truncated"] = True
        return answers

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The vectors of some texts, ``[texts, D]`` in float32."""
        found = [answer["vector"] for answer in self.predict([{"text": text} for text in texts])]
        return np.stack(found) if found else np.zeros((0, 0), dtype=np.float32)
