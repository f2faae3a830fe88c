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
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

from hfkit.tasks.options import NoOptions

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from pydantic import BaseModel

    from hfkit.text import Tokenizer

Row = dict[str, Any]
EncodedRow = dict[str, Any]
Answer = dict[str, Any]
Outputs = dict[str, "NDArray[Any]"]
LabelKind = Literal["labels", "entities", "answers", "scores", "texts", "none"]

O = TypeVar("O", bound="BaseModel")


class Task(ABC, Generic[O]):
    """One task. The first line of a subclass's docstring is what `hfkit tasks` shows."""

    columns: ClassVar[Mapping[str, str]]  # role -> what it holds; "label?" may be absent
    label_kind: ClassVar[LabelKind] = "labels"  # what the label column holds
    Options: ClassVar[type[BaseModel]] = NoOptions
    token_outputs: ClassVar[tuple[str, ...]] = ()  # outputs with one entry per token of the row
    only_torch: ClassVar[str] = ""  # what forbids an export; empty: nothing does

    def __init__(self, options: O) -> None:
        self.options = options
        self.labels: list[str] = []  # what the head tells apart, in the order of its outputs
        self.decisions: dict[str, Any] = {}  # what `decide` fitted; saved as decisions.json
        self.asked = False  # rows are questions of people, and neither learnt from nor scored

    @property
    @abstractmethod
    def auto_class(self) -> str:
        """``"AutoModelForSequenceClassification"``, or ``"module:Class"``."""

    @property
    def grouped(self) -> bool:
        """Whether the encoded rows of one row stay in one step, and the loss sees the whole step:
        rows then count as one example each, with ``example`` in the batch."""
        return False

    @property
    def joined(self) -> bool:
        """Whether `features` makes encoded rows of several rows together: it is then given some
        thousand at a time, the same ones in training and in evaluation."""
        return False

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

    def build_on(self, model_config: Mapping[str, Any]) -> None:
        """See the config.json of the base model. Raises `InputError` for one that cannot learn
        the task."""

    def check_tokenizer(self, folder: Path) -> None:
        """See the files of the base model's tokenizer, once the rows are learnt. Raises
        `InputError` where one is missing that the rows need."""

    @property
    def languages(self) -> tuple[str, str] | None:
        """The languages that are read and written, for tokenizers that ask for them."""
        return None

    def read_with(self, tokenizer: Tokenizer) -> None:
        """See the tokenizer before anything is encoded. Raises `InputError` for one that does not
        fit."""

    @abstractmethod
    def restore(self, model_config: Mapping[str, Any]) -> None:
        """The inverse of `head`: take labels and problem from a model's config.json."""

    def resolved(self) -> dict[str, Any]:
        """The options, with what `learn` found in place of ``auto``; saved with the run."""
        found: dict[str, Any] = self.options.model_dump(mode="json")
        return found

    @abstractmethod
    def features(self, rows: Sequence[Row], tokenizer: Tokenizer) -> list[EncodedRow]:
        """Encode rows. Each encoded row holds ``input_ids`` (list of int), what else the model
        reads, and ``_row``: the index in `rows` it belongs to."""

    @abstractmethod
    def targets(self, rows: Sequence[Row], encoded: Sequence[EncodedRow]) -> None:
        """Add to each encoded row what the loss needs (``labels``, ``loss_weight``)."""

    def vary(self, encoded: EncodedRow, key: Sequence[int]) -> EncodedRow:
        """What is learnt from an encoded row this time: a pure function of the row and of `key`,
        which is (seed, epoch, number of the encoded row). The row itself stays as it is."""
        return encoded

    @abstractmethod
    def decode(
        self, outputs: Sequence[Outputs], encoded: Sequence[EncodedRow], rows: Sequence[Row]
    ) -> list[Answer]:
        """One answer per row. `outputs` has one mapping per encoded row, padding removed."""

    def decide(self, answers: Sequence[Answer], gold: Sequence[Answer]) -> None:
        """Fit what is decided after training (thresholds) on validation data, into `decisions`;
        `decode` uses it from then on."""

    def brief(self, answer: Answer) -> Answer:
        """The answer as it is shown unless all scores are asked for."""
        return answer

    @abstractmethod
    def gold(self, rows: Sequence[Row]) -> list[Answer]:
        """The right answers, in the form `decode` gives. Raises `RowError` for a label that the
        model does not know."""
