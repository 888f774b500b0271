"""OpenAI responses: rows beside each piece, and twice more at the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import orjson

from hardening.redteam.logprobs.dialects.dialect import Asked, Dialect, Said, Told, positions

_ROWS = "message.output_text.logprobs"


class Responses(Dialect):
    """One answer, whatever number is asked for."""

    path = stream_path = "/v1/responses"

    def body(self, prompt: str, asked: Asked, *, stream: bool) -> Asked:
        """A body that includes rows; what the API has no name for stands as gateways take it."""
        body = {"model": "toy", "input": prompt, "max_output_tokens": 1, "include": [_ROWS]}
        return body | ({"stream": True} if stream else {}) | asked

    def asked(self, body: Asked) -> Asked:
        """The input as a prompt, and rows where they are included or asked for as elsewhere."""
        known = {"prompt": body["input"], "max_tokens": body.get("max_output_tokens"), "n": 1}
        rows = {"logprobs": True} if _ROWS in (body.get("include") or ()) else {}
        return {**rows, **body, **known}

    def whole(self, answers: list[Said]) -> Asked:
        """The finished response."""
        return _response(answers[0], "completed")

    def frames(self, answers: list[Said]) -> Iterator[Asked]:
        """Its beginning, a token an event, the text with all rows, and the finished response."""
        said, place = answers[0], {"item_id": "msg_1", "output_index": 0, "content_index": 0}
        yield {"type": "response.created", "response": {**_response(said, "in_progress"), "output": []}}
        for word, row in zip(said.words, [*said.rows, *[None] * len(said.words)], strict=False):
            rows = [] if row is None else [row]
            yield {"type": "response.output_text.delta", **place, "delta": word, "logprobs": rows}
        text = "".join(said.words)
        yield {"type": "response.output_text.done", **place, "text": text, "logprobs": said.rows}
        yield {"type": "response.completed", "response": _response(said, "completed")}

    def told(self, piece: Asked) -> Iterator[Told]:
        """What an event or the finished response tells."""
        if "delta" in piece:
            yield Told(0, piece["delta"], positions(piece.get("logprobs")))
        elif "text" in piece and "logprobs" in piece:
            yield Told(0, piece["text"], positions(piece["logprobs"]), again=True)
        else:
            for item in (piece.get("response") or piece)["output"]:
                for part in item["content"]:
                    yield Told(0, part["text"], positions(part.get("logprobs")), again=True)

    def written(self, frames: Iterable[Asked]) -> Iterator[bytes]:
        """Events with their names and numbers."""
        for number, frame in enumerate(frames):
            told = {**frame, "sequence_number": number}
            yield b"event: %b\ndata: %b\n\n" % (frame["type"].encode(), orjson.dumps(told))


def _response(said: Said, status: str) -> Asked:
    part = {"type": "output_text", "text": "".join(said.words), "annotations": [], "logprobs": said.rows}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": status, "content": [part]}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "toy",
        "status": status,
        "output": [item],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }
