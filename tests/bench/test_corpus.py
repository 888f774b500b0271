"""The corpus run on recordings written here: what it counts, what it excuses, how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.corpus.__main__ import main
from bench.corpus.dialects import read_answer
from bench.corpus.drive import SPLITS, pieces_of
from bench.corpus.leaks import find
from bench.corpus.reading import rows_beyond, usage_of, without_trace
from bench.corpus.strings import places
from hardening.redteam.claims import goals
from tests.exchanges import ANSWER as TOLD
from tests.exchanges import TRACE as TOLD_TRACE
from tests.exchanges import responses_stream

TRACE = "Tom starts with five apples. He gives two of them away, so three are left in the bowl."
ANSWER = "Three apples are left."
USAGE = {"prompt_tokens": 9, "completion_tokens": 30, "total_tokens": 39}
ROW = {"token": "Three", "logprob": -0.31, "bytes": None, "top_logprobs": [{"token": "Two", "logprob": -1.37, "bytes": None}]}  # fmt: skip

Row = dict[str, object]


def recording(format: str, body: str, **more: object) -> Row:
    """A line of a corpus file as its README describes it."""
    stream = body.startswith(("data:", "event:"))
    meta = {
        "id": f"own-{len(body)}-{stream}",
        "format": format,
        "status": 200,
        "content_type": "text/event-stream" if stream else "application/json",
        "stream": stream,
        "reasoning_text": [TRACE],
        "answer_text": ANSWER,
        "usage": USAGE,
        **more,
    }
    return {"meta": meta, "request": {"model": "m", "messages": []}, "body": body}


def chat(message: dict[str, object], **more: object) -> str:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop", **more}
    return json.dumps({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": USAGE})  # fmt: skip


def chat_stream(*deltas: dict[str, object]) -> str:
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    ends = [None] * len(deltas) + ["stop"]
    chunks = [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": end}]}
        for delta, end in zip([*deltas, {}], ends, strict=True)
    ]
    return "".join(f"data: {json.dumps(value)}\n\n" for value in [*chunks, {**head, "choices": [], "usage": USAGE}]) + "data: [DONE]\n\n"  # fmt: skip


def message(*blocks: dict[str, object]) -> str:
    usage = {"input_tokens": 9, "output_tokens": 30}
    return json.dumps({"id": "m", "type": "message", "role": "assistant", "model": "m", "content": blocks, "stop_reason": "end_turn", "stop_sequence": None, "usage": usage})  # fmt: skip


GEMINI_USAGE = {
    "promptTokenCount": 9,
    "candidatesTokenCount": 10,
    "thoughtsTokenCount": 20,
    "totalTokenCount": 39,
}
LISTS = {"chosenCandidates": [{"token": "Three", "logProbability": -0.31}], "topCandidates": [{"candidates": [{"token": "Three", "logProbability": -0.31}]}]}  # fmt: skip
CALL = {"functionCall": {"name": "count", "args": {"of": "apples"}}, "thoughtSignature": "EqQB"}


def gemini(*parts: dict[str, object], **more: object) -> str:
    candidate = {"content": {"parts": parts, "role": "model"}, "finishReason": "STOP", "index": 0, **more}
    return json.dumps({"candidates": [candidate], "usageMetadata": GEMINI_USAGE, "modelVersion": "m"})


def gemini_array(*thoughts: dict[str, object]) -> str:
    parts = [*({**thought, "thought": True} for thought in thoughts), {"text": ANSWER}]
    return f"[{','.join(gemini(part) for part in parts)}]"


def in_words(field: str, text: str) -> list[dict[str, object]]:
    return [{field: word + " "} for word in text.split(" ")]


SOUND = [
    recording("openai_chat", chat({"content": ANSWER, "reasoning": TRACE}, logprobs={"content": [ROW]})),
    recording(
        "openai_chat",
        chat_stream({"role": "assistant", "content": ""}, *in_words("reasoning", TRACE), *in_words("content", ANSWER)),
    ),
    recording("openai_chat", chat({"content": f"<think>{TRACE}</think>\n\n{ANSWER}"}), answer_text=f"<think>{TRACE}</think>\n\n{ANSWER}"),
    recording(
        "anthropic_messages",
        message({"type": "thinking", "thinking": TRACE, "signature": "EqQB"}, {"type": "text", "text": ANSWER}, {"type": "tool_use", "id": "toolu_1", "name": "count_what_is_left", "input": {"of": "apples"}}),
        usage={"input_tokens": 9, "output_tokens": 30},
    ),
    recording("gemini_generate", gemini({"text": TRACE, "thought": True}, {"text": ANSWER}, CALL, logprobsResult=LISTS), usage=GEMINI_USAGE),
    recording("gemini_stream", gemini_array(*in_words("text", TRACE)), stream=True, usage=GEMINI_USAGE),
    recording("bedrock_converse", "{}", reasoning_text=[], path="/model/m/converse"),
]  # fmt: skip


def lines(*values: dict[str, object], **last: object) -> str:
    """A stream of Ollama's, whose last line ends it."""
    head = {"model": "m", "created_at": "2026-01-01T00:00:00Z"}
    said = [
        *({**head, **value, "done": False} for value in values),
        {**head, "done": True, "done_reason": "stop", "prompt_eval_count": 9, "eval_count": 30, **last},
    ]
    return "".join(json.dumps(value) + "\n" for value in said)


def spoken(text: str, **more: object) -> dict[str, object]:
    return {"message": {"role": "assistant", "content": text, **more}}


LINES = {
    "content_type": "application/x-ndjson",
    "stream": True,
    "usage": {"prompt_eval_count": 9, "eval_count": 30},
}
TAGGED = f"<think>{TRACE}</think>{ANSWER}"
VECTOR = [0.0123456 * number for number in range(-12, 12)]
EMBEDDED = {"prompt_tokens": 9, "total_tokens": 9}
CHOICE = {"index": 0, "text": TAGGED, "logprobs": None, "finish_reason": "stop"}
PARTS = [
    {"type": "thinking", "thinking": [{"type": "text", "text": TRACE}]},
    {"type": "text", "text": ANSWER},
]
SOUND += [
    recording("ollama_chat", lines(*(spoken("", **said) for said in in_words("thinking", TRACE)), spoken(ANSWER), **spoken("")), **LINES),
    recording("ollama_generate", lines({"response": "", "thinking": TRACE}, {"response": ANSWER}, response=""), **LINES),
    recording("openai_completions", json.dumps({"id": "c", "object": "text_completion", "created": 1, "model": "m", "choices": [CHOICE], "usage": USAGE}), answer_text=TAGGED),
    recording("mistral_chat", chat({"content": PARTS, "tool_calls": None})),
    recording("openai_embeddings", json.dumps({"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": VECTOR}], "model": "m", "usage": EMBEDDED}), reasoning_text=[], answer_text="", usage=EMBEDDED),
    recording("rerank", json.dumps({"id": "r", "results": [{"index": 0, "relevance_score": 0.98005307}], "usage": EMBEDDED}), path="/v1/rerank", reasoning_text=[], answer_text="", usage=EMBEDDED),
]  # fmt: skip


@pytest.fixture
def corpus(tmp_path: Path) -> Callable[..., Path]:
    def write(*rows: Row) -> Path:
        for row in rows:
            with (tmp_path / f"{row['meta']['format']}.jsonl").open("a", encoding="utf-8") as file:  # type: ignore[index]
                file.write(json.dumps(row) + "\n")
        return tmp_path

    return write


def run(folder: Path, *more: str) -> int:
    return main(["--corpus", str(folder), "--jobs", "1", *more])


def claims(text: str) -> dict[str, dict[str, object]]:
    return {claim["name"]: claim for claim in json.loads(text)["claims"]}


def test_sound_recordings_hold_every_claim(corpus, capsys) -> None:
    assert run(corpus(*SOUND), "--json") == 0
    found = claims(capsys.readouterr().out)
    assert sorted(found) == sorted(goals("corpus"))
    assert all(claim["holds"] for claim in found.values())
    assert found["corpus_leaks"]["control"] >= 20 * len(TRACE)  # ten recordings under two policies
    assert found["corpus_identity"]["n"] == (12 + 1) * 4  # splits, and the one that no codec reads
    assert found["corpus_planted_unreviewed"]["control"] > 0


@pytest.mark.parametrize("split", SPLITS)
def test_a_planted_leak_ends_in_failure(corpus, capsys, split: str) -> None:
    # A place that no table and no name tells: what a codec with a gap would let out. `strict` lets out no text there.
    planted = recording("openai_chat", chat({"content": ANSWER, "vendor": {"note": TRACE}}))
    assert run(corpus(planted), "--json", "--split", split) == 1
    leaks = claims(capsys.readouterr().out)["corpus_leaks"]
    assert (leaks["value"], leaks["holds"]) == (len(TRACE), False)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"vendor_source": "x"}, "vendor_source"),  # passes by its name, and nobody has looked at it
        ({"a_source": [{"b": [{"c": "x"}]}]}, "a_source.b.c"),
    ],
)
def test_a_planted_sentence_that_passes_where_nobody_looked_is_told(corpus, capsys, value, path: str) -> None:
    body = json.dumps({**json.loads(chat({"content": ANSWER})), **value})
    row = recording("openai_chat", body, reasoning_text=[])
    assert run(corpus(row), "--policy", "strict", "--split", "whole") == 1
    out = capsys.readouterr().out
    assert f"a planted sentence passes at {path}, which planted.yaml does not name" in out
    assert "FAILS  corpus_planted_unreviewed = 1 " in out


def test_a_line_of_the_reviewed_list_that_nothing_matches_is_told(corpus, capsys) -> None:
    run(corpus(recording("openai_chat", chat({"content": ANSWER, "reasoning": TRACE}))), "--json")
    told = " ".join(capsys.readouterr().err.split())
    assert "openai_chat: search_results.*" in told.replace("openai_chat mistral_chat", "openai_chat")
    assert "choices.message.content," not in told


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        (rb'{"a": {"b": ["x", {"c": "y\"z"}]}, "d": 1, "e": ""}', ["a.b", "a.b.c", "e"]),
        (b'event: x\r\ndata: {"a": "x:y"}\r\n\r\ndata: [DONE]\n\n', ["a"]),
        (b'{"a": "x"}\n{"b": {"c": "{y}"}}\n', ["a", "b.c"]),
        (b'\xef\xbb\xbf[{"a": "x"},\r\n{"a": "y"}]', ["a", "a"]),
        (b"no JSON: at all", []),
    ],
)
def test_strings_are_found_with_the_keys_that_lead_to_them(body: bytes, paths: list[str]) -> None:
    found = list(places(body))
    assert [path for path, _, _ in found] == paths
    assert all(body[start] == body[end - 1] == 34 for _, start, end in found)


def test_an_answer_that_no_codec_reads_and_does_not_pass_as_it_is_ends_in_failure(
    corpus, capsys, monkeypatch
) -> None:
    """Catches a change of formats that have no codec, which would be seen by nobody."""
    rows = [*SOUND, recording("tgi_generate", "{}", reasoning_text=[])]
    monkeypatch.setattr("bench.corpus.passing.POLICY", "strict")  # which closes their doors
    assert run(corpus(*rows), "--json", "--split", "whole") == 1
    assert claims(capsys.readouterr().out)["corpus_identity"]["holds"] is False


def test_without_a_trace_the_run_proves_nothing_and_fails(corpus, capsys) -> None:
    assert run(corpus(recording("openai_chat", chat({"content": ANSWER}), reasoning_text=[])), "--json") == 1
    leaks = claims(capsys.readouterr().out)["corpus_leaks"]
    assert (leaks["value"], leaks["n"], leaks["holds"]) == (0, 0, False)


def test_text_that_is_missing_from_an_answer_is_an_answer_changed(corpus, capsys) -> None:
    # A pair of tags that the codecs know and the independent reader takes for text.
    text = "a <|START_THINKING|>b<|END_THINKING|> c"
    row = recording("openai_chat", chat({"content": text}), reasoning_text=[], answer_text=text)
    assert run(corpus(row), "--json", "--policy", "strict", "--split", "whole") == 1
    changed = claims(capsys.readouterr().out)["corpus_answers_changed"]
    assert (changed["value"], changed["n"]) == (1, 1)


def test_the_table_names_formats_without_a_codec(corpus, capsys) -> None:
    assert run(corpus(*SOUND), "--split", "whole", "--policy", "observe") == 0
    out = capsys.readouterr().out
    assert "bedrock_converse" in out
    assert "no codec yet" in out


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_folder_without_recordings_is_one_sentence(tmp_path: Path, capsys, name: str) -> None:
    assert run(tmp_path / name) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("scripts/corpus: found no ")
    assert captured.err.count("\n") == 1


def test_a_line_that_is_no_recording_is_named(tmp_path: Path, capsys) -> None:
    (tmp_path / "openai_chat.jsonl").write_text('{"meta": {}}\n')
    assert run(tmp_path) == 2
    assert "line 1" in capsys.readouterr().err


def test_an_unknown_policy_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as end:
        run(tmp_path, "--policy", "none")
    assert end.value.code == 2


@pytest.mark.parametrize("split", SPLITS)
def test_every_split_is_the_body_again(split: str) -> None:
    body = bytes(range(200))
    ways = list(pieces_of(body, split, "1:a"))
    assert all(b"".join(pieces()) == body for pieces in ways)
    assert len(ways) == (199 if split == "boundary" else 1)


def test_what_is_said_in_the_open_or_summarised_is_no_leak() -> None:
    body = json.dumps({"answer": TRACE[:40], "summary": TRACE[45:70], "hidden": TRACE[30:60]}).encode()
    found = find(body, [TRACE], spoken=TRACE[:40], summaries=[TRACE[45:70]])
    assert found.hidden == (TRACE[30:60],)
    assert found.where == ("hidden",) or found.where == ("text",)
    assert found.repeated == 1
    assert find(body, [TRACE], spoken=TRACE).chars == 0


def test_quotes_of_json_around_an_answer_are_no_part_of_a_trace() -> None:
    trace = 'The answer must be "Your name is Alice." and nothing else.'
    assert find(b'{"text":"Your name is Alice."}', [trace], spoken="Your name is Alice.").chars == 0


def test_text_calls_and_ends_are_read_without_the_codecs() -> None:
    calls = [
        {"tool_calls": [{"index": 0, "function": {"name": "add", "arguments": part}}]}
        for part in ('{"a":', "1}")
    ]
    calls[1]["tool_calls"][0]["function"].pop("name")
    answer = read_answer("openai_chat", chat_stream({"content": "a"}, {"content": "b"}, *calls).encode())
    assert answer.texts == {0: "ab"}
    assert [(call.name, call.arguments) for call in answer.calls.values()] == [("add", '{"a":1}')]
    assert answer.ends == {0: "stop"}


def test_a_response_is_read_in_each_of_its_tellings(corpus, capsys) -> None:
    """Catches a telling that nobody compares: one that is empty, or was left as it was."""
    stream = responses_stream()
    answer = read_answer("openai_responses", b"".join(stream))
    assert [*answer.texts.values()] == [TOLD] * 4  # pieces, whole, item, response
    assert answer.ends == {0: "completed"}
    stream[-1] = stream[-1].replace(TOLD.encode(), b"")
    assert len(read_answer("openai_responses", b"".join(stream)).texts) == 3
    body = b"".join(responses_stream()).decode()
    row = recording(
        "openai_responses", body, reasoning_text=[TOLD_TRACE], usage={"input_tokens": 9, "output_tokens": 40}
    )
    assert run(corpus(row), "--json", "--format", "openai_responses") == 0
    assert claims(capsys.readouterr().out)["corpus_sdk_failures"]["n"] == 2


def test_parts_calls_and_ends_of_an_array_are_read_without_the_codecs() -> None:
    answer = read_answer(
        "gemini_stream", f"[{gemini({'text': TRACE, 'thought': True}, CALL, {'text': ANSWER})}]".encode()
    )
    assert answer.texts == {0: ANSWER}
    assert [(call.name, call.arguments) for call in answer.calls.values()] == [
        ("count", json.dumps({"args": {"of": "apples"}, "name": "count"}))
    ]
    assert answer.ends == {0: "STOP"}


def test_a_stream_that_lost_its_blank_lines_is_read() -> None:
    body = chat_stream({"content": "a"}, {"content": "b"}).replace("\n\n", "\n").encode()
    assert read_answer("openai_chat", body).texts == {0: "ab"}


@pytest.mark.parametrize(
    ("format", "values", "texts"),
    [
        ("anthropic_messages", [{"type": "content_block_delta", "delta": {"text": "a"}}], {0: "a"}),
        ("anthropic_messages", [{"type": "content_block_start"}, {"type": "message", "content": [{"text": "a"}]}], {0: "a"}),
        ("openai_chat", [{"choices": [{"message": {"content": ["a", {"text": "b"}]}}]}], {0: "ab"}),
        ("openai_chat", [{"choices": [{"delta": "a"}]}, {"choices": [{"delta": {"content": "b"}}]}], {0: "b"}),
        ("openai_responses", [{"type": "response.output_item.done"}, {"type": "response.output_text.delta", "delta": "a"}], {0: "a"}),
    ],
)  # fmt: skip
def test_a_value_of_another_shape_ends_no_run(format: str, values: list[object], texts: Row) -> None:
    """Catches a reader that takes a field for given: one such recording would leave a run without any claim."""
    body = "".join(f"data: {json.dumps(value)}\n\n" for value in values)
    assert read_answer(format, body.encode()).texts == texts


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("<think>a</think>b", " b"),
        ("a<Thinking>b", "a "),
        ("a</think>b", " b"),
        ('a< think x="1">b</ think >c', "a c"),
        ('a<details type="reasoning" done="true">b</details>c</details>', "a c</details>"),
        ("a < b", "a < b"),
    ],
)
def test_traces_between_tags_are_cut_out(text: str, rest: str) -> None:
    assert without_trace(text) == rest


@pytest.mark.parametrize(
    ("raw", "counts"),
    [
        (USAGE, (9, 30)),
        ({"prompt_eval_count": 3, "eval_count": 4}, (3, 4)),
        ({"eval_count": 4}, (None, 4)),
        (GEMINI_USAGE, (9, 30)),
        ({"prompt_token_count": 3, "tool_use_prompt_token_count": 5, "candidates_token_count": 4, "total_token_count": 12}, (8, 4)),
        ({"promptTokenCount": 8, "toolUsePromptTokenCount": 5, "candidatesTokenCount": 4, "totalTokenCount": 12}, (8, 4)),
        ({"totalTokenCount": 7}, (7, 0)),
        ({"output_tokens": 2}, (None, 2)),
        ({"input_tokens": 1, "cache_read_input_tokens": 5, "output_tokens": 2}, (6, 2)),
        ({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 12, "completion_tokens_details": {"reasoning_tokens": 5}}, (3, 9)),
        ({"prompt_tokens": 3, "completion_tokens": 9, "total_tokens": 12, "completion_tokens_details": {"reasoning_tokens": 5}}, (3, 9)),
    ],
)  # fmt: skip
def test_usage_is_counted_by_the_vendors_rules(raw: dict[str, object], counts: tuple[int, int]) -> None:
    assert usage_of(raw) == counts


@pytest.mark.parametrize(
    ("top", "step", "beyond"), [(None, 0.0, 0), (5, 0.0, 0), (0, 0.0, 1), (5, 0.25, 1), (5, 0.01, 0)]
)
def test_rows_beyond_the_policy_are_told(top: int | None, step: float, beyond: int) -> None:
    body = chat({"content": "Three"}, logprobs={"content": [ROW]}).encode()
    assert rows_beyond(body, top, step) == beyond
    columns = {"tokens": ["Three"], "token_logprobs": [-0.31], "top_logprobs": [{"Two": -1.37}]}
    assert rows_beyond(json.dumps({"choices": [{"logprobs": columns}]}).encode(), top, step) == beyond
    assert rows_beyond(gemini({"text": "Three"}, logprobsResult=LISTS).encode(), top, step) == beyond


@pytest.mark.parametrize(
    "rows",
    [
        {"content": [{"logprob": -0.5, "top_logprobs": ["a", {"token": "b"}]}]},
        {"token_logprobs": [-0.5, -0.25], "top_logprobs": [[]]},
    ],
)
def test_rows_of_another_shape_end_no_run(rows: Row) -> None:
    assert rows_beyond(chat({}, logprobs=rows).encode(), 5, 0.25) == 0
