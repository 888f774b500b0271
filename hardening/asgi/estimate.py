"""How many tokens a prompt and its answer will be, before anybody counted: learned per account."""

from __future__ import annotations

from collections import OrderedDict

from hardening.policy import RESERVE_TOKENS

# English runs at about 4 bytes a token, code and other scripts at 2 to 3; the envelope of JSON adds bytes.
_FIRST = 4.0
_LEAST, _MOST = 1.0, 16.0
# The weight of the newest request: ten of them replace what was believed.
_WEIGHT = 0.2


class PromptRatio:
    """Bytes of a request body per prompt token, for each account; bounded, the longest unused goes.

    An estimate that is wrong is corrected when the lease is settled; the ratio stays within 1 and 16,
    so a request reserves at most four times too much and a quarter of its tokens at least.
    """

    def __init__(self, capacity: int = 4096) -> None:
        self._capacity = capacity
        self._ratios: OrderedDict[str, float] = OrderedDict()

    def of(self, account: str) -> float:
        """Bytes per token, as far as this account is known."""
        return self._ratios.get(account, _FIRST)

    def learn(self, account: str, prompt_bytes: int, prompt_tokens: int) -> None:
        """Take the true count of a request that the server has counted."""
        if prompt_tokens <= 0 or prompt_bytes <= 0:
            return
        seen = min(max(prompt_bytes / prompt_tokens, _LEAST), _MOST)
        known = self._ratios.get(account, _FIRST)
        self._ratios[account] = known + _WEIGHT * (seen - known)
        self._ratios.move_to_end(account)
        if len(self._ratios) > self._capacity:
            self._ratios.popitem(last=False)


# A step up for each longer answer and one down for each that is not: where of twenty answers one is longer
# both are in balance, so the length settles at the 95th percentile, and follows it.
_UP, _DOWN = 1.5**0.95, 1.5**-0.05
_SHORTEST, _LONGEST = 16.0, 65_536.0


class UsualLength:
    """The length that nearly all answers of an account stay within: its rolling 95th percentile.

    One number an account; bounded, the longest unused goes. Of whom nothing is known `RESERVE_TOKENS` stand.
    """

    def __init__(self, capacity: int = 4096) -> None:
        self._capacity = capacity
        self._lengths: OrderedDict[str, float] = OrderedDict()

    def of(self, account: str) -> int:
        """Completion tokens of one answer."""
        return int(self._lengths.get(account, RESERVE_TOKENS))

    def learn(self, account: str, tokens: int) -> None:
        """Take the length of an answer that came to its end; 0 is none."""
        if tokens <= 0:
            return
        known = self._lengths.get(account, float(RESERVE_TOKENS))
        step = _UP if tokens > known else _DOWN
        self._lengths[account] = min(max(known * step, _SHORTEST), _LONGEST)
        self._lengths.move_to_end(account)
        if len(self._lengths) > self._capacity:
            self._lengths.popitem(last=False)
