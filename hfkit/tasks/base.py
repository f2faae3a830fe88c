"""The contract of a task: what goes in, what comes out, and what lies between as plain data.

    rows ── features ──▶ encoded rows ── collate ──▶ batch ── model ──▶ outputs
    outputs ── decode ──▶ answers
    rows ── targets ───▶ encoded rows with what the loss needs (training only)
    rows ── gold ──────▶ answers (evaluation only)

A *row* maps the roles of `columns` to values. One row may become several *encoded rows* (windows of
a long text, say); an encoded row carries the number of its row under ``_row``, and `decode` joins
them. Keys that start with ``_`` never reach the model. `decode` and `gold` speak the same language,
so a metric sees answers only, never logits.

A task imports neither torch nor transformers; NumPy is imported inside methods.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from hfkit.tasks.options import NoOptions

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydantic import BaseModel

    from hfkit.text import Tokenizer

Row = dict[str, Any]
EncodedRow = dict[str, Any]
Answer = dict[str, Any]
Outputs = dict[str, "NDArray[Any]"]

O = TypeVar("O", bound="BaseModel")


class Task(ABC, Generic[O]):
    """One task. The first line of a subclass's docstring is what `hfkit tasks` shows."""

    columns: ClassVar[Mapping[str, str]]  # role -> what it holds; "label?" may be absent
    auto_class: ClassVar[str]  # "AutoModelForSequenceClassification", or "module:Class"
    Options: ClassVar[type[BaseModel]] = NoOptions
    token_outputs: ClassVar[tuple[str, ...]] = ()  # outputs with one entry per token of the row

    def __init__(self, options: O) -> None:
        self.options = options
        self.labels: list[str] = []  # what the head tells apart, in the order of its outputs

    @property
    @abstractmethod
    def metric(self) -> str:
        """Name of the metric in the registry that scores this task."""

    @property
    @abstractmethod
    def best(self) -> str:
        """Score that picks the checkpoint: ``"accuracy"``; ``"-loss"`` where lower is better."""

    @property
    @abstractmethod
    def loss(self) -> str:
        """Name of the loss in train/losses.py; a plug-in may name ``module:function``."""

    @property
    def loss_options(self) -> Mapping[str, float]:
        """Keyword arguments of the loss."""
        return {}

    @abstractmethod
    def learn(self, rows: Sequence[Row]) -> None:
        """Fix what depends on the training rows: the labels, the kind of problem, class weights."""

    @abstractmethod
    def head(self) -> dict[str, Any]:
        """Entries for config.json that describe the head: num_labels, id2label, label2id, …"""

    @abstractmethod
    def restore(self, model_config: Mapping[str, Any]) -> None:
        """The inverse of `head`: take labels and problem from a model's config.json."""

    @abstractmethod
    def features(self, rows: Sequence[Row], tokenizer: Tokenizer) -> list[EncodedRow]:
        """Encode rows. Each encoded row holds ``input_ids`` (list of int), what else the model
        reads, and ``_row``: the index in `rows` it belongs to."""

    @abstractmethod
    def targets(self, rows: Sequence[Row], encoded: Sequence[EncodedRow]) -> None:
        """Add to each encoded row what the loss needs (``labels``, ``loss_weight``)."""

    @abstractmethod
    def decode(
        self, outputs: Sequence[Outputs], encoded: Sequence[EncodedRow], rows: Sequence[Row]
    ) -> list[Answer]:
        """One answer per row. `outputs` has one mapping per encoded row, padding removed."""

    def brief(self, answer: Answer) -> Answer:
        """The answer as it is shown unless all scores are asked for."""
        return answer

    @abstractmethod
    def gold(self, rows: Sequence[Row]) -> list[Answer]:
        """The right answers, in the form `decode` gives. Raises `RowError` for a label that the
        model does not know."""
