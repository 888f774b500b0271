"""Doors of rerankers and classifiers: scores on the policy's grid, disclosed, charged as prompts, and pages left alone."""

from __future__ import annotations

import json

import pytest

from hardening.testing import harden
from tests.asgi.driver import ask, replies, run

ASKED = json.dumps({"model": "m", "query": "what is a panda", "documents": ["a bear", "a car"]}).encode()
ANSWER = b'{"results":[{"index":0,"relevance_score":0.98005307},{"index":1,"relevance_score":0.0123456}],"usage":{"total_tokens":12}}'
STEPPED = ANSWER.replace(b"0.98005307", b"0.98").replace(b"0.0123456", b"0.012")


@pytest.mark.parametrize(
    "path", ["/v1/rerank", "/rerank", "/score", "/v1/score", "/invocations", "/classify"]
)
def test_scores_leave_on_the_grid_of_the_preset(path: str) -> None:
    hardened = harden(replies([ANSWER], kind=b"application/json"), "version: 1\nextends: baseline\n")
    answer = run(ask(hardened, ASKED, path=path))
    assert (answer.status, answer.body) == (200, STEPPED)
    assert "scores=0.001" in answer.headers["x-hardening"]
    (receipt,) = hardened.receipts
    assert (receipt.format, receipt.changed, receipt.tokens.prompt, receipt.tokens.settled) == (
        "scores",
        ("scores",),
        12,
        12,
    )


def test_strict_rounds_to_a_hundredth() -> None:
    hardened = harden(replies([ANSWER], kind=b"application/json"), "version: 1\nextends: strict\n")
    body = run(ask(hardened, ASKED, path="/v1/rerank")).body
    assert body == STEPPED.replace(b"0.012", b"0.01")


@pytest.mark.parametrize("path", ["/score", "/v1/score", "/invocations"])
def test_how_likely_tokens_are_that_a_caller_chooses_stays_closed(path: str) -> None:
    """Catches SGLang's score, which gives the values of a model's next token."""
    asked = json.dumps({"model": "m", "query": "q", "items": ["a"], "label_token_ids": [1, 2]}).encode()
    hardened = harden(
        replies([b'{"scores":[[0.1,0.9]]}'], kind=b"application/json"), "version: 1\nextends: baseline\n"
    )
    assert run(ask(hardened, asked, path=path)).status == 403


@pytest.mark.parametrize("path", ["/classify", "/score", "/rerank", "/shop/rerank"])
def test_a_page_of_that_name_is_left_alone(path: str) -> None:
    page = b"<p>0.98005307</p>"
    hardened = harden(replies([page], kind=b"text/html"), "version: 1\nextends: strict\n")
    assert run(ask(hardened, b"", path=path, method="GET")).body == page
    assert not hardened.receipts
