"""What each fault of a real server costs: killed, restarted, loading, read-only, stopped, closed to strangers."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hardening.errors import StateError
from hardening.facts import Account, Admission, Charge, Limit
from hardening.state import GuardedStore
from hardening.state.redis import RedisStore
from tests.state.conftest import needs_valkey
from tests.state.proxy import Proxy
from tests.state.servers import PATIENT_S, Server, served

pytestmark = [needs_valkey, pytest.mark.slow]

DAY = Limit("day", "tokens", amount=10_000.0, per_s=864_000_000.0, burst=10_000.0)
OPEN = Limit("open", "streams", amount=2.0, per_s=1.0, burst=2.0)
ANNE = Account("anne")


def of(limit: Limit, amount: float) -> Charge:
    return Charge(limit, ANNE.scope, amount)


@asynccontextmanager
async def guarded(url: str, **more: Any) -> AsyncIterator[GuardedStore]:
    """The store as the middleware uses it."""
    store = GuardedStore(RedisStore(url, **{"deadline_s": 0.5, **more}), time.monotonic)
    try:
        yield store
    finally:
        await store.close()


async def patiently(act: Any) -> Any:
    """The answer of a server that may still be starting, or loaded."""
    for _ in range(200):
        try:
            return await act()
        except StateError:
            await asyncio.sleep(0.05)
    raise AssertionError("the store does not answer")


async def admitted(store: GuardedStore, *charges: Charge) -> Admission:
    answer: Admission = await patiently(lambda: _admitted(store, charges))
    return answer


async def _admitted(store: GuardedStore, charges: tuple[Charge, ...]) -> Admission:
    return await store.admit(ANNE, charges, store._now())


async def left(store: GuardedStore, limit: Limit = DAY) -> float:
    answer = await admitted(store, of(limit, 0.0))
    assert answer.lease is not None
    await patiently(lambda: _settled(store, answer.lease, ()))
    return round(answer.limits[0].remaining)


async def _settled(store: GuardedStore, lease: Any, actual: tuple[Charge, ...]) -> None:
    await store.settle(lease, actual, None, store._now())


async def told(store: GuardedStore) -> None:
    """Wait until the store knows all that it missed."""
    for _ in range(600):
        if not (store._late or store.local.owes or store._round):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the store is not told")


async def written(server: Server) -> None:
    """Wait until the server has handed all that it logs to the kernel."""
    with server.client() as client:
        for _ in range(400):
            if not client.info("persistence")["aof_buffer_length"]:
                return
            await asyncio.sleep(0.02)
    raise AssertionError("the log is not written")


async def spends_locally(store: GuardedStore, tokens: float) -> None:
    with pytest.raises(StateError):
        await _admitted(store, (of(DAY, tokens),))
    answer = store.local.admit(ANNE, (of(DAY, tokens),), store._now())
    assert answer.lease is not None
    store.local.settle(answer.lease, (of(DAY, tokens),), None, store._now())


@pytest.mark.parametrize("fsync", ["always", "everysec"])
def test_a_killed_server_that_comes_back_has_lost_nothing(fsync: str, runner: asyncio.Runner) -> None:
    """kill -9 of the process: what it wrote is in the kernel. Under everysec that may wait for a disk that syncs."""

    async def run(server: Server) -> None:
        async with guarded(server.url) as store:
            open_before = (await admitted(store, of(DAY, 500.0), of(OPEN, 1.0))).lease
            for n in range(20):
                lease = (await admitted(store, of(DAY, 100.0))).lease
                await patiently(lambda lease=lease, n=n: _settled(store, lease, (of(DAY, float(n)),)))
            await written(server)
            server.kill()
            await spends_locally(store, 33.0)
            with pytest.raises(StateError):
                await _settled(store, open_before, (of(DAY, 7.0), of(OPEN, 0.0)))
            server.start()
            await told(store)
            assert await left(store) == 10_000 - sum(range(20)) - 33 - 7
            assert await left(store, OPEN) == 2

    with served(appendonly="yes", appendfsync=fsync) as server:
        runner.run(run(server))


def test_a_server_that_keeps_nothing_begins_anew(runner: asyncio.Runner) -> None:
    """Without AOF a restart is a flush: the limits are whole, and only what was missed meanwhile is charged."""

    async def run(server: Server) -> None:
        async with guarded(server.url) as store:
            lease = (await admitted(store, of(DAY, 500.0))).lease
            await patiently(lambda: _settled(store, lease, (of(DAY, 400.0),)))
            server.kill()
            await spends_locally(store, 33.0)
            server.start()
            await told(store)
            assert await left(store) == 10_000 - 33

    with served() as server:
        runner.run(run(server))


def test_a_server_that_stands_still_costs_deadlines_and_then_has_it_all(runner: asyncio.Runner) -> None:
    """SIGSTOP: what lay in its sockets runs when it goes on, also what was given up; nothing counts twice."""

    async def run(server: Server) -> None:
        async with guarded(server.url, deadline_s=0.3) as store:
            assert await left(store) == 10_000
            lease = (await admitted(store, of(DAY, 500.0))).lease
            os.kill(server.pid, signal.SIGSTOP)
            try:
                for _ in range(3):
                    await spends_locally(store, 10.0)
                with pytest.raises(StateError):
                    await _settled(store, lease, (of(DAY, 5.0),))
                began = time.monotonic()
                for _ in range(200):
                    with pytest.raises(StateError):
                        await _admitted(store, (of(DAY, 1.0),))
                assert time.monotonic() - began < 20.0  # not 200 deadlines
            finally:
                os.kill(server.pid, signal.SIGCONT)
            await told(store)
            await asyncio.sleep(0.5)
            await left(store)
            await asyncio.sleep(0.5)
            assert await left(store) == 10_000 - 35

    with served() as server:
        runner.run(run(server))


@pytest.mark.parametrize("fault", ["stopped", "killed"])
def test_a_server_that_comes_and_goes_gives_each_process_one_limit_and_no_more(
    fault: str, runner: asyncio.Runner
) -> None:
    """Two workers, four outages, and in none an account that has asked since: the bound of docs/limits.md."""

    def goes(server: Server) -> None:
        if fault == "stopped":
            os.kill(server.pid, signal.SIGSTOP)
        else:
            server.kill()

    def comes(server: Server) -> None:
        if fault == "stopped":
            os.kill(server.pid, signal.SIGCONT)
        else:
            server.start()

    async def run(server: Server) -> None:
        url, granted = server.url, 0
        async with guarded(url) as one, guarded(url) as other:
            for store in (one, other):
                assert await left(store) == 10_000
            for _ in range(4):
                goes(server)
                for store in (one, other):
                    with pytest.raises(StateError):
                        await _admitted(store, (of(DAY, 1.0),))
                    while lease := store.local.admit(ANNE, (of(DAY, 3000.0),), store._now()).lease:
                        store.local.settle(lease, (of(DAY, 3000.0),), None, store._now())
                        granted += 3000
                comes(server)
                for store in (one, other):
                    await told(store)
            assert granted == 2 * 9000
            answer = await admitted(one, of(DAY, 0.0))
            assert answer.limits[0].reset_s == pytest.approx(18_000 * DAY.per_s / DAY.amount, rel=0.01)

    with served(appendonly="yes", appendfsync="always") as server:
        runner.run(run(server))


def test_a_replica_refuses_what_it_may_not_write(runner: asyncio.Runner) -> None:
    async def run(server: Server) -> None:
        async with guarded(server.url, deadline_s=PATIENT_S) as store:
            lease = (await admitted(store, of(DAY, 500.0))).lease
            with server.client() as client:
                client.replicaof("127.0.0.1", 1)
                with pytest.raises(StateError, match="ReadOnlyError"):
                    await _admitted(store, (of(DAY, 1.0),))
                with pytest.raises(StateError, match="ReadOnlyError"):
                    await _settled(store, lease, (of(DAY, 8.0),))
                client.replicaof("no", "one")
            await told(store)
            assert await left(store) == 10_000 - 8

    with served() as server:
        runner.run(run(server))


def test_a_server_that_is_full_refuses_what_it_has_no_room_for_and_takes_what_frees_some(
    runner: asyncio.Runner,
) -> None:
    """The server refuses a script at its first write or not at all, so nothing is left half done."""

    async def run(server: Server) -> None:
        async with guarded(server.url, deadline_s=PATIENT_S) as store:
            lease = (await admitted(store, of(DAY, 500.0))).lease
            with server.client() as client:
                client.config_set("maxmemory", "1")
                with pytest.raises(StateError, match="OutOfMemoryError"):
                    await _admitted(store, (of(DAY, 1.0),))
                with pytest.raises(StateError, match="OutOfMemoryError"):
                    await store.extend(lease, (of(DAY, 1.0),), 0.0)
                await _settled(store, lease, (of(DAY, 8.0),))
                client.config_set("maxmemory", "0")
            assert await left(store) == 10_000 - 8

    with served(**{"maxmemory-policy": "noeviction"}) as server:
        runner.run(run(server))


def test_a_server_that_is_loading_is_waited_for(runner: asyncio.Runner) -> None:
    async def run(server: Server) -> None:
        async with guarded(server.url) as store:
            lease = (await admitted(store, of(DAY, 500.0))).lease
            with server.client() as client:
                client.execute_command("DEBUG", "POPULATE", 60_000, "filler", 200)
                client.save()
                server.kill()
                server.start(loading=True)
                with pytest.raises(StateError, match="ConnectionError"):
                    await _admitted(store, (of(DAY, 1.0),))  # the connection of before
                with pytest.raises(StateError, match="BusyLoadingError"):
                    await _admitted(store, (of(DAY, 1.0),))
                with pytest.raises(StateError):
                    await _settled(store, lease, (of(DAY, 8.0),))
                client.config_set("key-load-delay", 0)
            await told(store)
            assert await left(store) == 10_000 - 8

    settings = {
        "enable-debug-command": "yes",
        "key-load-delay": 50,
        "loading-process-events-interval-bytes": 1024,
    }
    with served(**settings) as server:
        runner.run(run(server))


RIGHTS = """\
user default off
user limits on >pa$$word ~own:* resetchannels -@all +evalsha +eval +get +set +del +hget +hset +hdel +hlen \
+hgetall +pexpire +time +client|setname +client|setinfo +select
"""


def test_a_user_with_the_rights_of_the_documents_is_enough(tmp_path: Path, runner: asyncio.Runner) -> None:
    """Catches a command that the script needs and docs/limits.md does not name; and a password in a text."""
    users = tmp_path / "users.acl"
    users.write_text(RIGHTS)

    async def run(server: Server) -> None:
        place = f"127.0.0.1:{server.port}/1?client_name=api&prefix="
        async with guarded(
            f"redis://limits:pa%24%24word@{place}own", lease_s=0.2, deadline_s=PATIENT_S
        ) as store:
            lease = (await admitted(store, of(DAY, 50.0))).lease
            longer = await store.extend(lease, (of(DAY, 5.0),), 0.0)
            await store.settle(longer.lease, (of(DAY, 9.0),), None, 0.0)
            await admitted(store, of(DAY, 50.0))
            await asyncio.sleep(0.3)
            assert await left(store) == 10_000 - 9 - 50
        for url, code in (
            (f"redis://limits:pa%24%24word@{place}other", "NOPERM|NoPermissionError"),
            (f"redis://limits:guessed@{place}own", "AuthenticationError|WRONGPASS"),
            (f"redis://{place}own", "AuthenticationError|NOAUTH"),
        ):
            async with guarded(url, deadline_s=PATIENT_S) as store:
                with pytest.raises(StateError, match=code) as fault:
                    await _admitted(store, (of(DAY, 1.0),))
                assert "guessed" not in str(fault.value)
                assert "limits" not in str(fault.value)

    with served(aclfile=users) as server:
        runner.run(run(server))


def certificates(folder: Path) -> None:
    """An authority in `ca.pem`, and what it says of localhost in `server.pem`; `other.pem` is another authority."""
    now = datetime.now(UTC)

    def made(
        name: str, issuer: x509.Name | None, signer: ec.EllipticCurvePrivateKey | None
    ) -> tuple[Any, Any]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer or subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        )
        return builder.sign(signer or key, hashes.SHA256()), key

    authority, authority_key = made("an authority", None, None)
    server, server_key = made("localhost", authority.subject, authority_key)
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(authority.public_bytes(pem))
    (folder / "other.pem").write_bytes(made("another", None, None)[0].public_bytes(pem))
    secret = server_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "server.pem").write_bytes(server.public_bytes(pem) + secret)


def test_tls_is_spoken_and_the_server_is_checked(
    valkey: Server, tmp_path: Path, runner: asyncio.Runner
) -> None:
    """The packaged server has no TLS, so a proxy speaks it for him."""
    certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    options = valkey.url.partition("?")[2]

    async def run() -> None:
        async with Proxy(valkey.port, tls=context) as proxy:
            for place, authority, fault in (
                ("localhost", "ca.pem", None),
                ("localhost", "other.pem", "ConnectionError"),
                ("127.0.0.1", "ca.pem", "ConnectionError"),
            ):
                url = f"rediss://{place}:{proxy.port}?{options}&ssl_ca_certs={tmp_path / authority}"
                async with guarded(url, deadline_s=PATIENT_S) as store:
                    if fault is None:
                        assert await left(store) == 10_000
                    else:
                        with pytest.raises(StateError, match=fault):
                            await _admitted(store, (of(DAY, 1.0),))

    runner.run(run())
