"""Texts in, vectors out: windows of long texts are averaged, then each vector is brought to length.

It answers rows as a `Predictor` does, so that the stream, with its order and its error rows, serves
both.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hfkit.errors import InputError
from hfkit.infer.predictor import cut_batches, run_batches, tokens_of
from hfkit.tasks.collate import length_of
from hfkit.vectors import joined, normalized

if TYPE_CHECKING:
    from hfkit.infer.engine import Engine
    from hfkit.tasks.base import Answer, Row
    from hfkit.text import OnLong, Tokenizer

log = logging.getLogger(__name__)

AT_ONCE = 1024  # texts


@dataclass(frozen=True)
class Vectorizer:
    """An encoder's tokenizer and engine. `dimensions` keeps the first numbers of a vector only;
    `prompt` stands in front of each text, `prompts` are what the model wants there, by kind."""

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

    def predict(self, rows: Sequence[Row]) -> list[Answer]:
        """Answer each row with the ``vector`` of its ``text``; ``truncated`` where it was cut."""
        answers: list[Answer] = []
        for start in range(0, len(rows), AT_ONCE):
            part = [row["text"] for row in rows[start : start + AT_ONCE]]
            vectors, cut = self._computed(part)
            for number, vector in enumerate(vectors):
                answers.append({"vector": vector, **({"truncated": True} if cut[number] else {})})
        return answers

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The vectors of some texts, ``[texts, D]`` in float32."""
        found = [answer["vector"] for answer in self.predict([{"text": text} for text in texts])]
        return np.stack(found) if found else np.zeros((0, 0), dtype=np.float32)

    def _computed(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], list[bool]]:
        """Vectors, and whether each text was cut. Raises `InputError` as the engine's outputs are
        not finite, and for more `dimensions` than there are."""
        windows = self.tokenizer.encode(
            [self.prompt + text for text in texts], on_long=self.on_long
        )
        encoded = [part for parts in windows for part in parts]
        owner = np.repeat(np.arange(len(texts)), [len(parts) for parts in windows])
        found: dict[int, NDArray[Any]] = {}
        tokens = self.batch_tokens or tokens_of(self.engine)
        batches = cut_batches(encoded, self.batch_size, tokens)
        results = run_batches(self.engine, encoded, batches, self.tokenizer.padding)
        for batch, outputs in zip(batches, results, strict=True):
            found.update(zip(batch, outputs["embeddings"], strict=True))
        whole = np.stack([found[number] for number in range(len(encoded))])
        if not np.isfinite(whole).all():
            raise InputError("the model's vectors are not finite numbers")
        weights = np.array([length_of(part) for part in encoded], dtype=np.float64)
        vectors = joined(whole, owner, weights, len(texts))
        if self.dimensions is not None:
            if self.dimensions > vectors.shape[1]:
                problem = f"the model's vectors have {vectors.shape[1]} numbers"
                raise InputError(problem, place="--dimensions")
            vectors = vectors[:, : self.dimensions]
        if self.normalize:
            vectors = normalized(vectors)
        cut = [any(part.get("_truncated") for part in parts) for parts in windows]
        return vectors.astype(np.float32), cut
