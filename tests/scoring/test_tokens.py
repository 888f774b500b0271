"""Token counts come from installed, checked files."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from hardening.errors import StartError
from hardening.scoring import tokens


@pytest.fixture(scope="module", params=tokens.ENCODINGS)
def counter(request):
    return tokens.load(request.param)


def test_known_counts(counter):
    assert counter.name in tokens.ENCODINGS
    assert [counter.count(text) for text in ("", "hello world", "hello world, hello world")] == [0, 2, 5]


def test_special_tokens_are_plain_text(counter):
    assert counter.count("<|endoftext|>") > 1


def test_a_run_that_breaks_the_tokenizer_is_counted_in_pieces(counter):
    assert counter.count(" " * 1_200_000) > 0


def test_pieces_add_at_most_one_token_each(counter):
    text = "The number of tokens is additive. " * 4000
    assert 0 <= counter.count(text) - 7 * 4000 <= 4000 + len(text) // 16_384


def test_an_encoding_is_loaded_once():
    assert tokens.load() is tokens.load("o200k_base")


def test_an_unknown_encoding_is_refused():
    with pytest.raises(StartError, match="cl100k_base, o200k_base"):
        tokens.load("p50k_base")


def test_a_changed_or_missing_rank_file_stops_the_start(tmp_path, monkeypatch):
    tokens._loaded.cache_clear()
    monkeypatch.setattr(tokens, "files", lambda package: Path(tmp_path))
    with pytest.raises(StartError, match=r"o200k_base\.tiktoken cannot be read"):
        tokens.load()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "o200k_base.tiktoken.gz").write_bytes(gzip.compress(b"YQ== 0\n"))
    with pytest.raises(StartError, match="sha256"):
        tokens.load()


def test_the_estimate_rounds_up():
    assert [tokens.estimate("x" * size) for size in (0, 1, 4, 5)] == [0, 1, 1, 2]


@pytest.mark.parametrize("text", ["", "a lamp <|endoftext|> of 6", "\ud83d\ude00 \udc80", "思维链\n\n"])
def test_the_numbers_of_tokens_come_as_an_array_too(counter, text):
    assert counter.numbered(text).dtype == np.int32
    assert counter.numbered(text).tolist() == counter.ids(text)
