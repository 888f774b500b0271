"""Rows of log-probabilities, cut to the policy's number of tokens and to its grid of values."""

from __future__ import annotations

import json

from hardening import kernels

_BACKSLASH = 92


class LogprobCutter:
    """Cuts the raw JSON array of rows as OpenAI's `logprobs.content` holds it.

    Of each row at most `top` alternatives stay: the highest, of equal ones the first given. The token that
    was drawn keeps a value only where it is one of them, or where fewer than `top` are listed; else it
    gets -9999.0. Values are floored to multiples of `step` nats; 0 leaves them as they are spelled. On a
    grid the likeliest token comes first, the others by what leaves of their values, then by their bytes.
    Members of a row that are not `token`, `logprob`, `bytes`, `top_logprobs` do not leave.
    """

    def __init__(self, top: int | None, step: float) -> None:
        """`top` None keeps all alternatives; ValueError for a negative one, or a step outside 0 to 9999."""
        if top is not None and top < 0:
            raise ValueError(f"top is {top}; allowed are 0 and above, or None")
        self._top = top
        self._grid = kernels.Grid.of(step)

    def cut(
        self,
        raw: bytes,
        visible: str | bytes | None,
        draws: kernels.Draws | None = None,
        *,
        lone: bool = True,
    ) -> bytes:
        """The rows that may leave, as a JSON array; `[]` where none may, or where `raw` is no array.

        With `visible`, the text that the client sees beside these rows, only rows that spell it stay;
        as `bytes` it is the content of a JSON string, escapes included. None asks for no such check.
        `draws` is noise on their values, for which there must be a step. Without `lone` a drawn token has no value
        but as one of the alternatives.
        """
        if self._top == 0:
            return b"[]"
        if visible is None or (isinstance(visible, bytes) and _BACKSLASH not in visible):
            text = visible  # as most are: spared a call
        else:
            text = _utf8(visible)
        if text is not None and not text:
            # A row without visible text is a position inside what is hidden, or the end of the answer.
            return b"[]"
        return kernels.cut_rows(raw, text, self._top, self._grid, draws, lone)


def _utf8(visible: str | bytes) -> bytes:
    """The UTF-8 of a text, or of the content of a JSON string; half surrogate pairs stay as they are."""
    if isinstance(visible, bytes):
        try:
            visible = json.loads(b'"' + visible + b'"', strict=False)
        except ValueError:
            return b""  # no text of a JSON string: no row can spell it
    return str(visible).encode("utf-8", "surrogatepass")
