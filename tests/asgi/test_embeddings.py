"""Doors of embeddings: stepped and disclosed, counted by their inputs, refused where the terms cannot be kept."""

from __future__ import annotations

import base64
import json
import random
import struct
from typing import Any

import numpy as np
import pytest

from hardening import DEFERRED
from hardening.testing import Hardened, harden
from tests.asgi.driver import Answer, ask, replies, run

_draw = random.Random(9)
VECTOR = [_draw.gauss(0, 0.05) for _ in range(32)]
USAGE = {"prompt_tokens": 8, "total_tokens": 8}
OPENAI = {"object": "list", "data": [{"index": 0, "embedding": VECTOR}], "model": "m", "usage": USAGE}
BODY = json.dumps(OPENAI).encode()
ASKED = {"model": "m", "input": ["one", "two", "three"]}
POLICY = """\
version: 1
name: vectors
accounts: {unproven: {limits: [many]}}
limits: {many: {embeddings: 1000, per: 1h}, tokens: {tokens: 5000, per: 1h}}
defaults: {limits: [many, tokens], embeddings: {step: 0.001}}
rules:
  - {name: noisy, match: {model: noisy}, embeddings: {noise: 0.1}}
  - {name: closed, match: {model: closed}, refuse: {status: 403, message: closed}}
  - {name: coarse, match: {model: coarse}, embeddings: {step: 0.1}}
  - {name: as-it-is, match: {model: as-it-is}, embeddings: {step: 0}}
  - {name: internal, match: {model: internal}, exempt: true}
doors: {"/v1/publishers/google/models/e:predict": gemini_embed}
"""


def asked(
    value: dict[str, Any] = ASKED,
    policy: str = POLICY,
    *,
    path: str = "/v1/embeddings",
    body: bytes = BODY,
    kind: bytes = b"application/json",
    status: int = 200,
) -> tuple[Answer, Hardened, int]:
    """The answer, the middleware, and how often the app was called."""
    seen: list[Any] = []
    hardened = harden(
        replies([body], kind=kind, status=status, seen=seen), policy, identify=lambda scope: "acct_1"
    )
    return run(ask(hardened, json.dumps(value).encode(), path=path)), hardened, len(seen)


def values(answer: Answer) -> list[float]:
    found: list[float] = json.loads(answer.body)["data"][0]["embedding"]
    return found


@pytest.mark.parametrize(("policy", "step"), [("baseline", 0.001), ("strict", 0.001), ("embeddings", 0.001)])
def test_presets_step_embeddings_and_say_so(policy: str, step: float) -> None:
    answer, hardened, _ = asked(policy=policy)
    assert values(answer) == [round(value / step) / 1000 + 0.0 for value in VECTOR]
    assert "embeddings=0.001" in answer.headers["x-hardening"].split(", ")
    assert answer.headers["cache-control"] == "private, no-store"
    (receipt,) = hardened.receipts
    assert (receipt.format, receipt.changed, receipt.status) == ("openai_embeddings", ("embeddings",), 200)
    assert (receipt.tokens.prompt, receipt.tokens.completion, receipt.tokens.source) == (8, 0, "usage")


def test_observe_changes_no_byte_and_no_header() -> None:
    answer, hardened, _ = asked(policy="observe")
    assert answer.body == BODY
    assert set(answer.headers) == {"content-type"}
    would = hardened.receipts[0].would
    assert would is not None
    assert would.embeddings.step == 0.001


@pytest.mark.parametrize("model", ["as-it-is", "internal"])
def test_without_a_step_nothing_changes_or_is_told(model: str) -> None:
    answer, hardened, _ = asked({**ASKED, "model": model})
    assert answer.body == BODY
    assert "embeddings" not in answer.headers.get("x-hardening", "")
    assert hardened.receipts[0].changed == ()


def test_every_input_counts_and_no_completion_is_reserved() -> None:
    """Catches a batch that counts once, and a reserve for answers that there are none of."""
    many = {"model": "m", "input": ["x"] * 900}
    answer, hardened, _ = asked(many)
    left = {state.limit.name: state.remaining for state in hardened.receipts[0].limits}
    assert (answer.status, left["many"]) == (200, 100)
    assert left["tokens"] > 3000
    again = run(ask(hardened, json.dumps(many).encode(), path="/v1/embeddings"))
    assert again.status == 429


PACKINGS = [
    ("/v1/embeddings", {"encoding_format": "bytes"}, False),
    ("/v1/embeddings", {"encoding_format": "bytes_only"}, False),
    ("/v1/embeddings", {"Embed_DType": "float16"}, False),
    ("/v1/embeddings", {"output_dtype": "ubinary"}, False),
    ("/v1/embeddings", {"endianness": "big"}, False),
    ("/v1/embeddings", {"encoding_format": ["float", "bits"]}, False),
    ("/v2/embed", {"embedding_types": ["float", "binary"]}, False),
    ("/v2/embed", {"embedding_types": ["float", "int8", "base64"]}, True),
    ("/v1/embeddings", {"output_dtype": "int8"}, True),
    ("/v1/embeddings", {"encoding_format": "base64_int8"}, True),
    ("/v1/embeddings", {"encoding_format": "base64_binary"}, False),
    ("/v1/embeddings", {"encoding_format": "Base64", "output_dtype": "float", "embed_dtype": None}, True),
]


@pytest.mark.parametrize(("path", "more", "given"), PACKINGS)
def test_a_packing_that_no_grid_fits_is_refused_before_the_app(
    path: str, more: dict[str, Any], given: bool
) -> None:
    answer, hardened, calls = asked({**ASKED, **more}, path=path)
    assert (answer.status, calls) == ((200, 1) if given else (403, 0))
    if not given:
        assert "ask for float" in answer.body.decode()
        left = {state.limit.name: state.remaining for state in hardened.receipts[0].limits}
        assert left.keys() == {"many", "tokens"}
        assert run(ask(hardened, json.dumps(ASKED).encode(), path="/v1/embeddings")).status == 200
        states = {state.limit.name: state.remaining for state in hardened.receipts[1].limits}
        assert states["many"] == 997  # what was refused was not charged
    assert asked({**ASKED, "model": "as-it-is", **more}, path=path)[2] == 1


@pytest.mark.parametrize("model", ["m", "coarse", "as-it-is"])
def test_bytes_in_base64_leave_on_the_grid_where_they_are_asked_for(model: str) -> None:
    """Catches bytes that are read as floats, and bytes that are finer than the grid."""
    given = np.random.default_rng(5).integers(-90, 90, 96).astype("i1")
    body = json.dumps({"data": [{"embedding": base64.b64encode(given.tobytes()).decode()}]}).encode()
    asked_for = {**ASKED, "model": model, "encoding_format": "base64_int8"}
    answer, hardened, _ = asked(asked_for, body=body)
    assert answer.status == 200
    left = np.frombuffer(base64.b64decode(json.loads(answer.body)["data"][0]["embedding"]), "i1")
    if model == "coarse":
        assert len(set(left.tolist())) <= 256 / (0.1 * 128) + 2
        assert hardened.receipts[0].changed == ("embeddings",)
    else:
        assert answer.body == body
    if model != "as-it-is":
        unasked, _, _ = asked({**ASKED, "model": model}, body=body)
        assert unasked.status == 502
        assert b"name float, base64 or base64_int8" in unasked.body


def test_floats_leave_on_the_grid_though_bytes_were_asked_for() -> None:
    """Catches a server that passes over the name of a packing, and values that leave as they are for it."""
    given = struct.pack(f"<{len(VECTOR)}f", *VECTOR)
    body = json.dumps({"data": [{"embedding": base64.b64encode(given).decode()}]}).encode()
    answer, _, _ = asked({**ASKED, "encoding_format": "base64_int8"}, body=body)
    left = base64.b64decode(json.loads(answer.body)["data"][0]["embedding"])
    assert struct.unpack(f"<{len(VECTOR)}f", left) == pytest.approx([round(v, 3) for v in VECTOR], abs=1e-6)


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/v1/embeddings", {"error": {"message": str, "type": str, "param": None, "code": str}}),
        ("/api/embed", {"error": str}),
        ("/v1beta/models/closed:embedContent", {"error": {"code": int, "message": str, "status": str}}),
        ("/v2/embed", {"id": str, "message": str}),
    ],
)
def test_a_refusal_has_the_shape_of_the_api(path: str, shape: Any) -> None:
    answer, _, calls = asked({**ASKED, "model": "closed"}, path=path)
    assert (answer.status, calls) == (403, 0)

    def kinds(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: kinds(element) for key, element in value.items()}
        return None if value is None else type(value)

    assert kinds(json.loads(answer.body)) == shape


def test_under_noise_a_vector_is_the_same_whoever_asks_by_whatever_name() -> None:
    """Catches a draw for each account, or for each name that a server answers to, and their average."""
    long = [_draw.gauss(0, 0.05) for _ in range(96)]
    app = replies([json.dumps({"data": [{"embedding": long}]}).encode()], kind=b"application/json")
    policy = POLICY.replace("model: noisy", 'model: "noisy*"')
    seen = []
    names = iter(("acct_1", "acct_1", "acct_2"))
    hardened = harden(app, policy, identify=lambda scope: next(names))
    for model in ("noisy", "noisy-2", "noisy"):
        answer = run(ask(hardened, json.dumps({**ASKED, "model": model}).encode(), path="/v1/embeddings"))
        assert "noise=0.1" in answer.headers["x-hardening"]
        seen.append(values(answer))
    assert seen[0] == seen[1] == seen[2]
    assert max(abs(one - other) for one, other in zip(seen[0], long, strict=True)) > 0.002


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("/v1/embeddings", {"encoding_format": "base64_int8"}),
        ("/v1/embeddings", {"encoding_format": "binary"}),
        ("/v2/embed", {"embedding_types": ["float", "int8"]}),
    ],
)
def test_under_noise_bytes_are_refused_before_the_app(path: str, more: dict[str, Any]) -> None:
    """Catches a second draw for the bytes of a vector."""
    answer, _, calls = asked({**ASKED, "model": "noisy", **more}, path=path)
    assert (answer.status, calls) == (403, 0)
    assert b"ask for float" in answer.body


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"\x00\x01\xbe\xef" * 9, b"application/octet-stream"),
        (b'{"data":[{"embedding":"bm8gdmVjdG9y"}]}', b"application/json"),
    ],
)
def test_an_answer_that_cannot_be_read_is_not_given(body: bytes, kind: bytes) -> None:
    answer, hardened, _ = asked(body=body, kind=kind)
    assert answer.status == 502
    assert body not in answer.body
    assert "unreadable_response" in hardened.receipts[0].reasons
    lenient, _, _ = asked(policy=POLICY + "on_failure: {unreadable: pass}\n", body=body, kind=kind)
    assert (lenient.status, lenient.body) == (200, body)


def test_an_error_of_the_server_leaves_as_it_came() -> None:
    error = b'{"error":{"message":"no such model","type":"invalid_request_error","param":null,"code":null}}'
    answer, _, _ = asked(body=error, status=404)
    assert (answer.status, answer.body) == (404, error)


def test_predict_is_closed_until_a_policy_names_its_format() -> None:
    body = json.dumps({"predictions": [{"embeddings": {"values": VECTOR}}]}).encode()
    answer, _, calls = asked(body=body, path="/v1/publishers/google/models/other:predict")
    assert (answer.status, calls) == (403, 0)
    answer, _, _ = asked(body=body, path="/v1/publishers/google/models/e:predict")
    assert json.loads(answer.body)["predictions"][0]["embeddings"]["values"][:2] == pytest.approx(
        VECTOR[:2], abs=0.0005
    )
    assert answer.body != body


def test_an_answer_before_the_account_is_named_holds_no_vector() -> None:
    hardened = harden(replies([BODY], kind=b"application/json"), POLICY, identify=DEFERRED)
    answer = run(ask(hardened, json.dumps(ASKED).encode(), path="/v1/embeddings"))
    assert answer.status == 403
    assert b"0.0" not in answer.body
    failing = harden(replies([BODY], kind=b"application/json", status=400), POLICY, identify=DEFERRED)
    answer = run(ask(failing, json.dumps(ASKED).encode(), path="/v1/embeddings"))
    assert (answer.status, json.loads(answer.body)["data"]) == (400, [{"index": 0, "embedding": []}])


ROTATED = """\
version: 1
accounts: {groups: {partner: [acct_9]}}
defaults: {embeddings: {step: 0.001}}
rules:
  - {name: kept, match: {model: "e-*"}, embeddings: {rotate: true}}
  - {name: noisy, match: {model: e-noisy}, embeddings: {noise: 0.1}}
  - {name: internal, match: {model: e-internal}, exempt: true}
"""
LONG = [[_draw.gauss(0, 0.05) for _ in range(96)] for _ in range(2)]


def rotated(model: str = "e-1", *, identify: Any = None, policy: str = ROTATED) -> tuple[np.ndarray, Answer]:
    body = json.dumps({"data": [{"index": at, "embedding": row} for at, row in enumerate(LONG)]}).encode()
    app = replies([body], kind=b"application/json")
    hardened = harden(app, policy, identify=identify or (lambda scope: "acct_1"))
    answer = run(ask(hardened, json.dumps({**ASKED, "model": model}).encode(), path="/v1/embeddings"))
    return np.array([one["embedding"] for one in json.loads(answer.body)["data"]]), answer


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def test_rotated_vectors_compare_inside_of_their_group_and_model_only_and_say_so() -> None:
    rows, answer = rotated()
    clean = np.array(LONG)
    assert cosine(rows[0], rows[1]) == pytest.approx(cosine(clean[0], clean[1]), abs=0.02)
    assert abs(cosine(rows[0], clean[0])) < 0.5
    assert "rotated=?1" in answer.headers["x-hardening"].split(", ")
    again, _ = rotated(identify=lambda scope: "acct_2")
    np.testing.assert_array_equal(again, rows)
    for other in (rotated("e-2")[0], rotated(identify=lambda scope: "acct_9")[0]):
        assert abs(cosine(other[0], rows[0])) < 0.5
    for model in ("m", "e-internal"):
        plain, answer = rotated(model)
        assert cosine(plain[0], clean[0]) > 0.999
        assert "rotated" not in answer.headers.get("x-hardening", "")


def test_a_key_that_the_app_has_not_yet_accepted_is_of_its_group_from_the_first_answer() -> None:
    """Catches a first vector after each start that does not compare with those that follow."""
    body = json.dumps({"data": [{"embedding": LONG[0]}]}).encode()
    policy = ROTATED.replace(
        "accounts: {groups: {partner: [acct_9]}}", "accounts: {groups: {all: ['key_*']}}"
    )
    hardened = harden(replies([body], kind=b"application/json"), policy)
    asking = json.dumps({**ASKED, "model": "e-1"}).encode()
    answers = [
        run(ask(hardened, asking, path="/v1/embeddings", headers=[(b"authorization", b"Bearer k")]))
        for _ in range(2)
    ]
    assert [receipt.proven for receipt in hardened.receipts] == [False, True]
    assert answers[0].body == answers[1].body


def test_a_share_of_each_vector_leaves_and_says_so() -> None:
    policy = ROTATED.replace("noise: 0.1", "keep: 75%").replace("rotate: true", "rotate: false")
    rows, answer = rotated("e-noisy", policy=policy)
    assert 0.8 < cosine(rows[0], np.array(LONG[0])) < 0.93
    assert "kept=0.75" in answer.headers["x-hardening"]
    refused, _, calls = asked({**ASKED, "model": "e-noisy", "encoding_format": "base64_int8"}, policy)
    assert (refused.status, calls) == (403, 0)
    assert b"in part" in refused.body


def test_rotated_bytes_are_refused_before_the_app() -> None:
    answer, _, calls = asked({**ASKED, "model": "e-1", "encoding_format": "base64_int8"}, ROTATED)
    assert (answer.status, calls) == (403, 0)
    assert b"rotated" in answer.body


def test_a_rotation_does_not_start_without_a_key() -> None:
    app = replies([BODY], kind=b"application/json")
    hardened = harden(app, ROTATED, environment={})
    answer = run(ask(hardened, json.dumps(ASKED).encode(), path="/v1/embeddings"))
    assert answer.status == 503
    still = harden(app, ROTATED.replace("rotate: true", "rotate: false"), environment={})
    assert run(ask(still, json.dumps(ASKED).encode(), path="/v1/embeddings")).status == 200


def test_noise_grows_with_what_an_account_has_seen_and_not_with_what_others_have() -> None:
    """Catches noise for accounts that touch no more than benign ones, and one that forgets what was seen."""
    policy = "version: 1\ndefaults: {embeddings: {adaptive: 0.5, benign: 1%}}\n"
    chance = np.random.default_rng(4)
    given = chance.standard_normal((300, 96)) / 10

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = json.dumps({"data": [{"embedding": row} for row in given.tolist()]}).encode()
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    names = iter(("acct_1", "acct_1", "acct_2"))
    hardened = harden(app, policy, identify=lambda scope: next(names))
    answers = [run(ask(hardened, json.dumps(ASKED).encode(), path="/v1/embeddings")) for _ in range(3)]
    rows = [np.array([one["embedding"] for one in json.loads(each.body)["data"]]) for each in answers]
    missed = [np.linalg.norm(row - given, axis=1) / np.linalg.norm(given, axis=1) for row in rows]
    assert missed[0][:40].max() < 1e-4
    assert missed[0][-100:].min() > 0.3
    assert missed[1].min() > 0.3
    np.testing.assert_array_equal(rows[2], rows[0])
    assert "adaptive=0.5" in answers[0].headers["x-hardening"]


def test_bytes_that_may_need_noise_are_refused_before_the_app() -> None:
    policy = "version: 1\ndefaults: {embeddings: {adaptive: 0.5, benign: 1%}}\n"
    answer, _, calls = asked({**ASKED, "encoding_format": "base64_int8"}, policy)
    assert (answer.status, calls) == (403, 0)
    assert b"may be given with noise" in answer.body


@pytest.mark.parametrize(("is_wide", "band"), [(True, "watch"), (False, None)])
def test_who_sees_more_of_the_space_than_honest_accounts_comes_into_a_band(
    is_wide: bool, band: str | None
) -> None:
    """Catches evidence that nobody hears, and an account that is suspected for asking the same often."""
    chance = np.random.default_rng(4)
    rows = chance.standard_normal((256, 96)) / 10

    async def app(scope: Any, receive: Any, send: Any) -> None:
        given = chance.standard_normal((256, 96)) / 10 if is_wide else rows
        body = json.dumps({"data": [{"embedding": row} for row in given.tolist()]}).encode()
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    policy = """\
version: 1
limits: {many: {embeddings: 10M, per: 1d}}
defaults: {limits: [many], embeddings: {adaptive: 0.5, benign: 10%}}
risk: {bands: {watch: {enter: 0.5, leave: 0.4, charge: 4x}}}
"""
    hardened = harden(app, policy, identify=lambda scope: "acct_1")
    run(ask(hardened, json.dumps(ASKED).encode(), path="/v1/embeddings"))
    assert hardened.service is not None
    hardened.service.warm()
    for _ in range(40):
        run(ask(hardened, json.dumps(ASKED).encode(), path="/v1/embeddings"))
    assert hardened.receipts[-1].band == band
