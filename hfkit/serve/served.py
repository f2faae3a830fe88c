"""A model that is served: what it is called, how it is asked, and in which manners.

A *manner* is a task with other options than the run's: other candidate labels need none, another
template, a longer text to write or several answers do. It has the model, and what was decided after
training, in common with the run. The last few are kept, as requests of one client are alike.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from hfkit.data.columns import ColumnMap
from hfkit.errors import HfkitError, InputError
from hfkit.infer.manner import WRITING, Manner
from hfkit.infer.predictor import Predictor
from hfkit.infer.stream import answer_rows, reason
from hfkit.infer.vectorizer import Vectorizer
from hfkit.serve.batching import Answers, Ask, Closed, Job, Listener, QueueFull, Worker
from hfkit.serve.refusal import Refusal, bad
from hfkit.serve.watched import Watched

if TYPE_CHECKING:
    from hfkit.config.serving import Limits
    from hfkit.tasks.base import Answer, Row, Task

log = logging.getLogger(__name__)

KEPT = 32  # manners of one model
PAIR = ("question", "context", "text", "text_pair")
WINDOWS = 16  # a text of more characters than so many times the tokens of a window is long
MOST_READ = 32  # longest texts that one row may make the model read: one with each label
FAILED = "the model failed"  # how the stream begins to say that a row made the model raise
Options = Mapping[str, Any]


@dataclass(eq=False)
class Way:
    """A task as it is asked, and what answers its rows."""

    task: Task[Any]
    ask: Ask


@dataclass(eq=False)
class Served:
    """One model. `remake` makes its task anew with other options; `columns` are those of the data
    it was trained on; `prompts` is what its vectors want in front of texts."""

    name: str
    kind: str
    predictor: Predictor
    remake: Callable[[Options], Task[Any]]
    worker: Worker
    limits: Limits
    columns: Mapping[str, Any] = field(default_factory=dict)
    prompts: Mapping[str, str] = field(default_factory=dict)
    _ways: OrderedDict[str, Way] = field(default_factory=OrderedDict)

    @property
    def task(self) -> Task[Any]:
        """The task as the run has it."""
        return self.predictor.task

    @property
    def roles(self) -> dict[str, bool]:
        """What a row is made of, and whether each part is needed."""
        left_out = {"label", "document", "negative"}
        found = {role.removesuffix("?"): not role.endswith("?") for role in self.task.columns}
        pair = {"text_pair": True} if "text_pair" in self.columns else {}
        if self.kind == "classification" and self.columns and not pair:
            left_out.add("text_pair")
        return {role: needed for role, needed in {**found, **pair}.items() if role not in left_out}

    def check_pair(self, given: bool) -> None:
        """Raise `Refusal` where the model reads two texts and one is given, or the other way."""
        needed = self.roles.get("text_pair")
        if needed and not given:
            raise bad(f"{self.name} reads two texts: text and text_pair")
        if needed is None and given:
            raise bad(f"{self.name} reads one text")

    @property
    def is_chat(self) -> bool:
        """Whether texts are messages of conversations."""
        return bool(getattr(self.task, "is_chat", False))

    @property
    def has_vectors(self) -> bool:
        """Whether it makes a vector of a text."""
        return self.task.auto_class.endswith(":Embedder")

    @property
    def listens(self) -> bool:
        """Whether a text can be heard while it is written: not with beams, which change it."""
        engine: Any = self.predictor.engine
        return hasattr(engine, "listener") and engine.model.model.generation_config.num_beams == 1

    def way(self, options: Options | None = None) -> Way:
        """The task with other options. Raises `Refusal` for those that do not fit."""
        changed = {name: value for name, value in (options or {}).items() if value is not None}
        return self._kept(f"task {_key(changed)}", lambda: self._make(changed))

    def vectors(self, *, kind: str = "", **settings: Any) -> Way:
        """The vectors of texts of a kind; `settings` are those of `Vectorizer`."""
        predictor = self.predictor
        changed = {name: value for name, value in settings.items() if value is not None}

        def make() -> Way:
            vectorizer = Vectorizer(
                predictor.tokenizer,
                Watched(predictor.engine, self.worker),
                predictor.batch_size,
                prompt=self.prompts.get(kind or "", ""),
            )
            vectorizer = replace(vectorizer, **changed)
            return Way(self.task, lambda rows: answer_rows(vectorizer, rows))

        return self._kept(f"vectors {kind} {_key(changed)}", make)

    def _kept(self, key: str, make: Callable[[], Way]) -> Way:
        if key not in self._ways:
            try:
                self._ways[key] = make()
            except InputError as error:
                raise bad(reason(error)) from error
            if len(self._ways) > KEPT:
                self._ways.popitem(last=False)
        self._ways.move_to_end(key)
        return self._ways[key]

    def _make(self, changed: Options) -> Way:
        task, run = self.remake(changed) if changed else self.task, self.predictor
        engine = Watched(run.engine, self.worker)
        predictor = Predictor(task, run.tokenizer, engine, run.batch_size, run.batch_tokens)
        if not changed or WRITING not in task.head():
            return Way(task, lambda rows: answer_rows(predictor, rows))
        manner = Manner(run.engine, task.head(), run.tokenizer)

        def written(rows: Sequence[Row]) -> Answers:
            with manner.on():
                return answer_rows(predictor, rows)

        return Way(task, written)

    async def answers(self, rows: Sequence[Row], way: Way | None = None) -> list[Answer]:
        """Answer rows. Raises `Refusal`: for a row that has no answer, where too many requests
        wait, and where it takes too long."""
        job = self.begin(rows, way)
        try:
            async with asyncio.timeout(self.limits.timeout):
                found = await asyncio.wrap_future(job.future)
        except TimeoutError:
            message = f"not answered within {self.limits.timeout:g} seconds"
            raise Refusal(503, message, {"Retry-After": "1"}) from None
        finally:
            job.leave()
        return list(_checked(found))

    def begin(
        self, rows: Sequence[Row], way: Way | None = None, listener: Listener | None = None
    ) -> Job:
        """Let rows wait for their answers; `listener` is told the tokens of a text as it comes."""
        way = way or self.way()
        self._check_sizes(rows)
        rows = [as_predicted(row) for row in rows]
        for row in rows:
            self._check_pairs(row)
        listen = self._listen if self.listens else None
        job = Job(rows, way.ask, listen, listener)
        try:
            self.worker.submit(job)
        except QueueFull:
            message = f"{self.limits.queue} requests wait already; try again"
            raise Refusal(429, message, {"Retry-After": "1"}) from None
        except Closed:
            raise Refusal(503, "the server is about to end", {"Retry-After": "5"}) from None
        return job

    def _listen(self, listener: Listener | None) -> None:
        """Hear each token that is written, if only to end where nobody waits for it."""

        def hear(tokens: list[int]) -> None:
            self.worker.check()
            if listener is not None:
                listener(tokens)

        engine: Any = self.predictor.engine
        engine.listener = hear

    def check_stride(self, name: str, stride: int | None) -> None:
        """Raise `Refusal` where windows of a text would share more than half of them."""
        most = self.predictor.tokenizer.max_length // 2
        if stride is not None and stride > most:
            raise bad(f"{name}: {most} tokens are the most, half of what the model reads at once")

    def _check_pairs(self, row: Row) -> None:
        """Raise `Refusal` for a long text with so long a second one, which is read with each window
        of it, that little room is left: there would be thousands of windows."""
        if self.has_vectors:
            return  # each is read for itself
        most = self.predictor.tokenizer.max_length
        found = [row[role] for role in PAIR if isinstance(row.get(role), str)]
        if len(found) < 2 or max(map(len, found)) <= WINDOWS * most:
            return
        short = found[0] if self.kind == "qa" else min(found, key=len)
        tokens = self.predictor.tokenizer.pieces([short[: WINDOWS * most]])[0]
        if len(tokens) > most // 2:
            raise bad("two texts that are both long: shorten one of them")

    def _check_sizes(self, rows: Sequence[Row]) -> None:
        most, longest = self.limits.max_texts, self.limits.max_text_length
        if not rows:
            raise bad("there are no texts")
        if len(rows) > most:
            raise bad(f"{len(rows)} texts; {most} are the most")
        for row in rows:
            total, labels = 0, _count(row.get("candidates"))
            for text in _texts(row):
                total += len(text)
                if total > longest:
                    raise bad(f"a text longer than {longest} characters")
                if total * labels > MOST_READ * longest:
                    raise bad("so long a text with so many labels")
                if any("\ud800" <= character <= "\udfff" for character in text):
                    raise bad("a text with half a character (an unpaired surrogate)")


def as_predicted(fields: Mapping[str, Any]) -> Row:
    """A row as `hfkit predict` makes it of a record of a file. Raises `Refusal`."""
    try:
        found: Row = ColumnMap({role: role for role in fields}, {}).row(dict(fields))
    except InputError as error:
        raise bad(reason(error).replace("column ", "", 1)) from error
    return found


def _texts(value: Any) -> Iterator[str]:
    """All texts inside of a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def _count(labels: Any) -> int:
    """How many labels a row has to choose from."""
    if isinstance(labels, str):
        return labels.count(",") + 1
    return len(labels) if isinstance(labels, list | tuple) else 0


def _key(options: Options) -> str:
    return json.dumps(options, sort_keys=True)


def _checked(found: Answers) -> Iterator[Answer]:
    """The answers; a reason in the place of one is the client's to know."""
    for number, answer in enumerate(found, 1):
        if isinstance(answer, str):
            if answer.startswith(FAILED):
                log.warning("a text made the model fail: %s", answer.split(":")[1].strip())
                answer = "the model cannot answer this"
            where = f"text {number}: " if len(found) > 1 else ""
            raise bad(f"{where}{answer}")
        yield answer


def as_refusal(error: BaseException) -> Refusal | None:
    """What went wrong with the machine or a setting, as clients are told; None for a bug."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, InputError):
        return bad(reason(error))
    if isinstance(error, HfkitError | MemoryError):
        return Refusal(503, "the machine has not what this needs", {"Retry-After": "5"})
    return None
