"""What noise is a function of: the texts of a question and who says them, and nothing that stands beside them."""

from __future__ import annotations

import json

import pytest

from hardening.wire.prefixes import MOST_BYTES, prefixes

HELLO = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say hello."}]


def of(**asked: object) -> tuple[bytes, ...]:
    return prefixes(json.dumps(asked).encode())[0]


SAME = [
    {"messages": HELLO, "seed": 7, "n": 3, "user": "x", "temperature": 1, "logit_bias": {}, "tools": [{}]},
    {"messages": [{"role": "system", "content": "Be  brief.\n"}, {"content": " Say\thello.", "role": "user"}]},
    {"messages": [HELLO[0], {"role": "user", "content": [{"type": "text", "text": "Say hel"}, {"text": "lo."}]}]},
    {"messages": [{"role": "developer", "content": "Be brief.", "name": "a"}, HELLO[1]]},
    {"messages": [HELLO[0], {"role": "user", "content": ""}, HELLO[1]]},
    {"instructions": "Be brief.", "input": "Say hello."},
    {"instructions": "Be brief.", "input": [{"role": "user", "content": [{"type": "input_text", "text": "Say hello."}]}]},
    {"systemInstruction": {"parts": [{"text": "Be brief."}]}, "contents": [{"role": "user", "parts": [{"text": "Say hello."}]}]},
    {"system": "Be brief.", "prompt": "Say hello."},
]  # fmt: skip


@pytest.mark.parametrize("asked", SAME)
def test_the_same_question_is_the_same_whatever_stands_beside_it(asked):
    assert of(**asked) == of(messages=HELLO) != ()


OTHERS = [
    [HELLO[1]],
    [HELLO[0], {"role": "user", "content": "Say hello!"}],
    [HELLO[1], HELLO[0]],
    [{"role": "user", "content": "Be brief."}, HELLO[1]],
    [*HELLO, {"role": "assistant", "content": "Hello"}],
]


@pytest.mark.parametrize("messages", OTHERS)
def test_another_question_is_another(messages):
    assert of(messages=messages) != of(messages=HELLO)


def test_each_of_several_prompts_is_one_by_itself():
    """Catches draws that change with the company in which a prompt is asked."""
    assert of(prompt=["a", "b"]) == (*of(prompt="a"), *of(prompt="b"))
    assert of(prompt=[[1, 2], [3]]) == (*of(prompt=[1, 2]), *of(prompt=[3]))
    assert prefixes(b'{"prompt":["a","b"],"n":2,"best_of":5}')[1] == 2


def test_spellings_of_json_make_no_difference():
    assert prefixes(b'{"prompt":"\\u0061\\u00e9"}') == prefixes('{"prompt": "aé"}'.encode())
    assert prefixes('{"prompt":"aé"}'.encode("utf-16")) == prefixes('{"prompt": "aé"}'.encode())


def test_of_a_long_prompt_the_end_counts():
    end = "z" * MOST_BYTES
    assert of(prompt="a" + end) == of(prompt="b" + end)
    assert of(prompt=end + "a") != of(prompt=end + "b")
    assert sum(map(len, of(messages=[{"role": "user", "content": end}] * 9))) <= MOST_BYTES + 64


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b'{"messages":[]}', b'{"messages":[{"role":"user","content":""}]}']
)
def test_without_a_text_there_is_no_question(body):
    assert prefixes(body)[0] == ()


def test_what_is_nested_without_end_is_not_followed():
    deep: object = "x"
    for _ in range(200):
        deep = [deep]
    assert of(messages=deep, prompt="a") == of(prompt="a")
