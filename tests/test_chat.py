"""Chat templates: what they write, and what keeps them from doing anything else."""

from __future__ import annotations

import json

import pytest

from hfkit.chat import Template, read_template
from hfkit.errors import InputError, SafetyError

ASKED = [{"role": "user", "content": "Hi"}]


def rendered(source: str, messages: list[dict[str, str]] = ASKED) -> str:
    return Template(source, {"bos_token": "<s>"}, "here").render(messages, asks=True).text


def test_messages_and_special_tokens_are_written() -> None:
    words = "{% for m in messages %}{{ m.content }}{% endfor %}"
    source = "{{ bos_token }}" + words + "{{ add_generation_prompt }}"
    assert rendered(source) == "<s>HiTrue"
    template = Template(source, {}, "here")
    assert [template.render(ASKED).text for _ in range(2)] == ["HiFalse"] * 2


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{{ 'ab' * 10**10 }}",
    ],
    ids=["endless", "large"],
)
def test_what_does_not_end_is_ended(source: str) -> None:
    template = Template(source + "{{ messages[0].content }}", {}, "folder/chat_template.jinja")
    for _ in range(2):
        with pytest.raises(SafetyError, match="takes more than a second") as found:
            template.render(ASKED)
        assert found.value.place == "folder/chat_template.jinja"


@pytest.mark.parametrize(
    "source",
    [
        "{{ messages.__class__.__mro__[1].__subclasses__() }}",
        "{{ cycler.__init__.__globals__.os.system('touch marker') }}",
        "{{ ''.__class__.__base__.__subclasses__()[0] }}",
        "{% import 'os' as os %}{{ os.system('touch marker') }}",
    ],
)
def test_no_template_gets_out(source: str, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        found = rendered(source)
    except InputError as error:
        assert "the chat template refuses" in str(error)
    else:
        assert "class" not in found
    assert not list(tmp_path.iterdir())


def test_a_template_may_refuse() -> None:
    with pytest.raises(InputError, match="refuses the messages: no system"):
        rendered("{{ raise_exception('no system') }}")


def test_where_templates_are_found(tmp_path) -> None:
    assert read_template(tmp_path, {}) is None
    settings = tmp_path / "tokenizer_config.json"
    settings.write_text(json.dumps({"chat_template": "one"}))
    found = read_template(tmp_path, {"eos_token": {"content": "</s>"}, "pad_token": None})
    assert found and found.source == "one" and found.tokens == {"eos_token": "</s>"}
    named = [{"name": "tools", "template": "a"}, {"name": "default", "template": "b"}]
    settings.write_text(json.dumps({"chat_template": named}))
    found = read_template(tmp_path, {})
    assert found and found.source == "b"
    (tmp_path / "chat_template.jinja").write_text("file")
    found = read_template(tmp_path, {})
    assert found and found.source == "file"
