"""The texts of each line: real ones where they are at hand, else made up with the same lengths."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path
from random import Random

from benchmarks.quality.rows import conll, news, squad
from hfkit.run.made_texts import SHARE_OF_LONG, made_text, made_texts

LONGEST = 510  # tokens, beside the two special ones: no side has to cut or to read windows
LEAST_WORDS = 30  # of a paragraph
LABELS = (
    "politics", "sports", "business", "science", "technology", "health", "travel", "food", "music",
    "film", "history", "weather", "law", "education", "religion", "art", "fashion", "finance",
    "nature", "war",
)  # fmt: skip


def is_real() -> bool:
    """Whether the data sets are here."""
    return Path(os.environ.get("HFKIT_TEST_DATA", ""), "sst2/train.tsv").is_file()


def source() -> str:
    """What a result says of its texts."""
    return "real texts" if is_real() else "made-up texts"


def texts(kind: str, count: int, tokenizer: Path, seed: int = 0) -> list[str]:
    """`count` texts that are "short" (questions to a bank, phrases of reviews), "long" (paragraphs
    of an encyclopaedia) or "mixed" (three phrases to one paragraph), cut to `LONGEST` tokens."""
    if not is_real():
        return cut(made_texts(kind, count, seed), tokenizer)
    chance = Random(seed)
    if kind == "long":
        return cut(_drawn(paragraphs(), count, chance), tokenizer)
    if kind == "mixed":
        long = round(count * SHARE_OF_LONG)
        found = _drawn(paragraphs(), long, chance) + _drawn(phrases(), count - long, chance)
    else:
        found = _drawn(queries(), count // 2, chance)
        found += _drawn(phrases(), count - count // 2, chance)
    chance.shuffle(found)
    return cut(found, tokenizer)


def sentences(count: int, tokenizer: Path) -> list[str]:
    """Texts to look for names in."""
    if not is_real():
        return texts("short", count, tokenizer)
    found = [" ".join(words) for words, _ in conll("wnut17/emerging.dev.conll")]
    return cut(_drawn(found, count, Random(0)), tokenizer)


def articles(count: int, tokenizer: Path) -> list[str]:
    """Texts to sort by subject."""
    if not is_real():
        return cut(made_texts("short", count), tokenizer)
    return cut(_drawn([text for text, _ in news("ag_news/train.csv")], count, Random(0)), tokenizer)


def questions(count: int) -> list[dict[str, str]]:
    """Questions, each with its context."""
    if is_real():
        rows = _drawn(squad("squad_v1/validation.json"), count, Random(0))
        return [{"question": row["question"], "context": row["context"]} for row in rows]
    chance = Random(0)
    return [
        {"question": made_text(10, chance), "context": text} for text in made_texts("long", count)
    ]


def phrases() -> list[str]:
    lines = _path("sst2/train.tsv").read_text("utf-8").splitlines()
    return [line.split("\t")[0] for line in lines]


def queries() -> list[str]:
    with _path("banking77/train.csv").open(encoding="utf-8", newline="") as file:
        return [row[0] for row in list(csv.reader(file))[1:]]


def paragraphs() -> list[str]:
    """Contexts of SQuAD and paragraphs of WikiText-2, as many of either."""
    articles = json.loads(_path("squad_v1/train.json").read_text("utf-8"))["data"]
    contexts = [part["context"] for article in articles for part in article["paragraphs"]]
    lines = _path("wikitext2/train.txt").read_text("utf-8").splitlines()
    wiki = [line.strip() for line in lines if len(line.split()) > LEAST_WORDS]
    return [text for pair in zip(contexts, wiki, strict=False) for text in pair]


def cut(found: list[str], tokenizer: Path) -> list[str]:
    """The texts, where they are longer up to their token `LONGEST`."""
    encode = encoder(tokenizer)
    kept = []
    for text in found:
        offsets = encode(text)
        kept.append(text if len(offsets) <= LONGEST else text[: offsets[LONGEST - 1][1]])
    return kept


def encoder(tokenizer: Path) -> Callable[[str], list[tuple[int, int]]]:
    """A function that gives the places of a text's tokens, without special ones."""
    from tokenizers import Tokenizer

    backend = Tokenizer.from_file(str(tokenizer / "tokenizer.json"))
    backend.no_padding()
    backend.no_truncation()
    return lambda text: backend.encode(text, add_special_tokens=False).offsets


def _path(name: str) -> Path:
    return Path(os.environ["HFKIT_TEST_DATA"]) / name


def _drawn(found: list, count: int, chance: Random) -> list:
    """`count` of them; again from the start where there are fewer."""
    order = chance.sample(range(len(found)), len(found))
    return [found[order[number % len(order)]] for number in range(count)]
