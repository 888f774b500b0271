"""What the store in a file adds: it says what is wrong with the file, never waits in the loop, stays small."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import isawaitable
from pathlib import Path
from typing import Any

import pytest

from hardening.errors import StateError
from hardening.facts import Account, Admission, Charge, Limit
from hardening.state import SqliteStore, open_store
from hardening.state.sqlite.file import APPLICATION_ID, StateFile
from hardening.state.sqlite.keeper import Keeper
from tests.asgi.driver import run
from tests.state.on_a_clock import SetStore

MINUTE = Limit("minute", "tokens", amount=60.0, per_s=60.0, burst=100.0)
MONTH = Limit("month", "tokens", amount=1000.0, per_s=2_592_000.0, burst=1000.0)
ANNE = Account("anne")


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Any]:
    opened: list[SetStore] = []

    def make(**options: Any) -> SetStore:
        opened.append(SetStore(tmp_path / "state.db", **options))
        return opened[-1]

    yield make
    for store in opened:
        store.inner.close()


def of(limit: Limit, amount: float, account: Account = ANNE) -> Charge:
    return Charge(limit, account.scope, amount)


def left(store: Any, limit: Limit, now: float, account: Account = ANNE) -> float:
    answer = store.admit(account, (of(limit, 0.0, account),), now)
    if answer.lease is not None:
        store.settle(answer.lease, (), None, now)
    return answer.limits[0].remaining


def use(store: Any, account: Account, limit: Limit, amount: float, now: float) -> bool:
    answer = store.admit(account, (of(limit, amount, account),), now)
    if answer.lease is not None:
        store.settle(answer.lease, (), None, now)
    return answer.granted


def rows(path: Path, statement: str) -> list[Any]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


# -- the file


def test_making_one_opens_nothing_and_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = SqliteStore(path)
    assert list(tmp_path.iterdir()) == []
    old = os.umask(0)
    try:
        store.open()
        assert {name: (tmp_path / name).stat().st_mode & 0o777 for name in os.listdir(tmp_path)} == {
            "state.db": 0o600,
            "state.db-wal": 0o600,
            "state.db-shm": 0o600,
        }
    finally:
        os.umask(old)
        store.close()


def test_a_store_is_opened_by_its_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for url in ("sqlite:///below.db", f"sqlite:///{tmp_path}/rooted.db"):
        store = open_store(url)
        assert isinstance(store, SqliteStore)
        store.open()
        store.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["below.db", "rooted.db"]


@pytest.mark.parametrize(
    "url", ["sqlite:///", "sqlite:///folder/", "sqlite:///x.db?mode=ro", "sqlite://x.db", "sqlite:///\0"]
)
def test_an_address_without_a_plain_path_is_refused(url: str) -> None:
    with pytest.raises(StateError, match="allowed"):
        open_store(url)


def a_text(path: Path) -> None:
    path.write_text("a text, and long enough to be looked at: " * 40, encoding="utf-8")


def of_another(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("create table notes (text)")
    connection.close()


def a_newer(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("create table scopes (shape_of_tomorrow)")
    connection.execute(f"pragma application_id = {APPLICATION_ID}")
    connection.execute("pragma user_version = 7")
    connection.close()


def a_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (a_text, "is not a SQLite database"),
        (of_another, "is a database of another program"),
        (a_newer, "is of version 7, this hardening reads up to 4"),
        (a_folder, "cannot be opened"),
    ],
)
def test_a_file_that_is_none_of_ours_is_refused_and_stays_as_it_is(
    tmp_path: Path, prepare: Any, words: str
) -> None:
    path = tmp_path / "state.db"
    prepare(path)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(StateError, match=f"^state: {path} {words}$"):
        SqliteStore(path).open()
    assert (path.read_bytes() if path.is_file() else b"") == before


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StateError, match=r"none/state\.db cannot be made: there is no folder"):
        SqliteStore(tmp_path / "none" / "state.db").open()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_file_that_may_not_be_written_is_told_at_the_start() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "state.db")
        store = SqliteStore(path)
        store.open()
        store.close()
        path.parent.chmod(0o777)
        path.chmod(0o444)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.setuid(65534)
            try:
                SqliteStore(path).open()
            except StateError as fault:
                os.write(writer, str(fault).encode())
            os._exit(0)
        os.waitpid(child, 0)
        os.close(writer)
        said = os.read(reader, 1000).decode()
        os.close(reader)
    assert said == f"state: {path} cannot be written"


def test_a_damaged_file_is_told_without_what_it_holds(make: Any, tmp_path: Path) -> None:
    store = make()
    for number in range(200):
        use(store, Account(f"acct {number}"), MONTH, 1.0, 0.0)
    store.close()
    path = tmp_path / "state.db"
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(StateError) as caught:
        store = make()
        for number in range(200):
            use(store, Account(f"acct {number}"), MONTH, 1.0, 0.0)
    assert str(caught.value) == f"state: {path} is damaged"


def test_a_second_start_changes_nothing(make: Any, tmp_path: Path) -> None:
    store = make()
    use(store, ANNE, MONTH, 100.0, 0.0)
    store.close()

    def known() -> dict[str, str]:
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.iterdir()}

    before = known()
    assert list(before) == ["state.db"]
    make().close()
    assert known() == before
    assert left(make(), MONTH, 0.0) == 900.0


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_is_taken_away_is_told_and_not_counted_in(
    make: Any, tmp_path: Path, replaced: bool
) -> None:
    """Catches workers that count apart, one in the old file and one in the new."""
    store = make()
    use(store, ANNE, MONTH, 100.0, 0.0)
    path = tmp_path / "state.db"
    path.rename(tmp_path / "taken.db")
    if replaced:
        path.touch()
    keeper = store.inner._desk._keeper
    for _ in range(100):
        if keeper.has_lost_file:
            break
        keeper._stopped.wait(0.1)
    with pytest.raises(StateError, match=r"state\.db was removed or replaced while it was open"):
        use(store, ANNE, MONTH, 100.0, 0.0)


# -- a disk that is full


def test_a_full_file_refuses_whole_calls_and_goes_on_when_there_is_room(make: Any) -> None:
    store = make()
    use(store, ANNE, MONTH, 100.0, 0.0)
    connection = store.inner._desk.ledger.connection
    (pages,) = connection.execute("pragma page_count").fetchone()
    connection.execute(f"pragma max_page_count = {pages + 2}")
    with pytest.raises(StateError, match=r"cannot grow: the disk is full$"):
        for number in range(100):
            store.admit(Account(f"acct {number}"), (of(MONTH, 1.0, Account(f"acct {number}")),), 0.0)
    granted = rows(store.inner._file.path, "select sum(requests) from scopes where key like 'account:acct%'")
    assert rows(store.inner._file.path, "select count(*) from leases") == granted
    connection.execute("pragma max_page_count = 100000")
    assert left(store, MONTH, 0.0) == 900.0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(tmp_path)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    yield tmp_path
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_a_full_disk_loses_nothing_that_was_answered(small_disk: Path) -> None:
    store = SetStore(small_disk / "state.db")
    try:
        granted = 0
        with pytest.raises(StateError, match="the disk"):
            for _ in range(5000):
                granted += use(store, ANNE, MONTH, 0.1, 0.0)
        assert granted > 20
    finally:
        store.inner.close()
    subprocess.run(["mount", "-o", "remount,size=3m", str(small_disk)], check=True)
    again = SetStore(small_disk / "state.db")
    try:
        assert again.admit(ANNE, (), 0.0).standing.requests >= granted
    finally:
        again.inner.close()


# -- somebody else writes


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """Somebody else who is in the middle of a transaction."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin immediate")
    try:
        yield other
    finally:
        other.close()


def test_a_call_that_finds_somebody_writing_is_answered_when_he_is_done(make: Any, tmp_path: Path) -> None:
    store = make()

    async def main() -> None:
        with writing(tmp_path / "state.db") as other:
            asked = store.inner.admit(ANNE, (of(MINUTE, 30.0),), 0.0)
            assert isawaitable(asked)
            waiting = asyncio.ensure_future(asked)
            await asyncio.sleep(0.2)
            assert not waiting.done()
            other.execute("rollback")
            answer = await waiting
            assert [state.remaining for state in answer.limits] == [70.0]
            other.execute("begin immediate")
            settling = asyncio.ensure_future(store.inner.settle(answer.lease, (of(MINUTE, 10.0),), None, 0.0))
            await asyncio.sleep(20.0)
            other.execute("rollback")
            await settling

    run(main())
    assert left(store, MINUTE, 0.0) == 90.0


def test_a_request_waits_for_some_seconds_and_no_longer(make: Any, tmp_path: Path) -> None:
    store = make()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with writing(tmp_path / "state.db"):
            for _ in range(2):
                began = loop.time()
                with pytest.raises(StateError, match=r"state.db is locked by another process since 5 s"):
                    await store.inner.admit(ANNE, (of(MINUTE, 30.0),), 0.0)
                assert 4.9 < loop.time() - began < 5.1

    run(main())
    assert left(store, MINUTE, 0.0) == 100.0


def test_those_who_wait_are_answered_in_their_order_and_within_the_limit(make: Any, tmp_path: Path) -> None:
    store = make()

    async def main() -> list[Admission]:
        with writing(tmp_path / "state.db") as other:
            waiting = [
                asyncio.ensure_future(store.inner.admit(ANNE, (of(MINUTE, 8.0),), 0.0)) for _ in range(20)
            ]
            await asyncio.sleep(0.1)
            other.execute("rollback")
            return await asyncio.gather(*waiting)

    assert [answer.granted for answer in run(main())] == [True] * 12 + [False] * 8


def test_who_leaves_before_his_turn_has_asked_for_nothing(make: Any, tmp_path: Path) -> None:
    store = make()

    async def main() -> None:
        with writing(tmp_path / "state.db") as other:
            waiting = [
                asyncio.ensure_future(store.inner.admit(ANNE, (of(MINUTE, 60.0),), 0.0)) for _ in range(2)
            ]
            await asyncio.sleep(0.01)
            waiting[0].cancel()
            await asyncio.sleep(0)
            other.execute("rollback")
            assert (await waiting[1]).granted

    run(main())
    assert rows(tmp_path / "state.db", "select count(*) from leases") == [(1,)]


def test_who_leaves_as_it_is_his_turn_gives_back_what_he_got(make: Any, tmp_path: Path) -> None:
    """Catches a lease of a client who went between the answer of the store and the next step of his task."""
    store = make()

    async def main() -> None:
        with writing(tmp_path / "state.db") as other:
            waiting = asyncio.ensure_future(store.inner.admit(ANNE, (of(MINUTE, 60.0),), 0.0))
            await asyncio.sleep(0)
            desk = store.inner._desk
            (line,) = desk._lines.values()
            other.execute("rollback")
            desk._look(asyncio.get_running_loop(), line)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert rows(tmp_path / "state.db", "select count(*) from leases") == [(1,)]
            await asyncio.sleep(0.1)

    run(main())
    assert rows(tmp_path / "state.db", "select count(*) from leases") == [(0,)]
    assert left(store, MINUTE, 0.0) == 100.0


def test_a_call_that_fails_takes_no_other_with_it(make: Any, tmp_path: Path) -> None:
    store = make()
    odd: Any = Account("odd")

    async def main() -> list[Any]:
        with writing(tmp_path / "state.db") as other:
            asked = [(ANNE, of(MINUTE, 8.0)), (odd, None), (ANNE, of(MINUTE, 8.0))]
            waiting = [asyncio.ensure_future(store.inner.admit(who, (what,), 0.0)) for who, what in asked]
            await asyncio.sleep(0.01)
            other.execute("rollback")
            return await asyncio.gather(*waiting, return_exceptions=True)

    first, failed, last = run(main())
    assert isinstance(failed, AttributeError)
    assert [first.granted, last.granted] == [True, True]
    assert left(store, MINUTE, 0.0) == 84.0


def test_the_first_call_opens_the_file_beside_the_loop(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.db")

    async def main() -> Any:
        answers = [store.admit(ANNE, (of(MINUTE, 30.0),), 0.0) for _ in range(4)]
        assert all(isawaitable(answer) for answer in answers)
        return await asyncio.gather(*answers)

    try:
        granted = [
            answer.granted for answer in asyncio.run(main())
        ]  # threads took them, in an order of their own
        assert sorted(granted) == [False] + [True] * 3
    finally:
        store.close()


def test_a_closed_store_opens_again(make: Any) -> None:
    store = make()
    use(store, ANNE, MONTH, 100.0, 0.0)
    store.close()
    assert left(store, MONTH, 0.0) == 900.0


# -- leases that run out


def test_many_leases_run_out_a_few_in_each_call(make: Any) -> None:
    store = make(lease_s=10.0)
    for _ in range(50):
        store.admit(ANNE, (of(MONTH, 1.0),), 0.0)
    calls = 0
    while store.expired_leases < 50:
        store.admit(Account("bob"), (), 10.0)
        calls += 1
    assert calls == 4
    assert left(store, MONTH, 10.0) == pytest.approx(950.0, abs=0.01)


def test_a_lease_that_has_run_out_is_late_even_before_it_is_found(make: Any) -> None:
    """Catches a settlement that pays nothing for what the lease had reserved."""
    store = make(lease_s=10.0)
    leases = [store.admit(ANNE, (of(MONTH, 1.0),), 0.0).lease for _ in range(50)]
    store.settle(leases[-1], (of(MONTH, 0.0),), None, 10.0)
    assert not store.extend(leases[-2], (of(MONTH, 1.0),), 10.0).granted
    for _ in range(4):
        store.admit(Account("bob"), (), 10.0)
    assert left(store, MONTH, 10.0) == pytest.approx(950.0, abs=0.01)
    assert store.late_settlements == 1


def test_a_lease_that_is_extended_again_and_again_stays_as_small_as_it_began(
    make: Any, tmp_path: Path
) -> None:
    store = make()
    both = (of(MONTH, 1.0), of(MINUTE, 0.5))
    lease = store.admit(ANNE, both, 0.0).lease
    ((size, leases),) = rows(tmp_path / "state.db", "select length(claim), scopes.leases from leases, scopes")
    for _ in range(100):
        lease = store.extend(lease, both, 0.0).lease
    assert rows(tmp_path / "state.db", "select length(claim), scopes.leases from leases, scopes") == [
        (pytest.approx(size, abs=6), leases)
    ]
    store.extend(lease, (Charge(MONTH, "org:acme", 5.0),), 0.0)
    assert [left(store, MONTH, 0.0), left(store, MINUTE, 0.0)] == [899.0, 49.5]
    store.settle(lease, (of(MONTH, 30.0),), None, 0.0)
    assert [left(store, MONTH, 0.0), left(store, MINUTE, 0.0)] == [970.0, 49.5]
    assert rows(tmp_path / "state.db", "select sum(leases) from scopes") == [(0,)]


# -- how much is kept


def keeper_of(store: SetStore, most: int) -> tuple[Keeper, sqlite3.Connection]:
    file = StateFile(store.inner._file.path)
    return Keeper(file, store.clock.monotonic, max_accounts=most), file.connect()


def test_too_many_scopes_are_forgotten_but_no_debtor_no_open_lease_and_nobody_who_comes_often(
    make: Any,
) -> None:
    store = make(max_accounts=1000, lease_s=1e6)
    regular, debtor, busy = Account("regular"), Account("debtor"), Account("busy")
    for _ in range(20):
        use(store, regular, MINUTE, 1.0, 0.0)
    use(store, debtor, MONTH, 1000.0, 0.0)
    store.admit(busy, (of(MINUTE, 1.0, busy),), 0.0)
    keeper, connection = keeper_of(store, 1000)
    sizes = []
    for number in range(5000):
        use(store, Account(f"key_{number * 7919 % 5000:022x}"), MINUTE, 1.0, 100.0)
        if number % 500 == 499:
            store.clock.set(200.0 + number)
            keeper.look(connection)
            sizes.append(connection.execute("pragma page_count").fetchone()[0])
            assert connection.execute("select count(*) from scopes").fetchone()[0] <= 900
    known = connection.execute("select value from facts where name = 'scopes'").fetchone()
    assert known == connection.execute("select count(*) from scopes").fetchone()
    connection.close()
    assert sizes[-1] <= sizes[2] * 1.2
    assert store.admit(regular, (), 6000.0).standing.requests == 20
    assert not use(store, debtor, MONTH, 100.0, 6000.0)
    assert store.admit(busy, (), 6000.0).standing.requests == 1


def test_where_all_are_in_debt_newcomers_share_one_pool_and_look_new(make: Any) -> None:
    store = make(max_accounts=3)
    for name in "abc":
        assert use(store, Account(name), MINUTE, 100.0, 0.0)
    new = [Account(f"new {number}") for number in range(6)]
    assert [use(store, account, MINUTE, 30.0, 0.0) for account in new] == [True] * 3 + [False] * 3
    answer = store.admit(new[0], (), 5.0)
    assert (answer.standing.requests, answer.standing.age_s) == (0, 0.0)
    lease = store.admit(new[1], (of(MINUTE, 10.0, new[1]),), 60.0).lease
    store.settle(lease, (of(MINUTE, 0.0, new[1]),), None, 60.0)
    assert left(store, MINUTE, 60.0, new[2]) == 70.0
    assert rows(store.inner._file.path, "select count(*) from scopes") == [(4,)]


def test_limits_that_are_whole_again_leave_no_bytes(make: Any) -> None:
    """Catches rows that keep each limit that any policy ever had."""
    store = make()
    for number in range(20):
        limit = Limit(f"limit {number}", "tokens", amount=60.0, per_s=60.0, burst=100.0)
        use(store, ANNE, limit, 60.0, number * 100.0)
    ((text,),) = rows(store.inner._file.path, "select buckets from scopes")
    assert text.count("limit") == 1


def test_an_account_takes_no_more_than_two_kib(make: Any, tmp_path: Path) -> None:
    limits = [Limit(name, "tokens", 1e6, 2.6e6, 1e6) for name in ("second", "minute", "day", "month")]
    store = make()
    for number in range(2000):
        account = Account(f"acct_{number:020d}")
        answer = store.admit(account, tuple(of(limit, 7.0, account) for limit in limits), 1.0)
        store.settle(answer.lease, (), None, 1.0)
    store.close()
    assert (tmp_path / "state.db").stat().st_size / 2000 <= 2048


def test_no_two_leases_have_one_name_however_long_the_clock_stands_still(make: Any) -> None:
    """Catches names by chance: two workers met once in some thousand schedules, and a call failed."""
    ledgers = []
    for store in (make(), make()):
        store.inner.open()
        ledgers.append(store.inner._desk.ledger)
    names = [ledger._token(1000.0) for _ in range(20_000) for ledger in ledgers]
    assert len({*names}) == len(names)


def test_the_log_is_cut_when_nobody_writes(make: Any, tmp_path: Path) -> None:
    store = make()
    keeper, connection = keeper_of(store, 1000)
    for _ in range(200):
        use(store, ANNE, MINUTE, 0.1, 10.0)
    log = tmp_path / "state.db-wal"
    long = log.stat().st_size
    keeper.look(connection)
    assert log.stat().st_size >= long
    keeper.look(connection)
    assert log.stat().st_size < 10_000
    size = log.stat()
    for _ in range(3):
        keeper.look(connection)
    assert (log.stat().st_size, log.stat().st_mtime_ns) == (size.st_size, size.st_mtime_ns)
    connection.close()
