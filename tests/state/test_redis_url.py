"""Addresses of a Redis store: what is read, what is refused, and that no text shows a password."""

from __future__ import annotations

import pytest

from hardening.errors import StateError
from hardening.state import open_store
from hardening.state.redis_url import RedisUrl, read_url


def test_all_of_an_address_is_read() -> None:
    url = read_url("rediss://joe:p%40ss@cache.example:6380/3?client_name=api&prefix=eu&ssl_ca_certs=/ca.pem")
    assert url == RedisUrl(
        "rediss",
        (("cache.example", 6380),),
        db=3,
        username="joe",
        password="p@ss",
        prefix="eu",
        options=(("client_name", "api"), ("ssl_ca_certs", "/ca.pem")),
    )
    assert (url.is_tls, url.is_cluster) == (True, False)
    assert "p@ss" not in repr(url)


@pytest.mark.parametrize(
    ("text", "nodes"),
    [
        ("redis://cache", (("cache", 6379),)),
        ("redis://:secret@cache/", (("cache", 6379),)),
        ("redis://[::1]:7000", (("::1", 7000),)),
        ("redis+cluster://a,b:7001,[::1]:7002", (("a", 6379), ("b", 7001), ("::1", 7002))),
        ("rediss+cluster://u:p@a:1,b:2?prefix=x", (("a", 1), ("b", 2))),
    ],
)
def test_servers_are_read(text: str, nodes: tuple[tuple[str, int], ...]) -> None:
    assert read_url(text).nodes == nodes


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("redis://", "no host and port"),
        ("redis:///0", "no host and port"),
        ("redis://:secret@", "no host and port"),
        ("redis://:secret@cache:99999", "no host and port"),
        ("redis://:secret@cache:port", "no host and port"),
        ("redis://:secret@[::1", "cannot be read"),
        ("redis://:secret@a,b", "several servers"),
        ("redis://:secret@cache/zero", "a path"),
        ("redis://:secret@cache/-1", "a path"),
        ("redis://:secret@cache/0/1", "a path"),
        ("redis+cluster://:secret@cache/1", "a path"),
        ("redis://:secret@cache?timeout=3", "timeout="),
        ("redis://:secret@cache?secret", "cannot be read"),
        ("redis://:secret@cache?ssl_ca_certs=/x", "ssl_ca_certs="),
        ("rediss://:secret@cache?ssl_cert_reqs=none", "ssl_cert_reqs="),
        ("redis://:secret@cache?client_name=", "client_name empty"),
        ("redis://:secret@cache?prefix=a&prefix=b", "prefix empty or twice"),
        ("redis://:secret@cache?prefix=a{b", "a brace"),
        ("redis://:secret@cache?client_name=a%0ab", "a blank"),
    ],
)
def test_what_cannot_be_kept_is_refused(text: str, found: str) -> None:
    with pytest.raises(StateError, match=found) as fault:
        open_store(text)
    assert fault.value.__suppress_context__ or fault.value.__context__ is None
    assert "secret@" not in str(fault.value)
    assert ":secret" not in str(fault.value)
