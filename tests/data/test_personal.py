"""Personal data: what is one is found, what nearly is one is not, and a value never comes out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hfkit.cli.app import run as command_line
from hfkit.data.checks.personal import find, masked

KEY = "hf_" + "aB3" * 11
TRUE = [
    ("email", "anna.roth@example.org"),
    ("email", "a+b_c@mail.example.co.uk"),
    ("iban", "GB82 WEST 1234 5698 7654 32"),
    ("iban", "DE89370400440532013000"),
    ("iban", "FR1420041010050500013M02606"),
    ("card", "4111 1111 1111 1111"),
    ("card", "5555-5555-5555-4444"),
    ("card", "378282246310005"),
    ("ip", "8.8.8.8"),
    ("ip", "2001:4860:4860::8888"),
    ("phone", "+49 30 1234567"),
    ("phone", "+1 (212) 555-0123"),
    ("phone", "(212) 555-0123"),
    ("phone", "212-555-0123"),
    ("key", KEY),
    ("key", "ghp_" + "a1B2" * 9),
    ("key", "AKIAIOSFODNN7EXAMPLE"),
    ("key", "AIza" + "x" * 35),
]
NEARLY = [
    "anna.roth@example",  # no domain
    "a @ b.org",
    "GB83 WEST 1234 5698 7654 32",  # the check digits are wrong
    "DE8937040044053201300",  # a digit is missing
    "XX89370400440532013000",  # no country
    "4111 1111 1111 1112",  # the check digit is wrong
    "1234567812345670",  # Luhn, but of no issuer
    "300.8.8.8",
    "version 8.8.8.8",
    "v1.2.3.4",
    "8.8.8.8.8",
    "192.168.0.1",  # one's own network
    "127.0.0.1",
    "12:30:45",
    "2001:4860",
    "2024-01-31 12:30:45",
    "123-45-6789",
    "3.14159265358979",
    "100,000,000,000",
    "hf_short",
    "sk-learn",
    "AKIAshort",
]


@pytest.mark.parametrize(("kind", "value"), TRUE)
@pytest.mark.parametrize("around", ["{}", "see {}, please", "({})", "see {}."])
def test_values_are_found(kind: str, value: str, around: str) -> None:
    text = around.format(value)
    (one,) = find(text)
    assert (one.kind, text[one.start : one.end]) == (kind, value)
    assert masked(text) == around.format(f"[{kind.upper()}]")


@pytest.mark.parametrize("text", NEARLY)
def test_what_nearly_is_one_is_not(text: str) -> None:
    assert find(text) == []
    assert find(f"see {text}, please") == []


@pytest.mark.parametrize("piece", ["a", "1 ", "a@", "+1 ", "DE89", "1.", "2001:", "sk-", "eyJ"])
def test_long_texts_take_no_time_of_their_own(piece: str) -> None:
    """Twenty times the text is not four hundred times the steps: a watchdog of pytest would end
    this test, were an expression to look back over all it has read."""
    find(piece * (200_000 // len(piece)))


def rows() -> list[str]:
    return [f"the value is {value} indeed" for _, value in TRUE]


def grep(folder: Path, *outputs: str) -> None:
    """No value stands in what a person sees."""
    for output in outputs:
        for _, value in TRUE:
            assert value not in output, value


FILES = {
    "texts.csv": lambda texts: "text,label\n" + "".join(
        f'"{text}, ""so""",{"ab"[n % 2]}\r\n' for n, text in enumerate(texts)),
    "texts.tsv": lambda texts: "text\tlabel\n" + "".join(
        f"{text}\t{'ab'[n % 2]}\n" for n, text in enumerate(texts)),
    "texts.jsonl": lambda texts: "".join(
        json.dumps({"text": text, "label": "ab"[n % 2], "n": n}, separators=(",", ": ")) + "\n"
        for n, text in enumerate(texts)),
    "texts.conll": lambda texts: "".join(
        "".join(f"{word}\t{'B-X' if n else 'O'}\n" for n, word in enumerate(text.split())) + "\n"
        for text in texts),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("as_json", [False, True])
def test_values_never_come_out(
    name: str, as_json: bool, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(FILES[name](rows()).encode())
    command_line(["check", str(path), *(["--json"] if as_json else [])])
    out, err = capfd.readouterr()
    grep(tmp_path, out, err)
    if as_json:
        found = {one["code"]: one["count"] for one in json.loads(out)["findings"]}
        for kind in {kind for kind, _ in TRUE}:
            count = sum(one == kind for one, _ in TRUE)
            assert found[f"personal-{kind}"] == count, kind


def test_values_in_labels_names_and_bad_rows_never_come_out(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.jsonl"
    lines = [{"text": f"text {n}", "label": value} for n, (_, value) in enumerate(TRUE)]
    path.write_text(
        "".join(json.dumps(line) + "\n" for line in lines) + f'{{"text": "{KEY}", x}}\n'
    )
    command_line(["check", str(path)])
    grep(tmp_path, *capfd.readouterr())
    headless = tmp_path / "b.csv"
    headless.write_text("".join(f"{value},{n}\n" for n, (_, value) in enumerate(TRUE)))
    command_line(["check", str(headless)])
    grep(tmp_path, *capfd.readouterr())


@pytest.mark.parametrize("name", FILES)
def test_a_copy_is_the_file_but_for_the_values(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path, copy = tmp_path / name, tmp_path / f"copy-{name}"
    content = b"\xef\xbb\xbf" + FILES[name](rows()).encode()
    path.write_bytes(content)
    assert command_line(["check", str(path), "--redact", "-o", str(copy)]) in (0, 2)
    grep(tmp_path, copy.read_text(), *capfd.readouterr())
    for kind, value in TRUE:
        if name.endswith(".conll"):  # each word of a value becomes the mask
            for word in value.split():
                content = content.replace(
                    f"\n{word}\t".encode(), f"\n[{kind.upper()}]\t".encode(), 1
                )
        else:
            content = content.replace(value.encode(), f"[{kind.upper()}]".encode())
    assert copy.read_bytes() == content


def test_a_file_without_values_is_copied_byte_for_byte(tmp_path: Path) -> None:
    path, copy = tmp_path / "a.csv", tmp_path / "b.csv"
    path.write_bytes('text,label\r\n"two\nlines, ""é""",a\r\nplain,b'.encode("latin-1"))
    arguments = ["check", str(path), "--encoding", "latin-1", "--redact", "-o", str(copy)]
    assert command_line(arguments) == 0
    assert copy.read_bytes() == path.read_bytes()


def copied(row: dict[str, object], tmp_path: Path) -> dict[str, object]:
    path, copy = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    path.write_text(json.dumps(row) + "\n")
    assert command_line(["check", str(path), "--redact", "-o", str(copy)]) in (0, 2)
    found: dict[str, object] = json.loads(copy.read_text())
    return found


def test_offsets_of_entities_move_with_the_text(tmp_path: Path) -> None:
    text = "anna@example.org met Bo, 8.8.8.8 in Bern"
    spans = [[0, 16, "MAIL"], [21, 23, "PER"], [36, 40, "LOC"]]
    found = copied({"text": text, "entities": spans}, tmp_path)
    new = found["text"]
    assert new == "[EMAIL] met Bo, [IP] in Bern"
    assert [new[a:b] for a, b, _ in found["entities"]] == ["[EMAIL]", "Bo", "Bern"]


def test_offsets_of_objects_and_their_surfaces_move(tmp_path: Path) -> None:
    text = "8.8.8.8 is Bo"
    one = {"start": 11, "end": 13, "label": "PER", "text": "Bo"}
    found = copied({"text": text, "entities": [one]}, tmp_path)
    assert found["entities"] == [{"start": 8, "end": 10, "label": "PER", "text": "Bo"}]


def test_offsets_of_answers_move(tmp_path: Path) -> None:
    context = "Write to anna@example.org in Bern"
    answers = {"text": ["Bern", "anna@example.org"], "answer_start": [29, 9]}
    row = {"question": "where?", "context": context, "answers": answers}
    found = copied(row, tmp_path)
    assert found["context"] == "Write to [EMAIL] in Bern"
    assert found["answers"] == {"text": ["Bern", "[EMAIL]"], "answer_start": [20, 9]}


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("a.csv", 'question,context,answer,start\nwhere?,"a@b.org, Bern",Bern,9\n', "moved"),
        ("a.json", '[{"text": "a@b.org", "label": "x"}]', "cannot be written"),
        (
            "a.jsonl",
            '{"text": "a@b.org 中", "label": {"X": {"中": [[8, 8]]}}}\n',
            "cannot be moved",
        ),
        ("a.jsonl", '{"text": "a", "label": "x"}\n{"text": }\n', "cannot be read"),
    ],
)
def test_what_cannot_be_kept_right_is_refused(
    name: str, content: str, what: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    path.write_text(content)
    assert command_line(["check", str(path), "--redact", "-o", str(tmp_path / "copy")]) == 2
    err = capfd.readouterr().err
    assert what in err and "a@b.org" not in err
    assert not (tmp_path / "copy").exists()
