"""Causal language models from scratch: beside transformers' Trainer.

Both get the same GPT-2 (two layers, width 128) with the same tokenizer, the same texts in rows of
128 tokens, and as many steps of 16 rows. What comes of it is scored by one function here: the mean
negative log-probability of each token of the validation text, in the same rows.
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.quality.rows import checksum, path

JOBS = [
    {
        "task": "generation", "set": name, "steps": 300, "lr": 2e-3, "batch_size": 16,
        "warmup": 0.1, "weight_decay": 0.01, "max_length": 128, "vocabulary": 1024,
    }
    for name in ("tinyshakespeare", "wikitext2")
]  # fmt: skip
SCORES = ["loss", "perplexity"]
SIZE = "tiny"


def with_peer(job: dict, models: Path) -> dict[str, Any]:
    import torch
    from transformers import (
        AutoModelForCausalLM,
        GPT2Config,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    tokenizer = tokenizer_of(job, models)
    length = job["max_length"]
    stream = tokens(tokenizer, documents(job, "train"))
    rows = [stream[start : start + length] for start in range(0, len(stream) - length, length)]
    set_seed(job["seed"])
    config = GPT2Config(
        vocab_size=len(tokenizer), n_layer=2, n_embd=128, n_head=2, n_positions=512,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config)
    with tempfile.TemporaryDirectory() as out:
        arguments = TrainingArguments(
            out, max_steps=job["steps"], per_device_train_batch_size=job["batch_size"],
            learning_rate=job["lr"], warmup_steps=int(job["warmup"] * job["steps"]),
            weight_decay=job["weight_decay"], seed=job["seed"], report_to="none",
            save_strategy="no", logging_strategy="no", disable_tqdm=True,
            use_cpu=not torch.cuda.is_available(),
        )  # fmt: skip
        data = [{"input_ids": row, "labels": row} for row in rows]
        Trainer(model=model, args=arguments, train_dataset=data).train()
    return {**scored(model, tokenizer, job), "rows": checksum(documents(job, "train"))}


def with_hfkit(job: dict, models: Path) -> dict[str, Any]:
    from transformers import AutoModelForCausalLM

    import hfkit

    tokenizer = tokenizer_of(job, models)
    with tempfile.TemporaryDirectory() as folder:
        done = hfkit.finetune(
            train=str(path(f"{job['set']}/train.txt")), task="clm", config_size=SIZE,
            validation=str(path(f"{job['set']}/validation.txt")), output=f"{folder}/run",
            tokenizer=tokenizer.name_or_path, max_steps=job["steps"], epochs=1000,
            eval_every=job["steps"], precision="fp32",
            **{n: job[n] for n in ("lr", "batch_size", "warmup", "weight_decay", "max_length",
                                   "seed")},
        )  # fmt: skip
        model = AutoModelForCausalLM.from_pretrained(f"{folder}/run")
    own = done.splits["validation"].values
    rows = checksum(documents(job, "train"))
    return {**scored(model, tokenizer, job), "own": own, "rows": rows}


def documents(job: dict, part: str) -> list[str]:
    """The documents of a file; a blank line ends one."""
    found: list[list[str]] = [[]]
    for line in path(f"{job['set']}/{part}.txt").read_text(encoding="utf-8").split("\n"):
        if line.strip():
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return ["\n".join(lines) for lines in found if lines]


def tokenizer_of(job: dict, models: Path) -> Any:
    """The tokenizer that both sides read with."""
    from transformers import AutoTokenizer

    import hfkit

    folder = models / f"{job['set']}-{job['vocabulary']}"
    if not folder.exists():
        files = [str(path(f"{job['set']}/train.txt"))]
        hfkit.train_tokenizer(
            files=files, output=str(folder), kind="bpe", vocab_size=job["vocabulary"]
        )
    return AutoTokenizer.from_pretrained(folder)


def tokens(tokenizer: Any, texts: list[str]) -> list[int]:
    """Documents one behind the other, the token that ends texts behind and before each."""
    end = tokenizer.eos_token_id
    found = [end]
    for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]:
        found += [*ids, end]
    return found


def scored(model: Any, tokenizer: Any, job: dict) -> dict[str, float]:
    """The loss over all tokens of the validation data, each given up to 127 before it."""
    import torch

    stream = tokens(tokenizer, documents(job, "validation"))
    length, total, count = job["max_length"], 0.0, 0
    model.eval()
    for start in range(0, len(stream) - 1, length - 1):
        ids = torch.tensor([stream[start : start + length]], device=model.device)
        with torch.no_grad():
            likely = model(input_ids=ids).logits[0, :-1].log_softmax(dim=-1)
        total -= float(likely.gather(1, ids[0, 1:, None]).sum())
        count += ids.shape[1] - 1
    return {"loss": total / count, "perplexity": math.exp(total / count)}
