"""Lines of an audit -> the part of a Receipt that says who asked for what, and what was decided."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache

from pydantic import TypeAdapter, ValidationError

from hardening.errors import HardeningError
from hardening.facts import Decision, Mode, PolicyId

MAX_LINE_BYTES = 64 * 1024
"""A line longer than this is none of ours."""


class ReceiptError(HardeningError):
    """A line is no receipt; the text says what is wrong with it and quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class Audited:
    """What `to_line` wrote, as far as a Decision can be compared with it; other fields are passed over."""

    time: datetime
    request_id: str
    policy: PolicyId
    mode: Mode
    account: str
    proven: bool
    door: str
    format: str
    model: str
    band: str | None
    risk: float
    reasons: tuple[str, ...]
    decision: Decision
    would: Decision | None

    @property
    def standing_band(self) -> str | None:
        """The band that the account stood in, where it is told; one in shadow is told by `would` alone."""
        return self.band if self.would is None else self.would.band


@cache
def _adapter() -> TypeAdapter[Audited]:
    return TypeAdapter(Audited)


def read_receipt(line: bytes) -> Audited:
    """The receipt of one line of an audit.

    Raises:
        ReceiptError: it is too long, no JSON object, or lacks a field of a receipt.
    """
    if len(line) > MAX_LINE_BYTES:
        raise ReceiptError(f"found more than {MAX_LINE_BYTES} bytes in one line; a receipt has fewer")
    try:
        return _adapter().validate_json(line, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    path = ".".join(str(step) for step in first["loc"])
    if first["type"] == "missing":
        raise ReceiptError(f"found no `{path}`; a receipt has one (a line that `runtime.audit` wrote)")
    if not path:
        raise ReceiptError("found no JSON object; a receipt is one line that `runtime.audit` wrote")
    raise ReceiptError(f"found another value at `{path}` than a receipt has there ({first['type']})")
