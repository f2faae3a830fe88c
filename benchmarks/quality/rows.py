"""The rows of both sides: small readers of the benchmark's own, and the draw of --limit."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from random import Random
from typing import TypeVar
from zlib import crc32

Row = TypeVar("Row")


def path(name: str) -> Path:
    return Path(os.environ["HFKIT_TEST_DATA"]) / name


def drawn(rows: list[Row], limit: int | None, seed: int) -> list[Row]:
    """`limit` rows by the seed, in the order of the file: the very draw of hfkit's --limit.

    >>> drawn([10, 11, 12, 13], 2, seed=1)
    [11, 12]
    """
    if limit is None or limit >= len(rows):
        return rows
    return [rows[index] for index in sorted(Random(seed).sample(range(len(rows)), limit))]


def checksum(values: list) -> int:
    """Of the values that a row is about; equal on both sides if their rows are."""
    return crc32(json.dumps(values, ensure_ascii=False).encode())


def conll(name: str) -> list[tuple[list[str], list[str]]]:
    """Words and tags of each sentence of a file with a word, a tab and a tag a line."""
    found: list[tuple[list[str], list[str]]] = []
    words: list[str] = []
    tags: list[str] = []
    for line in [*path(name).read_text(encoding="utf-8").split("\n"), ""]:
        if line.strip():
            word, tag = line.rstrip("\n").split("\t")
            words.append(word)
            tags.append(tag)
        elif words:
            found.append((words, tags))
            words, tags = [], []
    return found


def squad(name: str) -> list[dict]:
    """Questions of a nested file: id, question, context, answers [(text, start)]."""
    return [
        {
            "id": asked["id"],
            "question": asked["question"],
            "context": paragraph["context"],
            "answers": [(answer["text"], answer["answer_start"]) for answer in asked["answers"]],
        }
        for article in json.loads(path(name).read_text(encoding="utf-8"))["data"]
        for paragraph in article["paragraphs"]
        for asked in paragraph["qas"]
    ]


def pairs(name: str) -> list[tuple[str, str, float]]:
    """Both sentences and the score (0 to 5) of the STS benchmark's seven columns."""
    lines = path(name).read_text(encoding="utf-8").split("\n")
    fields = [line.split("\t") for line in lines if line]
    return [(field[5], field[6], float(field[4])) for field in fields]


def news(name: str) -> list[tuple[str, str]]:
    """Title and description as one text, and the class by its number, of a CSV file."""
    with path(name).open(encoding="utf-8", newline="") as file:
        return [(f"{row[1]} {row[2]}", row[0]) for row in csv.reader(file)]


def questions(name: str) -> list[tuple[str, str]]:
    """Text and label of lines `LABEL:text`."""
    lines = path(name).read_text(encoding="utf-8").splitlines()
    return [(text, label) for label, text in (line.split(":", 1) for line in lines if line)]


def written(name: str, split: str) -> list[tuple[str, str]]:
    """Texts and what is to be written for them: translations, summaries, titles."""
    if name == "multi30k en-de":
        stem = "train" if split == "train" else "val"
        files = [path(f"multi30k_en_de/{stem}.{language}") for language in ("en", "de")]
        both = [file.read_text(encoding="utf-8").splitlines() for file in files]
        return list(zip(*both, strict=True))
    if name == "dialogsum":
        lines = path(f"dialogsum/{split}.jsonl").read_text(encoding="utf-8").splitlines()
        return [(row["dialogue"], row["summary"]) for row in map(json.loads, lines)]
    file = f"tatoeba_en_zh/{split}.txt" if name == "tatoeba en-zh" else f"csl_title/{split}.tsv"
    rows = [line.split("\t") for line in path(file).read_text(encoding="utf-8").splitlines()]
    return [(row[0], row[1]) if name == "tatoeba en-zh" else (row[1], row[2]) for row in rows]
