"""How the columns of data sets are usually called, by what they hold.

Names are compared as `plain` gives them: in lower case, without spaces, dots, hyphens and
underscores. Where a role has several sets of names, an earlier set wins.
"""

from __future__ import annotations

import re
from typing import Literal

LabelKind = Literal["labels", "entities", "answers", "scores", "texts", "none"]
Names = frozenset[str]


def _names(text: str) -> Names:
    return frozenset(text.split())


TEXT = _names(
    "text texta text1 sentence sentence1 sentences content contents review reviewtext reviewbody "
    "body utterance utt query comment commenttext tweet message headline document "
    "标题 内容 文本 句子 评论"
)
LABEL = _names(
    "label labels labeltext labelname goldlabel intent target category categories class classes "
    "topic sentiment emotion emotions entailmentjudgment score similarity similarityscore "
    "relatednessscore rating stars 标签 类别 情感 分类"
)
# The column that is to be predicted, by what it holds.
LABELS: dict[LabelKind, tuple[Names, ...]] = {
    "labels": (LABEL,),
    "entities": (
        _names("nertags nerlabels entities spans"),
        _names("tags labels label ner tag annotations results 实体 标签"),
    ),
    "answers": (_names("answers"), _names("answer answertext goldanswer 答案")),
    "scores": (
        _names("score scores similarity similarityscore relatednessscore sim 相似度"),
        _names("label labels goldscore goldlabel rating target duplicate isduplicate 标签"),
    ),
    "texts": (
        _names("summary highlights translation target tgt targettext targetstring output 摘要"),
        _names("title abstract headline label 标题 译文"),
    ),
}
# A text that another one is written for; where several have such names, the first set wins.
SOURCES = (
    _names("text source src document article dialogue sourcetext sourcestring"),
    _names("content input body sentence maintext emailbody 原文 正文 内容 文本"),
)
# Roles that are found by their names alone.
OTHERS: dict[str, tuple[Names, ...]] = {
    "question": (_names("question 问题"), _names("query questions questiontext q")),
    "context": (
        _names("context 上下文"),
        _names("passage paragraph contexts document article text passagetext 文章 原文"),
    ),
    "negative": (_names("negative"), _names("negatives hardnegative neg")),
    "candidates": (_names("candidates candidatelabels"), _names("choices options")),
    "prompt": (_names("prompt 提示"), _names("instruction question input")),
    "completion": (_names("completion"), _names("response output answer")),
    "messages": (_names("messages"), _names("conversation conversations chat")),
    "document": (_names("document documentid docid doc"),),
}
TOKENS = (
    _names("tokens"),
    _names("words tokenizedtext tokenlist wordlist token word sentence sentences text"),
)
START = _names("answerstart answerstarts start answeroffset startposition")  # beside an answer
PAIRS = (
    ("sentence1", "sentence2"),
    ("sentencea", "sentenceb"),
    ("question1", "question2"),
    ("premise", "hypothesis"),
    ("question", "sentence"),
    ("texta", "textb"),
    ("text1", "text2"),
    ("text", "textpair"),
    ("query", "passage"),
    ("句子1", "句子2"),
)
MATCHES = (  # texts that belong together; for similarity only
    ("anchor", "positive"),
    ("query", "positive"),
    ("question", "positive"),
    ("query", "answer"),
    ("query", "document"),
    ("question", "answer"),
    ("question", "passage"),
    ("title", "body"),
)
IDS = _names("id idx index guid uid uuid rowid pairid exampleid sentenceid textid")
LABEL_WORDS = ("labeltext", "labelname", "labeldesc", "labeldes")
# Names that show that the first line of a file is a header.
SPEAKING = (
    TEXT
    | LABEL
    | IDS
    | {name for pair in (*PAIRS, *MATCHES[:1]) for name in pair}
    | _names("question context answers answerstart")
)
FLAGS = {
    role: f"--{role.replace('_', '-')}-column"
    for role in ("text", "text_pair", "label", "tokens", "negative", *OTHERS)
}


def flag_of(role: str, kind: LabelKind) -> str:
    """The flag that names the column of a role, as the pages of the task spell it.

    >>> flag_of("text_pair", "labels"), flag_of("label", "texts")
    ('--text-pair-column', '--target-column')
    """
    return "--target-column" if (role, kind) == ("label", "texts") else FLAGS[role]


def plain(name: str) -> str:
    """Return a name as it is compared.

    >>> plain("Answer_Start"), plain("review-body")
    ('answerstart', 'reviewbody')
    """
    return re.sub(r"[\s_.\-]", "", name.casefold())


def known_name(name: str) -> bool:
    """Whether a word is a usual name of a column.

    >>> known_name("Label"), known_name("Hello")
    (True, False)
    """
    return plain(name.strip().strip('"')) in SPEAKING


def spoken(role: str) -> str:
    """Return a role as it is called in a message.

    >>> spoken("text_pair"), spoken("context")
    ('second text', 'context')
    """
    others = {
        "text_pair": "second text",
        "negative": "text that does not belong",
        "candidates": "labels to choose from",
    }
    return others.get(role, role.replace("_", " "))
