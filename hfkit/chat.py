"""Conversations as text, by the template that comes with a tokenizer.

    [{"role": "user", "content": "Hi"}]  ─ template ─▶  "<|user|>\\nHi<|end|>\\n<|assistant|>\\n"

A template is a program in Jinja out of somebody's model folder. transformers' sandbox keeps it from
everything but text; it would not keep it from running for ever. So it runs in a process of its own
(`chat_worker.py`), which the system ends after a second of its computing time, or where it takes
too much memory.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from weakref import finalize

from hfkit.errors import InputError, SafetyError

FILE = "chat_template.jinja"
SETTINGS = "tokenizer_config.json"
WORKER = Path(__file__).with_name("chat_worker.py")
MARKED = re.compile(r"\{%-?\s*generation\s*-?%\}")  # around what the assistant says
MOST_BYTES = 2**20
TOKENS = ("bos_token", "eos_token", "pad_token", "unk_token")  # that templates ask for

Message = Mapping[str, Any]


class Rendered(NamedTuple):
    """A conversation as text, and from where to where the assistant speaks in it: known where the
    template says so."""

    text: str
    spoken: list[tuple[int, int]]


class Template:
    """The template of a tokenizer; `place` is its file. `tokens` are the special tokens by name."""

    def __init__(self, source: str, tokens: Mapping[str, str], place: str) -> None:
        self.source = source
        self.tokens = dict(tokens)
        self.place = place
        self._process: subprocess.Popen[str] | None = None

    @property
    def is_marked(self) -> bool:
        """Whether the template says what the assistant speaks."""
        return MARKED.search(self.source) is not None

    def render(self, messages: Sequence[Message], *, asks: bool = False) -> Rendered:
        """Put messages into words; `asks` adds what stands before the assistant's next turn.

        Raises `InputError` where the template does not take them, and `SafetyError` where it does
        not come to an end.
        """
        marked = self.is_marked and not asks
        found = self._answer({"messages": list(messages), "asks": asks, "marked": marked})
        if "error" in found:
            raise InputError(f"the chat template refuses the messages: {found['error']}")
        return Rendered(found["text"], [(start, end) for start, end in found["spoken"]])

    def _answer(self, question: Mapping[str, Any]) -> dict[str, Any]:
        try:
            found = self._exchange(question)
        except OSError:  # it was ended before it has read the question
            found = ""
        if found:
            answer: dict[str, Any] = json.loads(found)
            return answer
        self._process = None
        raise SafetyError(
            "the chat template takes more than a second, or too much memory",
            place=self.place,
            hint="it comes with the model; take another one",
        )

    def _exchange(self, question: Mapping[str, Any]) -> str:
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(question) + "\n")
        process.stdin.flush()
        return process.stdout.readline()

    def _start(self) -> subprocess.Popen[str]:
        """Start the process and give it the template; it ends when this one does."""
        pipe = subprocess.PIPE
        command = [sys.executable, "-P", str(WORKER)]
        process = subprocess.Popen(
            command,
            stdin=pipe,
            stdout=pipe,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
            start_new_session=True,  # Ctrl-C is for the command itself
        )
        assert process.stdin is not None
        self._process = process
        finalize(self, _end, process)
        process.stdin.write(json.dumps({"source": self.source, "tokens": self.tokens}) + "\n")
        return process


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


def read_template(folder: Path, named: Mapping[str, Any]) -> Template | None:
    """The template in a tokenizer's folder; None where there is none. Nothing of it runs here.

    `named` holds the special tokens, as tokenizer_config.json names them.
    """
    texts: dict[str, Any] = {name: named.get(name) for name in TOKENS}
    tokens = {
        name: str(one["content"] if isinstance(one, dict) else one)
        for name, one in texts.items()
        if one
    }
    path = folder / FILE
    if path.is_file():
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"larger than {MOST_BYTES:,} bytes", place=str(path))
        return Template(path.read_text("utf-8", errors="replace"), tokens, str(path))
    path = folder / SETTINGS
    if not path.is_file():
        return None
    source = json.loads(path.read_text("utf-8")).get("chat_template")
    if isinstance(source, list):  # several, by name
        by_name = {one.get("name"): one.get("template") for one in source if isinstance(one, dict)}
        source = by_name.get("default")
    return Template(source, tokens, str(path)) if isinstance(source, str) else None
