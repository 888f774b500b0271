"""Traces between tags: any split, any case, never given back, honest mentions kept."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardening.events import Event, Finish, Reasoning, ReasoningCopy, Text, TextCopy
from hardening.transform.inline import InlineTraces
from hardening.wire.tags import TAGS


def split(pieces: list[str], *, mode: str = "tagged", whole: bool = False) -> tuple[str, str, InlineTraces]:
    traces = InlineTraces(mode, whole=whole)  # type: ignore[arg-type]
    events: list[Event] = [out for piece in pieces for out in traces.feed(Text(0, piece))]
    events += traces.feed(Finish(0, "stop"))
    text = "".join(event.text for event in events if isinstance(event, Text))
    hidden = "".join(event.text for event in events if isinstance(event, Reasoning))
    return text, hidden, traces


LOOSE = [
    ("< think >", "< / think >"),
    ("<Thinking >", "</ thinking>"),
    ('<think redacted="true" internal="a=b">', "</think>"),
    ("<thought\nlang=en>", "</thought\n>"),
    ('<details type="reasoning" done="true" duration="3">', "</details>"),
    ("<details open id='a' type='reasoning'>", "</details>"),
    ("<|channel|>analysis to=python code<|message|>", "<|end|>"),
    ("<|channel|> analysis <|constrain|>json<|message|>", "<|channel|>final<|message|>"),
]
"""Tags with blanks and attributes in them."""


@pytest.mark.parametrize(("opening", "closing"), [*TAGS, *LOOSE])
@given(cuts=st.lists(st.integers(0, 60), max_size=8))
def test_every_tag_under_any_split(opening: str, closing: str, cuts: list[int]) -> None:
    text = f"Hi {opening}secret trace{closing} answer [1] a<b"
    borders = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    visible, hidden, traces = split([text[a:b] for a, b in itertools.pairwise(borders)])
    assert (visible, hidden) == ("Hi  answer [1] a<b", "secret trace")
    assert traces.alarms == set()


@pytest.mark.parametrize(
    "text",
    [
        "<details><summary>a</summary>b</details> c",
        '<details open class="reasoning"> c </details>',
        "a <thought experiment> and < thinking about it > b",
        "if 1 < think and think > 2",
        "<think" + " a" * 300,
        "<think a=" + "b" * 300,
        "<details a",
        "1 < thi",
    ],
)
def test_brackets_of_others_are_honest_text(text: str) -> None:
    for pieces in ([text], list(text)):
        visible, hidden, traces = split(pieces)
        assert (visible, hidden, traces.alarms) == (text, "", set())


BEGINNINGS = [
    ("&lt;think&gt;", "&lt;/think&gt;"),
    ("\n &lt;reasoning&gt;", "</reasoning>"),
    ("analysis", "assistantfinal"),
    ("analysis", "<|channel|>final<|message|>"),
]
"""What opens a trace only where an answer begins."""


@pytest.mark.parametrize(("opening", "closing"), BEGINNINGS)
@given(cuts=st.lists(st.integers(0, 60), max_size=8))
def test_what_opens_a_trace_at_the_beginning_alone(opening: str, closing: str, cuts: list[int]) -> None:
    secret = "We see &lt; and <b> a secret"
    text = f"{opening}{secret}{closing} answer &lt;think&gt; analysisWe a<b"
    token = len(opening) if opening == "analysis" else 0
    borders = [0, *sorted(max(token, min(cut, len(text))) for cut in cuts), len(text)]
    for whole in (False, True):
        pieces = [text] if whole else [text[a:b] for a, b in itertools.pairwise(borders)]
        visible, hidden, traces = split(pieces, whole=whole)
        assert (visible.lstrip(), hidden) == ("answer &lt;think&gt; analysisWe a<b", secret)
        assert traces.alarms == set()


@pytest.mark.parametrize(
    "text",
    [
        "analysis",
        "analysis of it: We",
        "analysisResult = 3",
        "analysisWe",
        "analysisWell, We",
        "an answer",
        " \n a &lt;think&gt; b",
        "&lt;b&gt; c",
        "&lt;thin",
        "&",
        "Analysis: We",
        "",
    ],
)
def test_an_honest_beginning_stays(text: str) -> None:
    for pieces in ([text], list(text)):
        for whole in (False, True):
            visible, hidden, traces = split(["".join(pieces)] if whole else pieces, whole=whole)
            assert (visible, hidden, traces.alarms) == (text, "", set())


def test_text_is_held_back_only_as_long_as_a_tag_may_be() -> None:
    """Catches an opened bracket behind which all of an answer waits."""
    traces = InlineTraces("tagged")
    left = [out for piece in ["<details a=", *["more "] * 60] for out in traces.feed(Text(0, piece))]
    assert sum(len(event.text) for event in left if isinstance(event, Text)) >= 300


def test_tags_in_another_case_and_several_traces() -> None:
    assert split(["<Think>a</THINK>b<think>c</think>d"])[:2] == ("bd", "ac")


def test_an_unclosed_trace_is_never_given_back() -> None:
    assert split(["Hi <think>secret", " more", " and <"])[:2] == ("Hi ", "secret more and <")


@pytest.mark.parametrize(
    "text", ["a < b", "x[0", "<thin", "1 <", "[TH", "<thinker>", "a <b> c", "◁", "<|channel"]
)
def test_text_that_only_begins_like_a_tag_leaves_at_the_end(text: str) -> None:
    assert split(list(text))[0] == text


@pytest.mark.parametrize(
    "text", ["the `<think>` tag", 'use "<think>" or "</think>"', "'</think>'", "say `<think>`"]
)
def test_a_quoted_tag_is_honest_text(text: str) -> None:
    for pieces in ([text], list(text)):
        visible, hidden, traces = split(pieces)
        assert (visible, hidden, traces.alarms) == (text, "", set())


def test_a_tag_quoted_on_one_side_only_opens() -> None:
    assert split(['"<think>secret'])[:2] == ('"', "secret")
    assert split(['"', "<think>", "secret"])[:2] == ('"', "secret")


def test_a_bare_closing_tag_raises_an_alarm() -> None:
    visible, _, traces = split(["trace so far", "end</think>answer"])
    assert traces.alarms == {"bare_closing_tag"}
    assert visible == "trace so farend</think>answer"  # a client that looks for it still finds it


def test_in_a_whole_body_what_stands_before_a_bare_closing_tag_is_trace() -> None:
    visible, hidden, traces = split(["secret</think>answer"], whole=True)
    assert (visible, hidden, traces.alarms) == ("answer", "secret", {"bare_closing_tag"})
    assert split(["<think>a</think>b</think>c"], whole=True)[:2] == ("c", "ab")


def test_starts_open_hides_until_a_tag_closes() -> None:
    for pieces in (["secret</think>answer"], list("secret</think>answer")):
        assert split(pieces, mode="starts_open")[:2] == ("answer", "secret")
    assert split(["never closed"], mode="starts_open")[0] == ""


def test_choices_do_not_share_a_trace() -> None:
    traces = InlineTraces("tagged")
    events = [out for event in (Text(0, "<think>a"), Text(1, "b")) for out in traces.feed(event)]
    assert events == [Reasoning(0, "a", ("<think>", "</think>")), Text(1, "b")]


def test_a_copy_goes_once_anything_was_hidden_and_stays_before() -> None:
    traces = InlineTraces("tagged")
    assert list(traces.feed(TextCopy(0, "ab"))) == [TextCopy(0, "ab")]
    assert list(traces.feed(TextCopy(0, "<think>a"))) == []
    list(traces.feed(Text(0, "<think>a</think>")))
    assert list(traces.feed(TextCopy(0, "ab"))) == []


def test_text_without_tags_is_the_same_event() -> None:
    event = Text(0, "plain text, a list [1, 2] and 3 > 2")
    assert next(iter(InlineTraces("tagged").feed(event))) is event


def test_a_whole_text_tells_its_traces_by_their_number() -> None:
    """Catches a copy that splits otherwise than the pieces did, or counts a trace that said nothing."""
    said = "a<think>T1</think>b<think></think>c<think>T2"
    traces = InlineTraces("tagged")
    pieces = [event for letter in said for event in traces.feed(Text(0, letter))] + list(traces.flush())
    copied = list(traces.feed(TextCopy(0, said, whole=True)))
    visible = "".join(event.text for event in copied if isinstance(event, TextCopy))
    assert visible == "".join(event.text for event in pieces if isinstance(event, Text)) == "abc"
    tags = ("<think>", "</think>")
    assert [event for event in copied if not isinstance(event, TextCopy)] == [
        ReasoningCopy(0, tags, 0),
        ReasoningCopy(0, tags, 1),
    ]


def test_a_copy_takes_a_bare_closing_tag_as_what_it_copies_did() -> None:
    said = "Hm.</think>So."
    for whole, left in ((False, "Hm.</think>So."), (True, "So.")):
        traces = InlineTraces("tagged")
        list(traces.feed(Text(0, said, whole=whole)))
        copied = traces.feed(TextCopy(0, said, whole=True))
        assert "".join(event.text for event in copied if isinstance(event, TextCopy)) == left


def test_a_copy_without_a_tag_is_the_same_event() -> None:
    copy = TextCopy(0, "a < b", whole=True)
    (found,) = InlineTraces("tagged").feed(copy)
    assert found is copy
