"""What of a text is given and what is learnt, and how its tokens make rows.

    "The river" | " rose."            pieces: given | learnt
     5   9   12 |  31  7   2          tokens, with those that begin and end a text
     0   0   0  |  1   1   1          which of them are learnt

Pieces are encoded apart. Encoded together, the last token of a prompt may take in letters of its
completion, which are not there when a prompt is all there is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from hfkit.errors import InputError, RowError

if TYPE_CHECKING:
    from hfkit.chat import Template
    from hfkit.text import Tokenizer

HALF = "\ufffd"  # what the first bytes of a character spell
ASSISTANT = "assistant"
NO_TEMPLATE = "the tokenizer has no chat template, which puts messages into words"

Row = Mapping[str, Any]


class Piece(NamedTuple):
    """A part of a text that is encoded by itself; whether it is learnt."""

    text: str
    is_learnt: bool


class Tokens(NamedTuple):
    """Tokens, and of each whether it is learnt (1) or not (0)."""

    ids: list[int]
    learnt: list[int]

    def part(self, start: int, end: int) -> Tokens:
        """Some of them. The first has none before it, and is not learnt."""
        return Tokens(self.ids[start:end], [0, *self.learnt[start + 1 : end]][: end - start])


class Prompts:
    """Encodes rows: what is asked, what is learnt, texts joined.

    `ends` are the tokens that end texts, the first of them for those that are learnt; `chat`: a
    text is a message of the user's.
    """

    def __init__(self, tokenizer: Tokenizer, ends: Sequence[int], chat: bool) -> None:
        self._tokenizer = tokenizer
        self._begin = [] if tokenizer.null_id is None else [tokenizer.null_id]
        self._end = list(ends[:1])
        self._ends = set(ends)
        self._chat = chat

    def tokens(self, rows: Sequence[Row], *, asked: bool) -> list[Tokens]:
        """The tokens of each row, with those that begin it, and end it unless it is `asked`.

        Raises `RowError` for a conversation that cannot be put into words.
        """
        pieces = [self._pieces(row, number, asked) for number, row in enumerate(rows)]
        texts = [piece.text for of_row in pieces for piece in of_row]
        encoded = iter(self._tokenizer.pieces(texts))
        found = []
        for row, of_row in zip(rows, pieces, strict=True):
            is_chat = self._chat or "messages" in row  # the template writes how it begins
            ids = [] if is_chat else list(self._begin)
            learnt = [0] * len(ids)
            for piece in of_row:
                tokens = next(encoded)
                ids += tokens
                learnt += [int(piece.is_learnt)] * len(tokens)
            # A template may write the end of a line behind the token that ends a turn.
            is_ended = is_chat and not self._ends.isdisjoint(ids[-2:])
            if not asked and not is_ended:
                ids += self._end
                learnt += [1] * len(self._end)
            found.append(Tokens(ids, learnt))
        return found

    def _pieces(self, row: Row, number: int, asked: bool) -> list[Piece]:
        """What is encoded of a row, one after the other."""
        try:
            if asked:
                return [Piece(self._prompt(row), False)]
            if "messages" in row:
                return learnt_turns(row["messages"], self._template())
        except InputError as error:
            raise RowError(error.message, row=number, hint=error.hint) from error
        if "text" in row:
            return [Piece(row["text"], True)]
        return [Piece(row["prompt"], False), Piece(row["completion"], True)]

    def _prompt(self, row: Row) -> str:
        """What is gone on with: a text, or a conversation up to the assistant's next turn."""
        text: str = row.get("prompt", row.get("text", ""))
        if "messages" not in row and not self._chat:
            return text
        return self._template().render(asking(row), asks=True).text

    def _template(self) -> Template:
        if self._tokenizer.chat is None:
            raise InputError(NO_TEMPLATE)
        return self._tokenizer.chat

    def joined(self, rows: Sequence[Row]) -> Iterator[tuple[Tokens, int]]:
        """Documents one behind the other, line by line, cut into rows; each with the number of the
        row that its first token is from."""
        ids = list(self._begin or self._end)
        owners = [0] * len(ids)
        for _, group in groupby(enumerate(rows), lambda one: one[1].get("document", 0)):
            lines = list(group)
            texts = [row["text"] + "\n" for _, row in lines[:-1]] + [lines[-1][1]["text"]]
            if ids[-1:] != self._begin:  # GPT-2 has one token for the beginning and the end
                ids += self._begin
                owners += [lines[0][0]] * len(self._begin)
            for (number, _), tokens in zip(lines, self._tokenizer.pieces(texts), strict=True):
                ids += tokens
                owners += [number] * len(tokens)
            ids += self._end
            owners += [lines[-1][0]] * len(self._end)
        size = self._tokenizer.max_length
        for number, part in enumerate(blocks(Tokens(ids, [1] * len(ids)), size)):
            yield part, owners[number * (size - 1)]


def blocks(tokens: Tokens, size: int) -> Iterator[Tokens]:
    """Cut tokens into rows of at most `size`, which is 2 or more; each begins with the last token
    of the one before, so that every token but the first of all is learnt behind another.

    >>> [row.ids for row in blocks(Tokens([1, 2, 3, 4, 5], [1] * 5), 3)]
    [[1, 2, 3], [3, 4, 5]]
    """
    for start in range(0, max(len(tokens.ids) - 1, 1), size - 1):
        yield tokens.part(start, min(start + size, len(tokens.ids)))


def fitted(tokens: Tokens, size: int) -> Tokens:
    """At most `size` tokens: the prompt loses its beginning first, then the whole its end.

    >>> fitted(Tokens([1, 2, 3, 4, 5], [0, 0, 0, 1, 1]), 3).ids
    [3, 4, 5]
    >>> fitted(Tokens([1, 2, 3, 4, 5], [0, 1, 1, 1, 1]), 3).ids
    [1, 2, 3]
    """
    if len(tokens.ids) <= size:
        return tokens.part(0, len(tokens.ids))
    first = tokens.learnt.index(1) if 1 in tokens.learnt else len(tokens.ids)
    start = min(len(tokens.ids) - size, max(first - 1, 0))
    return tokens.part(start, start + size)


def last_prompt(tokens: Tokens) -> int:
    """How many tokens stand before the last ones that are learnt together.

    >>> last_prompt(Tokens([1, 2, 3, 4, 5, 6], [0, 1, 0, 0, 1, 1]))
    4
    """
    place = len(tokens.learnt)
    while place and not tokens.learnt[place - 1]:
        place -= 1
    while place and tokens.learnt[place - 1]:
        place -= 1
    return place


def asking(row: Row) -> list[Mapping[str, Any]]:
    """The conversation that a row asks for an answer in. Raises `InputError` where there is one."""
    if "messages" not in row:
        return [{"role": "user", "content": row.get("prompt", row.get("text", ""))}]
    messages: list[Mapping[str, Any]] = row["messages"]
    if messages[-1]["role"] == ASSISTANT:
        raise InputError("the assistant has spoken last", hint="leave out its last message")
    return messages


def learnt_turns(messages: Sequence[Mapping[str, Any]], template: Template) -> list[Piece]:
    """A conversation up to the assistant's last turn. All its turns are learnt where the template
    marks them, else the last one.

    Raises `InputError` where the assistant says nothing, and where a template writes the beginning
    of a conversation otherwise than the whole, so that the last turn cannot be told from the rest.
    """
    turns = [n for n, message in enumerate(messages) if message["role"] == ASSISTANT]
    if not turns:
        raise InputError("no turn of the assistant's, and so nothing to learn")
    said = messages[: turns[-1] + 1]
    found = template.render(said)
    if found.spoken:
        return _between(found.text, found.spoken)
    asked = template.render(said[:-1], asks=True).text
    if not found.text.startswith(asked):
        raise InputError(
            "the chat template writes a conversation otherwise once it is answered",
            hint="a template with {% generation %} around the assistant's turns can be learnt from",
        )
    return _between(found.text, [(len(asked), len(found.text))])


def _between(text: str, spans: Sequence[tuple[int, int]]) -> list[Piece]:
    """The text cut at the ends of spans, which are learnt."""
    pieces: list[Piece] = []
    place = 0
    for start, end in spans:
        pieces += [Piece(text[place:start], False), Piece(text[start:end], True)]
        place = end
    return [piece for piece in [*pieces, Piece(text[place:], False)] if piece.text]


def cut_before(text: str, words: Sequence[str]) -> str:
    """The text up to the first of some words in it.

    >>> cut_before("It rose. Q: And", ["Q:", "A:"])
    'It rose. '
    """
    places = [text.find(word) for word in words if word in text]
    return text[: min(places)] if places else text


def settled(text: str, stop: Sequence[str]) -> str:
    """The text without what may yet become another: white space at its end, half a character, the
    beginning of a word that ends texts.

    >>> settled("It rose. Q", ["Q:"]), settled("It rose", [])
    ('It rose.', 'It rose')
    """
    text = text.rstrip(HALF)
    longest = max((len(word) for word in stop), default=1) - 1
    for size in range(min(longest, len(text)), 0, -1):
        if any(word.startswith(text[-size:]) for word in stop):
            text = text[:-size]
            break
    return text.rstrip()
