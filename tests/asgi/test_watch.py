"""The watch on a policy's files: every way in which an operator, a tool or a cluster writes them."""

from __future__ import annotations

import gc
import os
import threading
import warnings
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from hardening import HardeningError, HardeningMiddleware, Policy, PolicyError, StartError, find_preset
from hardening.asgi import watch as watching
from hardening.asgi.watch import Watch
from hardening.policy.load import ReadFile, read_policy
from tests.asgi.driver import ask, replies, run

OLD = "version: 1\nname: old\ndefaults: {logprobs: {top: 1}}\n"
NEW = "version: 1\nname: new\ndefaults: {logprobs: {top: 2}}\nrules:\n  - {name: closed, refuse: {}}\n"
BAD = "version: 1\nname: new\nmode: loud\n"
WAIT_S = 60.0


class Told:
    """A holder that notes what it is given."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.faults: list[HardeningError] = []

    def take(self, policy: Policy) -> None:
        self.taken.append(policy.name)

    def reject(self, fault: HardeningError) -> None:
        self.faults.append(fault)


class Watched:
    """A policy file that is watched by hand."""

    def __init__(self, path: Path) -> None:
        self.told = Told()
        self.watch = Watch(lambda read: read_policy(path, {}, read))
        self.watch.first()

    def after(self, looks: int = 2) -> list[str]:
        """What was taken, after so many looks more."""
        for _ in range(looks):
            self.watch.poll(self.told)
        return self.told.taken


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(OLD)
    return path


@pytest.fixture
def watched(path: Path) -> Watched:
    return Watched(path)


def in_place(path: Path, text: str) -> None:
    path.write_text(text)


def by_rename(path: Path, text: str) -> None:
    beside = path.with_suffix(".tmp")
    beside.write_text(text)
    beside.replace(path)


def under_the_same_time(path: Path, text: str) -> None:
    before = path.stat()
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("write", [in_place, by_rename, under_the_same_time])
def test_a_change_is_taken_when_two_looks_agree(
    write: Callable[[Path, str], None], path: Path, watched: Watched
) -> None:
    """Catches a watch that trusts times or inodes, takes at first sight, or takes twice."""
    assert watched.after(3) == []
    write(path, OLD.replace("old", "odd"))
    assert watched.after(1) == []
    assert watched.after(1) == ["odd"]
    assert watched.after(3) == ["odd"]


def test_a_file_that_comes_in_pieces_is_not_taken_by_halves(path: Path, watched: Watched) -> None:
    """Catches a first half that is a policy by itself, without the rule that closes it."""
    half = NEW[: NEW.index("rules")]
    for size in (0, 10, len(half), len(half) + 9, len(NEW)):
        path.write_text(NEW[:size])
        assert watched.after(1) == []
    assert watched.told.faults == []
    assert watched.after(1) == ["new"]


def test_a_config_map_that_is_swapped_by_its_symlink_is_seen(tmp_path: Path) -> None:
    """Catches a watch of the resolved file, which stays as it was until it is deleted."""
    for name, text in (("..1", OLD), ("..2", NEW)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "policy.yaml").write_text(text)
    (tmp_path / "..data").symlink_to("..1")
    path = tmp_path / "policy.yaml"
    path.symlink_to("..data/policy.yaml")
    watched = Watched(path)
    (tmp_path / "..data_tmp").symlink_to("..2")
    (tmp_path / "..data_tmp").replace(tmp_path / "..data")
    assert watched.after() == ["new"]
    (tmp_path / "..1" / "policy.yaml").unlink()
    assert watched.after() == ["new"]
    assert watched.told.faults == []


def test_parents_are_watched_as_far_as_they_go(tmp_path: Path, path: Path) -> None:
    """Catches a change of a parent's parent that nobody sees."""
    (tmp_path / "far.yaml").write_text("version: 1\nextends: strict\nname: far\n")
    (tmp_path / "near.yaml").write_text("version: 1\nextends: far.yaml\n")
    path.write_text("version: 1\nextends: near.yaml\n")
    watched = Watched(path)
    assert find_preset("baseline") in watched.watch._concluded
    (tmp_path / "far.yaml").write_text("version: 1\nname: farther\n")
    assert watched.after() == ["farther"]
    (tmp_path / "far.yaml").unlink()
    assert watched.after() == ["farther"]
    assert "near.yaml:2:10" in str(watched.told.faults[0])
    (tmp_path / "far.yaml").write_text("version: 1\nname: back\n")
    assert watched.after() == ["farther", "back"]


def test_a_parent_that_is_new_must_settle_as_well(tmp_path: Path, path: Path, watched: Watched) -> None:
    """Catches a parent that is taken at its first sight, half written."""
    parent = tmp_path / "parent.yaml"
    parent.write_text(NEW[: NEW.index("rules")])
    path.write_text("version: 1\nextends: parent.yaml\n")
    assert watched.after(2) == []
    parent.write_text(NEW)
    assert watched.after(1) == []
    assert watched.after(1) == ["new"]


def test_what_was_compiled_is_what_two_looks_have_seen(path: Path) -> None:
    """Catches a load that reads the file once more and gets other bytes."""
    texts = iter([OLD, NEW[: NEW.index("rules")], NEW, NEW])

    def load(read: ReadFile) -> Policy:
        path.write_text(next(texts))
        return read_policy(path, {}, read)

    told, watch = Told(), Watch(load)
    watch.first()
    path.write_text(NEW)
    for looks, taken in ((2, []), (1, []), (1, ["new"])):
        for _ in range(looks):
            watch.poll(told)
        assert told.taken == taken


@pytest.mark.parametrize("spoil", ["mistake", "missing", "unreadable", "empty"])
def test_a_bad_content_is_told_once_and_a_good_one_heals(spoil: str, path: Path, watched: Watched) -> None:
    """Catches a log that grows with every look, and a watch that gives up after a fault."""
    path.unlink()
    if spoil == "unreadable":
        path.mkdir()
    elif spoil != "missing":
        path.write_text(BAD if spoil == "mistake" else "")
    assert watched.after(4) == []
    (fault,) = watched.told.faults
    assert isinstance(fault, PolicyError)
    assert fault.faults[0].file == str(path)
    if spoil == "mistake":
        assert f"{path}:3:7: found `loud`" in str(fault)
        path.write_text(BAD + "# another one\n")
        watched.after(4)
        assert len(watched.told.faults) == 2
    if path.is_dir():
        path.rmdir()
    path.write_text(OLD)
    assert watched.after(4) == ["old"]


def test_an_edit_that_is_taken_back_before_it_settled_is_nothing(path: Path, watched: Watched) -> None:
    path.write_text(BAD)
    watched.after(1)
    path.write_text(OLD)
    assert watched.after(4) == []
    assert watched.told.faults == []


def test_a_fault_that_nobody_foresaw_changes_nothing_and_is_told_by_its_place(path: Path) -> None:
    """Catches a thread that dies of a bug and leaves later edits unseen."""

    def load(read: ReadFile) -> Policy:
        policy = read_policy(path, {}, read)
        if policy.name == "new":
            raise LookupError("sk-secret")
        return policy

    told, watch = Told(), Watch(load)
    watch.first()
    for text in (NEW, OLD):
        path.write_text(text)
        for _ in range(3):
            watch.poll(told)
    (fault,) = told.faults
    assert isinstance(fault, StartError)
    assert "LookupError at test_watch.py" in str(fault)
    assert "sk-secret" not in str(fault)
    assert told.taken == ["old"]


def test_a_holder_that_cannot_take_it_is_not_asked_again(path: Path) -> None:
    class Refusing(Told):
        def take(self, policy: Policy) -> None:
            super().take(policy)
            raise StartError("no tokenizer")

    told, watch = Refusing(), Watch(lambda read: read_policy(path, {}, read))
    watch.first()
    path.write_text(NEW)
    for _ in range(4):
        watch.poll(told)
    assert told.taken == ["new"]


# -- the thread


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "POLL_S", 0.001)


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "hardening-watch"]


class Heard(Told):
    """A holder that others can wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = threading.Event()

    def take(self, policy: Policy) -> None:
        super().take(policy)
        self.heard.set()


@pytest.mark.usefixtures("quick")
def test_the_thread_looks_until_it_is_stopped_and_keeps_no_process_alive(path: Path) -> None:
    heard, watch = Heard(), Watch(lambda read: read_policy(path, {}, read))
    watch.first()
    watch.start(heard)
    (thread,) = threads()
    assert thread.daemon
    path.write_text(NEW)
    assert heard.heard.wait(WAIT_S)
    watch.stop()
    thread.join(WAIT_S)
    assert not thread.is_alive()
    assert watch not in watching.running


def test_the_thread_lives_as_long_as_the_lifespan(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a watch that begins before the start is over, or goes on when the app has stopped."""
    monkeypatch.delenv("HARDENING_MODE", raising=False)
    alive: list[list[threading.Thread]] = []

    @asynccontextmanager
    async def own(app: Starlette) -> AsyncIterator[None]:
        alive.append(threads())
        yield
        alive.append(threads())

    app = HardeningMiddleware(Starlette(lifespan=own), path)
    with TestClient(app):
        assert app.watch in watching.running
    assert app.watch is None
    (before,), (after,) = alive
    assert before is after
    before.join(WAIT_S)
    assert not before.is_alive()


@pytest.mark.usefixtures("quick")
def test_the_thread_ends_with_a_middleware_that_nobody_stopped(path: Path) -> None:
    """Catches a thread that keeps an app alive which was mounted without lifespan and thrown away."""
    app = HardeningMiddleware(replies([b"{}"], kind=b"application/json"), path)
    run(ask(app, path="/health", method="GET"))
    (thread,) = threads()
    gone = weakref.ref(app)
    for beside in threading.enumerate():
        if beside.name == "hardening-warm":
            beside.join(WAIT_S)
    del app
    gc.collect()
    assert gone() is None
    thread.join(WAIT_S)
    assert not thread.is_alive()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
@pytest.mark.usefixtures("quick")
def test_a_forked_process_looks_by_itself(path: Path) -> None:
    """Catches a worker that was forked from a process which had begun, and never sees an edit."""
    heard, watch = Heard(), Watch(lambda read: read_policy(path, {}, read))
    watch.first()
    watch.start(heard)
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside threads is the point
        child = os.fork()
    if child == 0:
        path.write_text(NEW)
        os.write(writing, b"seen" if heard.heard.wait(WAIT_S) else b"not seen")
        os._exit(0)
    os.waitpid(child, 0)
    watch.stop()
    assert os.read(reading, 100) == b"seen"
    os.close(reading)
    os.close(writing)
