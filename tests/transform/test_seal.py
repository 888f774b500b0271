"""Seals: eight sizes by the length of what they hold, opened by whom they are for, in bounds."""

from __future__ import annotations

import base64
import itertools
import random
import tracemalloc
import zlib
from dataclasses import replace

import pytest

from hardening.events import THE_TRACE
from hardening.transform import seal
from hardening.transform.seal import LASTS_S, SIZES, Bound, Sealer, room_of
from hardening.wire.mark import MARK
from hardening.wire.unseal import at_once

OURS = Bound("account:a", "openai_chat", "m", ("call_1", "call_2"))
KEY, OLD = b"k" * 32, b"o" * 32


def sealer(*keys: bytes, at: float = 0.0) -> Sealer:
    chance = random.Random(7)
    current, *previous = keys or (KEY,)
    return Sealer(current, previous, random=chance.randbytes, wall=lambda: at)


def made(text: str, by: Sealer | None = None, bound: Bound = OURS, **members: object) -> str | None:
    sealing = (by or sealer()).begin(bound)
    for at in range(0, len(text), 1600):
        sealing.feed(text[at : at + 1600])
    return sealing.finish(members or {"reasoning": THE_TRACE})


def opened(blob: str | None, by: Sealer | None = None, bound: Bound = OURS) -> dict[str, object] | None:
    assert blob is not None
    return at_once((by or sealer()).opening().open(blob, bound))


def prose(size: int, seed: int = 0) -> str:
    """Words, as compressible as a trace is."""
    chance = random.Random(seed)
    vocabulary = ["".join(chance.choices("etaoinshrdlu", k=chance.randint(2, 9))) for _ in range(600)]
    return " ".join(chance.choices(vocabulary, k=size // 5 + 2))[:size]


@pytest.mark.parametrize("text", ["", "a", "half \ud83d of a pair", "\0", "中文字" * 900, prose(200_000)])
def test_what_was_sealed_is_opened(text: str) -> None:
    beside = {"signature": "Eq=", "blocks": [{"type": "thinking", "thinking": THE_TRACE, "n": [1.5, None]}]}
    found = opened(made(text, reasoning=THE_TRACE, **beside))
    whole = {"type": "thinking", "thinking": text, "n": [1.5, None]}
    assert found == {"reasoning": text, "signature": "Eq=", "blocks": [whole]}


def test_members_that_hold_all_of_it_are_sealed_in_place_of_what_was_fed() -> None:
    assert opened(made("fed", content=[{"text": "whole"}])) == {"content": [{"text": "whole"}]}


def test_the_length_tells_three_bits_at_most() -> None:
    sizes = {len(blob) for size in range(1, 400_000, 7919) if (blob := made(prose(size)))}
    assert sizes <= {*SIZES}
    assert len(SIZES) <= 8


def test_prose_of_one_length_has_one_size() -> None:
    """Catches a size that tells how well a trace compresses, where a trace is what traces are."""
    for size in (100, 700, 900, 2_000, 6_500, 20_000, 60_000):
        found = {len(made(prose(size, seed)) or "") for seed in range(12)}
        assert found == {next(one for one in SIZES if size < one)}


def test_noise_takes_the_next_size_and_what_is_too_long_none() -> None:
    noise = "".join(random.Random(1).choices([chr(code) for code in range(33, 127)], k=SIZES[2] - 200))
    assert len(made(noise) or "") == SIZES[3]
    assert made("x" * (SIZES[-1] + 1)) is None
    assert made(prose(SIZES[-1] - 100)) is not None


def test_a_long_trace_is_kept_in_less_than_it_is_long() -> None:
    text = prose(400_000)
    pieces = [text[at : at + 1600] for at in range(0, len(text), 1600)]
    tracemalloc.start()
    sealing = sealer().begin(OURS)
    for _ in range(30):
        for piece in pieces:
            sealing.feed(piece)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < SIZES[-1]


CHANGED = {
    "owner": replace(OURS, owner="account:b"),
    "format": replace(OURS, format="anthropic_messages"),
    "family": replace(OURS, family="n"),
    "answers": replace(OURS, answers=("call_1",)),
    "no answers": replace(OURS, answers=()),
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_seal_holds_for_what_it_is_bound_to(name: str) -> None:
    assert opened(made("trace"), bound=CHANGED[name]) is None


def test_where_the_history_is_cut_off_the_place_is_not_asked() -> None:
    assert opened(made("trace"), bound=replace(OURS, answers=None)) == {"reasoning": "trace"}
    assert opened(made("trace"), bound=replace(OURS, answers=None, owner="account:b")) is None


def test_keys_rotate_and_seals_expire() -> None:
    blob = made("trace", sealer(OLD))
    assert opened(blob, sealer(KEY, OLD)) == {"reasoning": "trace"}
    assert opened(blob, sealer(KEY)) is None
    assert opened(blob, sealer(OLD, at=LASTS_S)) is not None
    assert opened(blob, sealer(OLD, at=LASTS_S + 1)) is None


def test_every_bit_counts() -> None:
    blob = made("trace") or ""
    raw = base64.urlsafe_b64decode(blob)
    for at in range(len(raw)):
        bent = bytearray(raw)
        bent[at] ^= 1 << at % 8
        assert opened(base64.urlsafe_b64encode(bent).decode()) is None, at


def test_either_alphabet_is_read() -> None:
    """Clients that keep bytes write them anew."""
    blob = next(one for one in map(made, map(str, range(99))) if one and {"-", "_"} & {*one})
    assert opened(blob.replace("-", "+").replace("_", "/")) is not None


@pytest.mark.parametrize(
    "blob", ["", MARK, MARK + "!" * (SIZES[0] - 8), MARK + "é" * (SIZES[0] - 8), "A" * SIZES[0]]
)
def test_what_is_no_seal_opens_nothing(blob: str) -> None:
    assert opened(blob) is None


def test_no_two_seals_are_alike() -> None:
    by = sealer()
    assert len({made("trace", by) for _ in range(50)}) == 50


def test_a_request_opens_so_many_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seal, "MOST_SEALS", 3)
    opening = sealer().opening()
    assert [at_once(opening.open(made("x") or "", OURS)) is None for _ in range(5)] == [False] * 3 + [
        True
    ] * 2


def test_a_request_holds_so_much_and_nothing_is_inflated_beyond(monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a bomb: zeros of the largest size are a thousandth of it in a seal."""
    asked: list[int] = []
    real = zlib.decompressobj

    class Watched:
        def __init__(self, window: int) -> None:
            self._real = real(window)

        def decompress(self, data: bytes, most: int) -> bytes:
            asked.append(most)
            return self._real.decompress(data, most)

    monkeypatch.setattr(seal, "MOST_BYTES", 2_500_000)
    blob = made("0" * 1_000_000) or ""
    opening = sealer().opening()
    monkeypatch.setattr(seal.zlib, "decompressobj", Watched)
    assert [at_once(opening.open(blob, OURS)) is None for _ in range(4)] == [False, False, True, True]
    assert len(asked) == 2
    assert sum(asked) <= 2_500_000


@pytest.mark.parametrize("size", SIZES)
def test_a_long_seal_is_opened_in_steps(size: int) -> None:
    """Thirty kilobytes in each, of the blob or of what it holds: the longest would take ten milliseconds at once."""
    text = prose(size * 3 // 4)
    blob = made(text) or ""
    taken = list(sealer().opening().open(blob, OURS))
    assert opened(blob) == {"reasoning": text}
    assert len(taken) >= len(blob) // (1 << 15)


@pytest.mark.parametrize("most", [1, 40_000, 150_000, 299_999, 300_000])
def test_no_more_is_inflated_than_the_seal_says(most: int) -> None:
    """In whatever pieces: to zlib a bound of nothing is none."""
    deflate = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    text = prose(300_000).encode()
    deflated = deflate.compress(text) + deflate.flush()
    assert len(deflated) > 3 * (1 << 15)
    assert at_once(seal._inflated(deflated, most)) == text[:most]


def test_a_piece_that_is_no_base64_ends_the_reading() -> None:
    """Wherever it stands, padding too: of a seal every piece is whole."""
    blob = made(prose(300_000)) or ""
    for at in (60, (1 << 15) - 1, 1 << 15, (1 << 15) + 2, len(blob) - 2):
        for bad in ("=", "!", "é", "\ud83d"):
            assert opened(blob[:at] + bad + blob[at + 1 :]) is None


def test_every_size_has_room_for_prose() -> None:
    assert all(left < right for left, right in itertools.pairwise(SIZES))
    assert all(size % 4 == 0 and room_of(size) > size * 0.6 for size in SIZES)
