"""Whether a request carries a signature or a digest by which its server would notice a changed body.

Sources: AWS Signature Version 4 and those made after it, RFC 9530 and RFC 9421, RFC 7616, OAuth 1.0 body hashes.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.types import Scope

_DIGESTS = frozenset(
    {
        b"content-digest",
        b"content-md5",
        b"digest",
        b"repr-digest",
        b"x-goog-content-sha256",
        b"x-ms-content-sha256",
    }
)
_NO_DIGEST = b"unsigned-payload"  # what AWS has in the place of one
_OF_THE_BODY = (b"digest", b"content-length")  # what a message signature covers
_SIGNED_ADDRESS = b"x-amz-signature="


def body_is_signed(scope: Scope) -> bool:
    """Whether the body may not be changed; what names no digest and yet signs is taken to sign the body."""
    headers = [(name.lower(), value.strip().lower()) for name, value in scope["headers"]]
    told = [value for name, value in headers if name == b"x-amz-content-sha256"]
    if any(value != _NO_DIGEST for value in told) or any(name in _DIGESTS for name, _ in headers):
        return True
    if any(name == b"signature-input" and _covers(value) for name, value in headers):
        return True
    signs = _SIGNED_ADDRESS in scope.get("query_string", b"").lower() or _authorized_by_digest(headers)
    return signs and not told


def _covers(components: bytes) -> bool:
    return any(name in components for name in _OF_THE_BODY)


def _authorized_by_digest(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    for name, value in headers:
        scheme, _, rest = value.partition(b" ")
        if name in (b"authorization", b"proxy-authorization") and (
            b"hmac" in scheme
            or scheme.startswith(b"aws4-")
            or (scheme == b"digest" and b"auth-int" in rest)
            or b"oauth_body_hash" in rest
        ):
            return True
    return False
