"""Where this installation's secret comes from, and when there must be one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from hardening.errors import StartError
from hardening.identity import SECRET_BYTES, Keys
from hardening.policy import KeyPlace, Runtime

_SERVERS = (
    "daphne",
    "fastapi",
    "granian",
    "gunicorn",
    "hardening",
    "hypercorn",
    "litellm",
    "uvicorn",
    "vllm",
)
# vLLM has an API server for each of its data-parallel replicas, unless it is told another number.
_LONG = ("--workers", "--num-workers", "--api-server-count", "--data-parallel-size")
_SHORT = ("-w", "-asc", "-dp")


def read_keys(runtime: Runtime, environment: Mapping[str, str]) -> Keys:
    """The keys of the secrets that the policy names; without one, of a secret of this process.

    Raises:
        StartError: a secret cannot be read, or is too short.
    """
    current = None if runtime.key is None else _secret(runtime.key, environment)
    previous = [_secret(place, environment) for place in runtime.previous_keys]
    return Keys.of(current, previous if current is not None else ())


def forbid_without_key(state: str | None, workers: int) -> None:
    """Raise StartError for what only makes sense with a secret that other processes share.

    `state` is the address of the store; None for one that the app has made.
    """
    if workers > 1:
        raise StartError(f"found {workers} workers and no key: set HARDENING_KEY or HARDENING_KEY_FILE")
    if state is not None and not state.startswith("memory://"):
        scheme = state.partition("://")[0]
        raise StartError(f"found a {scheme} store and no key: set HARDENING_KEY or HARDENING_KEY_FILE")


def worker_count(environment: Mapping[str, str], argv: Sequence[str]) -> int:
    """How many processes the command line of a known server asks for; 1 where nothing says."""
    words = environment.get("GUNICORN_CMD_ARGS", "").split()
    if argv and any(name in part for name in _SERVERS for part in Path(argv[0]).parts[-2:]):
        words += argv[1:]
    counts = [environment.get("WEB_CONCURRENCY", "")]
    for word, following in pairwise([*words, ""]):
        name, given, value = word.partition("=")
        if name.replace("_", "-") in _LONG or word in _SHORT:
            counts.append(value if given else following)
        elif short := next((each for each in _SHORT if word.startswith(each)), ""):
            counts.append(word.removeprefix(short).removeprefix("="))
    return max([1, *(int(text) for text in counts if text.isdecimal())])


def _secret(place: KeyPlace, environment: Mapping[str, str]) -> bytes:
    if place.kind == "env":
        if place.name not in environment:
            raise StartError(f"key: the variable {place.name} is not set")
        secret = environment[place.name].encode()
    else:
        try:
            secret = Path(place.name).read_bytes().strip(b"\r\n")
        except OSError as fault:
            raise StartError(f"key: {place.name} cannot be read: {fault.strerror}") from fault
    if len(secret) < SECRET_BYTES:
        raise StartError(
            f"key: found {len(secret)} bytes in {place.name}, at least {SECRET_BYTES} are needed;"
            " `openssl rand -base64 48` makes such a key"
        )
    return secret
