"""The files that the pages of docs/ name, made small, and a shell to run their commands in."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

PEOPLE = ["Anna Roth", "Ben Okafor", "Chen Wei", "Dora Silva", "Emil Novak", "Fatima Haddad"]
PLACES = ["Bern", "Lagos", "Porto", "Oslo", "Lima", "Kyoto"]
VERBS = ["left", "likes", "found", "painted"]
THINGS = ["key", "lamp", "map", "coat"]
SPOTS = ["under the mat", "on the shelf", "behind the door", "in the drawer"]


def environment(commands: Path) -> dict[str, str]:
    """The commands as they stand, but few steps and short texts; `hfkit` is that of a folder."""
    return {
        **os.environ,
        "HFKIT_MAX_STEPS": "2",
        "HFKIT_MAX_LENGTH": "64",
        "HFKIT_DEVICE": "cpu",
        "PATH": os.pathsep.join(
            [str(commands), str(Path(sys.executable).parent), os.environ["PATH"]]
        ),
    }


def shell_blocks(page: Path) -> list[str]:
    """The blocks of a page that are marked as shell."""
    return re.findall(r"^```sh\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def run_shell(script: str, folder: Path, commands: Path) -> subprocess.CompletedProcess[str]:
    """Run a script as a person would type it; it stops at the first command that fails."""
    return subprocess.run(
        ["bash", "-exc", script],
        cwd=folder, env=environment(commands), capture_output=True, text=True,
    )  # fmt: skip


def write_files(folder: Path) -> Path:
    """Write every file that a page names."""
    _entities(folder)
    _questions(folder)
    _pairs(folder)
    _texts_to_write(folder)
    parts = zip(PEOPLE, [*VERBS, *VERBS[:2]], PLACES, strict=True)
    texts = [f"{person} {verb} {place}." for person, verb, place in parts]
    (folder / "texts.txt").write_text("\n".join(texts) + "\n")
    _jsonl(folder / "corpus.jsonl", [{"id": f"d{n}", "text": text} for n, text in enumerate(texts)])
    _jsonl(folder / "queries.jsonl", [{"id": "q1", "text": "Who left Bern?"}])
    (folder / "corpus.txt").write_text(_documents())
    (folder / "messages.csv").write_text(
        "text,label\n" + "".join(
            f"{text} Write to person{n}@example.org or call +41 44 668 18 0{n}.,{'ab'[n % 2]}\n"
            for n, text in enumerate(texts)
        )
    )  # fmt: skip
    (folder / "labels.txt").write_text("travel\nfood, drink and cooking\nsport\n")
    return folder


def _documents() -> str:
    """Documents of a few sentences, a line each, with a blank line behind each document."""
    lines: list[str] = []
    for number in range(60):
        person, place = PEOPLE[number % 6], PLACES[number * 5 % 6]
        thing, spot = THINGS[number % 4], SPOTS[number * 3 % 4]
        lines += [f"{person} {VERBS[number % 4]} {place}.", f"The {thing} is {spot}.",
                  f"{person.split()[0]} found the {thing} again.", ""]  # fmt: skip
    return "\n".join(lines) + "\n"


def _entities(folder: Path) -> None:
    lines: list[str] = []
    rows: list[dict[str, Any]] = []
    for number in range(36):
        person, place = PEOPLE[number % 6], PLACES[number * 5 % 6]
        first, last = person.split()
        verb = VERBS[number % 4]
        lines += [f"{first} B-PER", f"{last} I-PER", f"{verb} O", f"{place} B-LOC", ". O", ""]
        text = f"{person} {verb} {place}."
        start = text.index(place)
        rows.append({
            "text": text,
            "entities": [
                {"start": 0, "end": len(person), "label": "PER"},
                {"start": start, "end": start + len(place), "label": "LOC"},
            ],
        })  # fmt: skip
    (folder / "people.conll").write_text("\n".join(lines) + "\n")
    _jsonl(folder / "people.jsonl", rows)


def _questions(folder: Path) -> None:
    paragraphs, asked = [], []
    for number in range(24):
        thing, spot = THINGS[number % 4], SPOTS[number * 3 % 4]
        person = PEOPLE[number % 6]
        context = f"{person} said the {thing} is {spot}. Nobody asked about the weather."
        answer = {"text": spot, "answer_start": context.index(spot)}
        qas = [
            {"id": f"{number}a", "question": f"Where is the {thing}?", "answers": [answer],
             "is_impossible": False},
            {"id": f"{number}b", "question": "Who painted it?", "answers": [],
             "is_impossible": True},
        ]  # fmt: skip
        paragraphs.append({"context": context, "qas": qas})
        asked.append({"question": f"Where is the {thing}?", "context": context})
    squad = {"version": "v2.0", "data": [{"title": "things", "paragraphs": paragraphs}]}
    (folder / "squad.json").write_text(json.dumps(squad))
    _jsonl(folder / "questions.jsonl", asked[:4])
    _jsonl(folder / "asked.jsonl", [{"question": row["question"]} for row in asked[:2]])
    handbook = folder / "handbook"
    handbook.mkdir()
    for number, paragraph in enumerate(paragraphs[:4]):
        (handbook / f"page-{number}.txt").write_text(paragraph["context"] + "\n")


def _pairs(folder: Path) -> None:
    graded = ["sentence1,sentence2,score"]
    same = ["text_a,text_b,label"]
    matching = ["anchor,positive"]
    for number in range(60):
        person, place, other = PEOPLE[number % 6], PLACES[number % 6], PLACES[(number * 5 + 2) % 6]
        verb = VERBS[number % 4]
        first = f"{person} {verb} {place} on day {number}"
        graded.append(f"{first},{person} {verb} {other},{number % 6 * 0.9:.1f}")
        same.append(f"{first},{person} was in {other},{int(place == other)}")
        matching.append(f"Who {verb} {place} on day {number}?,{person} {verb} {place}: {number}")
    for name, rows in (("pairs", graded), ("duplicates", same), ("questions", matching)):
        (folder / f"{name}.csv").write_text("\n".join(rows) + "\n")


def _texts_to_write(folder: Path) -> None:
    rows = []
    pairs = []
    for number in range(20):
        first, second = PEOPLE[number % 6].split()[0], PEOPLE[(number + 1) % 6].split()[0]
        thing, spot = THINGS[number % 4], SPOTS[number * 3 % 4]
        talk = f"{first}: Where is the {thing}? {second}: It is {spot}, number {number}."
        rows.append({"dialogue": talk, "summary": f"The {thing} is {spot}."})
        place = PLACES[number % 6]
        english = f"{first} left {place} {number} days ago."
        german = f"{first} verließ {place} vor {number} Tagen."
        pairs.append({"translation": {"en": english, "de": german}})
    _jsonl(folder / "dialogues.jsonl", rows)
    asked = [
        dict(zip(("prompt", "completion"), _asked(number), strict=True)) for number in range(20)
    ]
    _jsonl(folder / "prompts.jsonl", asked)
    _jsonl(folder / "pairs.jsonl", pairs)


def _asked(number: int) -> tuple[str, str]:
    thing, spot = THINGS[number % 4], SPOTS[number * 3 % 4]
    return f"Where is the {thing}, number {number}?", f" It is {spot}."


def write_gpt2(folder: Path) -> None:
    """A tiny GPT-2 where a page names the one of the Hub: a folder goes before it."""
    from toys import write_generator

    write_generator(folder / "openai-community" / "gpt2")


def write_t5(folder: Path) -> None:
    """A tiny T5 where a page names the one of the Hub: a folder goes before it."""
    from toys import write_writer

    write_writer(folder / "google-t5" / "t5-small")


def _jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
