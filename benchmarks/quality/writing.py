"""Translation and summarization from scratch: beside transformers' Seq2SeqTrainer.

Both train the same small model, of random weights, with the same tokenizer, which hfkit has
trained on the training texts; both write with the same number of beams, and both are scored here:
chrF and BLEU of sacreBLEU, ROUGE-L of rouge-score (of single characters in Chinese). "copy" is the
chrF of the sources themselves.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.quality.ours import SAME
from benchmarks.quality.peers import arguments, in_order
from benchmarks.quality.rows import checksum, drawn, written

JOBS = [
    {
        "task": "text2text", "set": "multi30k en-de", "purpose": "translation", "model": "t5",
        "epochs": 25, "max_length": 64, "target_length": 64, "vocabulary": 2000,
    },
    {
        "task": "text2text", "set": "tatoeba en-zh", "purpose": "translation", "model": "t5",
        "epochs": 20, "max_length": 48, "target_length": 48, "vocabulary": 3000,
    },
    {
        "task": "text2text", "set": "dialogsum", "purpose": "summarization", "model": "bart",
        "epochs": 30, "max_length": 384, "target_length": 64, "vocabulary": 4000,
    },
    {
        "task": "text2text", "set": "csl_title", "purpose": "summarization", "model": "t5",
        "epochs": 20, "max_length": 256, "target_length": 32, "vocabulary": 6000,
    },
]  # fmt: skip
for one in JOBS:
    one |= {
        "lr": 2e-3 if one["model"] == "t5" else 5e-4,
        "batch_size": 16,
        "warmup": 0.1,
        "weight_decay": 0.01,
        "beams": 4,
    }

SCORES = ["chrf", "bleu", "rougeL", "copy"]
KINDS = {"bart": ("bpe", "roberta"), "t5": ("unigram", "t5")}
SHAPES: dict[str, dict[str, Any]] = {
    "bart": {
        "model_type": "bart", "d_model": 128, "encoder_layers": 2, "decoder_layers": 2,
        "encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": 512,
        "decoder_ffn_dim": 512, "max_position_embeddings": 512, "dropout": 0.1,
        "decoder_start_token_id": 2, "forced_eos_token_id": None,
    },
    "t5": {
        "model_type": "t5", "d_model": 128, "d_kv": 32, "d_ff": 512, "num_layers": 2,
        "num_decoder_layers": 2, "num_heads": 4, "dropout_rate": 0.1, "decoder_start_token_id": 0,
        "tie_word_embeddings": True,
    },
}  # fmt: skip


def with_hfkit(job: dict, models: Path) -> dict[str, Any]:
    import hfkit

    training, validation = written(job["set"], "train"), written(job["set"], "validation")
    folder = tokenizer_of(job, models, training)
    with tempfile.TemporaryDirectory() as out:
        files = {
            "train": lines(Path(out, "train.jsonl"), training),
            "validation": lines(Path(out, "validation.jsonl"), validation),
        }
        same = {name: job[name] for name in SAME}
        hfkit.finetune(
            **files, output=f"{out}/run", task=job["purpose"], text_column="text",
            label_column="label", config_file=str(folder / "shape.json"), tokenizer=str(folder),
            on_long="truncate", max_target_length=job["target_length"], beams=job["beams"],
            eval_every=10**9, precision="fp32", **same,
        )  # fmt: skip
        found = hfkit.load(f"{out}/run").predict([text for text, _ in validation])
    rows = drawn(training, job["limit"], job["seed"])
    return {**scored(job, [one["text"] for one in found], validation), "rows": checksum(rows)}


def with_peer(job: dict, models: Path) -> dict[str, Any]:
    from transformers import (
        AutoConfig,
        AutoModelForSeq2SeqLM,
        AutoTokenizer,
        DataCollatorForSeq2Seq,
        GenerationConfig,
        Seq2SeqTrainer,
        Seq2SeqTrainingArguments,
        set_seed,
    )

    training, validation = written(job["set"], "train"), written(job["set"], "validation")
    folder = tokenizer_of(job, models, training)
    rows = drawn(training, job["limit"], job["seed"])
    set_seed(job["seed"])
    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    shape = json.loads((folder / "shape.json").read_text("utf-8"))
    config = AutoConfig.for_model(
        shape.pop("model_type"), vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id, bos_token_id=tokenizer.bos_token_id, **shape,
    )  # fmt: skip
    model = AutoModelForSeq2SeqLM.from_config(config)

    with tempfile.TemporaryDirectory() as out:
        trainer = in_order(Seq2SeqTrainer)(
            model=model,
            args=Seq2SeqTrainingArguments(
                out,
                **{**arguments(job), "eval_strategy": "no"},
                train_sampling_strategy="group_by_length",
                predict_with_generate=True,
                per_device_eval_batch_size=32,
                generation_config=GenerationConfig(
                    num_beams=job["beams"], max_new_tokens=job["target_length"],
                    decoder_start_token_id=config.decoder_start_token_id,
                    pad_token_id=config.pad_token_id, eos_token_id=config.eos_token_id,
                ),
            ),
            train_dataset=encoded(job, tokenizer, rows),
            data_collator=DataCollatorForSeq2Seq(tokenizer, model),
        )  # fmt: skip
        trainer.train()
        found = trainer.predict(encoded(job, tokenizer, validation)).predictions
    found[found < 0] = tokenizer.pad_token_id
    texts = tokenizer.batch_decode(found, skip_special_tokens=True)
    return {**scored(job, texts, validation), "rows": checksum(rows)}


def encoded(job: dict, tokenizer: Any, pairs: list[tuple[str, str]]) -> Any:
    """The rows of the peer."""
    from datasets import Dataset

    cut = {"truncation": True}
    sources = tokenizer([text for text, _ in pairs], max_length=job["max_length"], **cut)
    targets = tokenizer(
        text_target=[text for _, text in pairs], max_length=job["target_length"], **cut
    )
    return Dataset.from_dict(
        {
            "input_ids": sources["input_ids"],
            "attention_mask": sources["attention_mask"],
            "labels": targets["input_ids"],
        }
    )


def tokenizer_of(job: dict, models: Path, training: list[tuple[str, str]]) -> Path:
    """The folder of a tokenizer that hfkit has trained, with the shape of the model."""
    folder = models / f"{job['set'].replace(' ', '-')}-{job['vocabulary']}"
    if not (folder / "shape.json").exists():
        models.mkdir(parents=True, exist_ok=True)
        kind, family = KINDS[job["model"]]
        with tempfile.TemporaryDirectory() as out:
            corpus = Path(out, "corpus.txt")
            texts = [" ".join(text.split()) for pair in training for text in pair]
            corpus.write_text("\n".join(texts) + "\n", "utf-8")
            subprocess.run(
                [sys.executable, "-m", "hfkit", "tokenizer", "train", str(corpus), "-o",
                 str(folder), "--kind", kind, "--family", family, "--vocab-size",
                 str(job["vocabulary"])],
                check=True,
            )  # fmt: skip
        (folder / "shape.json").write_text(json.dumps(SHAPES[job["model"]]), "utf-8")
    return folder


def lines(file: Path, pairs: list[tuple[str, str]]) -> str:
    """A file of these pairs."""
    rows = [json.dumps({"text": text, "label": target}) for text, target in pairs]
    file.write_text("\n".join(rows) + "\n", "utf-8")
    return str(file)


def scored(job: dict, texts: list[str], validation: list[tuple[str, str]]) -> dict[str, float]:
    """The scores of written texts."""
    import sacrebleu
    from rouge_score.rouge_scorer import RougeScorer

    gold, sources = [target for _, target in validation], [text for text, _ in validation]
    chinese = job["set"] in ("tatoeba en-zh", "csl_title")
    tokenize = {"tokenize": "zh"} if chinese else {}
    found = {
        "chrf": sacrebleu.corpus_chrf(texts, [gold]).score,
        "bleu": sacrebleu.corpus_bleu(texts, [gold], **tokenize).score,
        "copy": sacrebleu.corpus_chrf(sources, [gold]).score,
    }

    class Characters:
        def tokenize(self, text: str) -> list[str]:
            return [character for character in text if not character.isspace()]

    scorer = RougeScorer(["rougeL"], use_stemmer=True, tokenizer=Characters() if chinese else None)
    each = [scorer.score(*pair)["rougeL"].fmeasure for pair in zip(gold, texts, strict=True)]
    return {**found, "rougeL": 100 * sum(each) / len(each)}
