"""The process that runs the chat template of a tokenizer; see chat.py.

The first line of standard input is the template, each further one a conversation; each has a line
of answer. This file is run by its path, and imports nothing of hfkit.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from pathlib import Path
from typing import Any

SECONDS = 1.0  # of computing, for a conversation
BYTES = 2**30  # beyond what is there when the template begins


def main() -> None:
    """Answer until the input ends."""
    from transformers.utils.chat_template_utils import render_jinja_template

    template = json.loads(sys.stdin.readline())
    limit_memory()
    for line in sys.stdin:
        question = json.loads(line)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)  # its signal ends the process
        answer = answered(render_jinja_template, template, question)
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def answered(render: Any, template: dict[str, Any], question: dict[str, Any]) -> dict[str, Any]:
    """The text of one conversation, and where the assistant speaks in it; or what is wrong."""
    try:
        texts, spoken = render(
            conversations=[question["messages"]],
            chat_template=template["source"],
            add_generation_prompt=question["asks"],
            return_assistant_tokens_mask=question["marked"],
            **template["tokens"],
        )
        spans = spoken[0] if question["marked"] else []
        return {"text": texts[0], "spoken": spans}
    except MemoryError:
        raise
    except Exception as error:  # a template may raise anything
        reason = next((line for line in str(error).splitlines() if line.strip()), "")
        return {"error": reason[:200] or type(error).__name__}


def limit_memory() -> None:
    """Let the process take a gigabyte more than it has."""
    statistics = Path("/proc/self/statm")  # Linux alone has it
    if not statistics.exists():
        return
    taken = int(statistics.read_text().split()[5]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_DATA, (taken + BYTES, taken + BYTES))


if __name__ == "__main__":
    main()
