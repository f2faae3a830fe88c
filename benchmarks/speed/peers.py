"""The other libraries, as their own examples and documentation use them.

hfkit is not imported before torch is: a peer runs under the settings that it has by itself. Trainer
of transformers 5 takes fused AdamW by default.
"""

from __future__ import annotations

import tempfile
from typing import Any

from benchmarks.speed.pace import Pace, Steps


def trainer(pace: Pace, job: dict) -> None:
    """transformers' Trainer. `padding`: "max" as run_classification has it by default, or "longest"
    of the batch; `sampling`: "random" by default, or "group_by_length"; `bf16`."""
    from datasets import Dataset
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainerCallback,
        TrainingArguments,
        set_seed,
    )

    from benchmarks.quality.peers import arguments

    (texts,) = job["texts"].values()
    set_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(job["folder"])
    longest = {"padding": "max_length"} if job["padding"] == "max" else {}
    found = tokenizer(texts, truncation=True, max_length=job["max_length"], **longest)
    rows = Dataset.from_dict({**found, "labels": [number % 2 for number in range(len(texts))]})
    model = AutoModelForSequenceClassification.from_pretrained(job["folder"])
    steps = Steps(pace, -(-len(texts) // job["batch_size"]))

    class Turns(TrainerCallback):
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            steps.begin()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            steps.step()

    # Rate, decay, clipping and schedule are Trainer's defaults; hfkit is given the same.
    same = {"epochs": job["epochs"], "batch_size": job["batch_size"], "seed": 0, **job["fitting"]}
    with tempfile.TemporaryDirectory() as out:
        Trainer(
            model=model,
            args=TrainingArguments(
                out,
                **{
                    **arguments(same),
                    "eval_strategy": "no",
                    "use_cpu": job["device"] == "cpu",
                    "bf16": job["bf16"],
                    "train_sampling_strategy": job["sampling"],
                },
            ),
            train_dataset=rows,
            data_collator=DataCollatorWithPadding(tokenizer),
            callbacks=[Turns()],
        ).train()


def pipeline(pace: Pace, job: dict) -> None:
    """The pipeline for classification, with its scores for the comparison of logits."""
    import transformers

    ask = transformers.pipeline("text-classification", model=job["folder"], device=job["device"])
    order = list(ask.model.config.id2label.values())

    def logits(part: str) -> list[list[float]]:
        found = ask(job["texts"][part], top_k=None, function_to_apply="none")
        by_label = [{score["label"]: score["score"] for score in scores} for scores in found]
        return [[scores[label] for label in order] for scores in by_label]

    pace.serve(lambda part: ask(job["texts"][part], batch_size=job["batch_size"]), logits)


def tagger(pace: Pace, job: dict) -> None:
    import transformers

    ask = transformers.pipeline(
        "token-classification", model=job["folder"], device=job["device"],
        aggregation_strategy="simple",
    )  # fmt: skip
    pace.serve(lambda part: ask(job["texts"][part], batch_size=job["batch_size"]))


def zero_shot(pace: Pace, job: dict) -> None:
    import transformers

    ask = transformers.pipeline(
        "zero-shot-classification", model=job["folder"], device=job["device"]
    )

    def answers(part: str) -> list[dict]:
        return ask(job["texts"][part], job["labels"], batch_size=job["batch_size"])

    pace.serve(answers, lambda part: [answer["labels"][0] for answer in answers(part)])


def reader(pace: Pace, job: dict) -> None:
    """The loop of the example run_qa: windows, Trainer's prediction, the n best spans.

    `padding` "max" is the example's default.
    """
    import numpy as np
    from transformers import (
        AutoModelForQuestionAnswering,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
    )

    from benchmarks.quality.qa import answer, dataset, windows

    tokenizer = AutoTokenizer.from_pretrained(job["folder"])
    longest = {"padding": "max_length", "max_length": job["max_length"]}
    out = tempfile.TemporaryDirectory()
    predicting = Trainer(
        model=AutoModelForQuestionAnswering.from_pretrained(job["folder"]),
        args=TrainingArguments(
            out.name, use_cpu=job["device"] == "cpu", report_to="none", disable_tqdm=True,
            per_device_eval_batch_size=job["batch_size"],
        ),
        data_collator=DataCollatorWithPadding(
            tokenizer, **(longest if job["padding"] == "max" else {})
        ),
    )  # fmt: skip

    def answers(part: str) -> list[str]:
        rows = job["texts"][part]
        found = windows(tokenizer, rows, job)
        starts, ends = predicting.predict(dataset(found)).predictions[:2]
        return [
            answer(row["context"], [(np.asarray(starts[window]), np.asarray(ends[window]),
                                     found["offsets"][window]) for window in of])[0]
            for row, of in zip(rows, found["of"], strict=True)
        ]  # fmt: skip

    with out:
        pace.serve(answers)


def embedder(pace: Pace, job: dict) -> None:
    """sentence-transformers, told to read texts as long as hfkit does."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(job["folder"], device=job["device"])
    model.max_seq_length = job["max_length"]

    def vectors(part: str) -> Any:
        return model.encode(
            job["texts"][part], batch_size=job["batch_size"], show_progress_bar=False,
            normalize_embeddings=True,
        )  # fmt: skip

    pace.serve(vectors, lambda part: vectors(part).tolist())
