"""The connection to a Redis or Valkey server or cluster: one script, called in batches, each with a deadline.

Nothing is opened before the first call, and then for the running event loop, so forks and loops that
follow one another are safe. No text that leaves here names a server, a key or a password.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from redis import asyncio as aio
from redis import exceptions
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from hardening.errors import StateError
from hardening.state.redis_url import RedisUrl

DEADLINE_S = 0.25
"""How long a call waits for its answer, with its connection where there is none yet."""

_BEATS = 5
"""Turns of the event loop that a deadline is cut into. A loop that is late takes longer for them, and has read what
lay in its sockets at each: a worker that is busy must not take that for a store that is away."""

_BATCH = 64
"""Calls in one pipeline: at some 30 microseconds each the server is not held longer than 2 ms."""

_PIPES = 4
"""Pipelines under way at once; what comes meanwhile waits for the next, and so is batched."""

_CLUSTER_CALLS = 64
"""Calls under way at once in a cluster, one by one: a pipeline would wait for the slowest server."""

_SILENCE = 5
"""Deadlines after which the library gives up a connection; callers are gone long before."""

_HOPELESS = 15
"""Deadlines after which a pipeline is broken off: bytes drip in, so that the library does not time out."""

_STEP = 1000
"""Keys that a server looks at before it lets others in, when all are walked over."""

_Call = tuple["asyncio.Future[bytes]", asyncio.TimerHandle, tuple[Any, ...]]
"""What waits for an answer, what ends the wait, and the arguments from the number of keys on."""


class Link:
    """One script on one server or cluster."""

    def __init__(self, url: RedisUrl, script: bytes, *, deadline_s: float = DEADLINE_S) -> None:
        self._url = url
        self._script = script
        self._sha = hashlib.sha1(script, usedforsecurity=False).hexdigest()
        self._deadline_s = deadline_s
        self._size, self._pipes = (1, _CLUSTER_CALLS) if url.is_cluster else (_BATCH, _PIPES)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: Any = None
        self._waiting: list[_Call] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def call(self, keys: Sequence[str], args: Sequence[bytes | str]) -> asyncio.Future[bytes]:
        """Run the script on these keys; its answer, or StateError, is in the future that is returned."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._open(loop)
        answer: asyncio.Future[bytes] = loop.create_future()
        if not self._waiting and len(self._tasks) < self._pipes:
            loop.call_soon(self._flush)
        timer = loop.call_later(self._deadline_s / _BEATS, self._beat, answer, _BEATS - 1)
        self._waiting.append((answer, timer, (len(keys), *keys, *args)))
        return answer

    async def keys_like(self, pattern: str) -> AsyncIterator[bytes]:
        """Every key that matches, some of them twice; walks over all keys of all servers, in steps.

        Raises:
            StateError: a server did not answer.
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._open(loop)
        try:
            async for key in self._client.scan_iter(match=pattern, count=_STEP):
                yield key
        except (exceptions.RedisError, OSError) as fault:
            raise self._fault(fault) from None

    def lane(self, key: str) -> str:
        """Which server a key lies on, as far as is known: what fails together."""
        if not self._url.is_cluster or self._client is None:
            return ""
        try:
            return str(self._client.get_node_from_key(key).name)
        except (exceptions.RedisError, AttributeError):
            return ""  # the layout of the cluster is not known yet

    async def close(self) -> None:
        """Let go of every connection; a later call opens new ones."""
        if self._loop is not asyncio.get_running_loop():
            return  # what another loop opened ended with it
        self._flush()
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=2 * self._deadline_s)
        client, self._client, self._loop = self._client, None, None
        await client.aclose()

    def _open(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._client = _client(self._url, self._deadline_s)
        self._waiting = []
        self._tasks = set()

    def _flush(self) -> None:
        """Send what waits, in as many pipelines as are free."""
        while self._waiting and len(self._tasks) < self._pipes:
            batch, self._waiting = self._waiting[: self._size], self._waiting[self._size :]
            batch = [call for call in batch if not call[0].done()]
            if batch:
                task = asyncio.ensure_future(self._run(batch))
                self._tasks.add(task)
                task.add_done_callback(self._ran)

    def _ran(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._flush()

    async def _run(self, batch: list[_Call]) -> None:
        """Answer every call of a batch."""
        answers: Sequence[object]
        try:
            async with asyncio.timeout(_HOPELESS * self._deadline_s):
                answers = await self._send([arguments for _, _, arguments in batch])
        except Exception as fault:  # noqa: BLE001  whatever it is, nobody may wait for ever
            answers = [fault] * len(batch)
        for (waiting, timer, _), answer in zip(batch, answers, strict=True):
            timer.cancel()
            if waiting.done():
                continue  # who asked is gone
            if isinstance(answer, bytes):
                waiting.set_result(answer)
            else:
                waiting.set_exception(self._fault(answer))

    def _beat(self, answer: asyncio.Future[bytes], left: int) -> None:
        """Give up an answer whose time has passed."""
        if answer.done():
            return
        if left:
            answer.get_loop().call_later(self._deadline_s / _BEATS, self._beat, answer, left - 1)
        else:
            answer.set_exception(self._fault(TimeoutError()))

    def _fault(self, cause: object) -> StateError:
        return StateError(f"redis: {_told(cause, self._deadline_s)}")

    async def _send(self, calls: list[tuple[Any, ...]]) -> list[object]:
        answers = await self._evaluate("EVALSHA", self._sha, calls)
        unknown = [place for place, a in enumerate(answers) if isinstance(a, exceptions.NoScriptError)]
        if unknown:
            again = await self._evaluate("EVAL", self._script, [calls[place] for place in unknown])
            for place, answer in zip(unknown, again, strict=True):
                answers[place] = answer
        return answers

    async def _evaluate(
        self, command: str, script: str | bytes, calls: list[tuple[Any, ...]]
    ) -> list[object]:
        if len(calls) == 1:
            try:
                return [await self._client.execute_command(command, script, *calls[0])]
            except exceptions.ResponseError as fault:
                return [fault]
        pipe = self._client.pipeline(transaction=False)
        for arguments in calls:
            pipe.execute_command(command, script, *arguments)
        return list(await pipe.execute(raise_on_error=False))


def _client(url: RedisUrl, deadline_s: float) -> Any:
    """A client that retries nothing by itself, except to follow a cluster that changes."""
    options: dict[str, Any] = dict(url.options)
    options |= {"username": url.username, "password": url.password, "protocol": 2}
    options |= {"socket_timeout": _SILENCE * deadline_s, "socket_connect_timeout": _SILENCE * deadline_s}
    if url.is_tls:
        options |= {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
    if url.is_cluster:
        options |= {"ssl": url.is_tls, "max_connections": _CLUSTER_CALLS, "retry": Retry(NoBackoff(), 2)}
        return aio.RedisCluster(startup_nodes=[ClusterNode(*node) for node in url.nodes], **options)
    host, port = url.nodes[0]
    options |= {"host": host, "port": port, "db": url.db, "retry": Retry(NoBackoff(), 0)}
    if url.is_tls:
        options["connection_class"] = aio.SSLConnection
    return aio.Redis.from_pool(aio.BlockingConnectionPool(max_connections=_PIPES, **options))


def _told(fault: object, deadline_s: float) -> str:
    """What went wrong, without the text of anybody else: it may name servers and users."""
    if isinstance(fault, TimeoutError | exceptions.TimeoutError):
        return f"no answer within {deadline_s * 1000:.0f} ms"
    if isinstance(fault, exceptions.ResponseError) and (words := str(fault).split()):
        code = words[0]
        if code == "NEWER":
            return "the state was written by a later release; update this one, or use another prefix"
        if code.isalpha() and code.isupper():
            return f"the server answers {code}"
    return type(fault).__name__
