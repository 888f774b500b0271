"""Receipts become lines; whatever happens to the target happens to no request."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import orjson
import pytest

from hardening.facts import Decision, Refusal
from hardening.identity import Identifier, Keys
from hardening.observe import AuditWriter
from hardening.observe.audit import to_line

FIELDS = [
    "time",
    "request_id",
    "policy",
    "mode",
    "account",
    "proven",
    "door",
    "format",
    "model",
    "status",
    "rule",
    "band",
    "risk",
    "reasons",
    "decision",
    "would",
    "changed",
    "tokens",
    "limits",
    "added_us",
    "outcome",
]


def lines(path: Path) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


# One line


def test_a_line_has_exactly_the_fields_of_a_receipt(receipt):
    line = orjson.loads(to_line(receipt()))
    assert list(line) == FIELDS
    assert line["policy"] == {"name": "acme-prod", "digest": "sha256:1234"}
    assert list(line["tokens"]) == ["prompt", "completion", "reasoning", "reserved", "settled", "source"]
    assert line["added_us"] == {"before": 18.0, "body": 120.0, "after": 30.0}
    assert line["limits"] == [{"name": "minute", "remaining": 119648.0, "reset_s": 0.352}]
    assert line["decision"]["reasoning"]["show"] == "full"
    assert line["would"] is None


def test_time_is_rfc_3339_in_utc(receipt):
    assert orjson.loads(to_line(receipt(time=1_795_478_400.25)))["time"] == "2026-11-24T00:00:00.250000Z"
    assert orjson.loads(to_line(receipt(time=0.0)))["time"] == "1970-01-01T00:00:00.000000Z"


def test_a_receipt_is_one_line_whatever_it_holds(receipt):
    line = to_line(receipt(model="a\nb\r\n\u2028c", request_id="\n", outcome="refused"))
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert b"\r" not in line


def test_a_lone_surrogate_keeps_nobody_out_of_the_audit(receipt):
    refusal = Decision(refusal=Refusal(403, "forbidden", "no"))
    line = to_line(receipt(model="\ud800evil", decision=refusal, outcome="refused"))
    read = orjson.loads(line)
    assert list(read) == FIELDS
    assert read["model"] == "?evil"
    assert read["decision"]["refusal"]["kind"] == "forbidden"
    assert orjson.loads(to_line(receipt()))["tokens"] == read["tokens"]


def test_a_huge_name_does_not_fill_the_audit(receipt):
    assert len(to_line(receipt(model="m" * 1_000_000))) < 4096


def test_no_secret_is_in_a_line(receipt):
    key = "sk-proj-0123456789-secret"
    scope = {"headers": [(b"authorization", b"Bearer " + key.encode())], "client": ("203.0.113.9", 1)}
    identifier = Identifier(Keys.of(b"k" * 32))
    for named in (None, key):
        account = identifier.identify(scope, named, 0.0)
        line = to_line(receipt(account=account.id, proven=account.proven)).decode()
        assert "secret" not in line
        assert "203.0.113" not in line


# The writer


def test_receipts_arrive_in_order(tmp_path, receipt):
    path = tmp_path / "audit.jsonl"
    writer = AuditWriter(path)
    for number in range(500):
        writer.put(receipt(request_id=f"req_{number}"))
    writer.close()
    assert [line["request_id"] for line in lines(path)] == [f"req_{number}" for number in range(500)]
    assert writer.dropped == 0


def test_making_a_writer_starts_nothing(tmp_path):
    before = threading.active_count()
    writer = AuditWriter(tmp_path / "audit.jsonl")
    writer.close()
    assert threading.active_count() == before
    assert not (tmp_path / "audit.jsonl").exists()


def test_a_closed_writer_starts_again(tmp_path, receipt):
    path = tmp_path / "audit.jsonl"
    writer = AuditWriter(path)
    for name in ("first", "second"):
        writer.put(receipt(request_id=name))
        writer.close()
    assert [line["request_id"] for line in lines(path)] == ["first", "second"]


def test_what_stands_in_the_file_stays(tmp_path, receipt):
    path = tmp_path / "audit.jsonl"
    path.write_text('{"request_id":"old"}\n')
    writer = AuditWriter(path)
    writer.put(receipt(request_id="new"))
    writer.close()
    assert [line["request_id"] for line in lines(path)] == ["old", "new"]


def test_full_means_dropped_and_counted(tmp_path, receipt):
    """The target is a pipe that nobody reads, so the writer waits in it and the queue fills."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    told: list[int] = []
    writer = AuditWriter(pipe, max_pending=5, on_drop=told.append)
    for _ in range(200):
        writer.put(receipt())
    assert writer.dropped >= 190
    assert sum(told) == writer.dropped
    writer.close(timeout_s=0.01)
    assert writer.dropped == sum(told)
    reader = os.open(pipe, os.O_RDONLY)
    read = b""
    while piece := os.read(reader, 65536):
        read += piece
    os.close(reader)
    assert len(read.splitlines()) + writer.dropped == 200


@pytest.mark.parametrize("target", [Path("/dev/full"), Path("/no/such/folder/audit.jsonl")])
def test_a_broken_target_is_counted(target, receipt):
    if target.parent == Path("/dev") and not target.exists():
        pytest.skip("no /dev/full on this platform")
    told: list[int] = []
    writer = AuditWriter(target, on_drop=told.append)
    for _ in range(20):
        writer.put(receipt())
    writer.close()
    assert writer.dropped == sum(told) == 20


def test_a_target_that_recovers_is_written_again(tmp_path, receipt):
    path = tmp_path / "later" / "audit.jsonl"
    writer = AuditWriter(path)
    writer.put(receipt(request_id="lost"))
    writer.close()
    path.parent.mkdir()
    writer.put(receipt(request_id="kept"))
    writer.close()
    assert writer.dropped == 1
    assert [line["request_id"] for line in lines(path)] == ["kept"]


def test_a_receipt_that_cannot_be_a_line_costs_only_itself(tmp_path, receipt):
    path = tmp_path / "audit.jsonl"
    writer = AuditWriter(path)
    writer.put(receipt(time=float("inf")))
    writer.put(receipt(request_id="kept"))
    writer.close()
    assert [line["request_id"] for line in lines(path)] == ["kept"]
    assert writer.dropped == 1


PROCESS = """
import os, sys
from dataclasses import replace
from hardening.facts import *
from hardening.observe import AuditWriter
receipt = Receipt(0.0, "", PolicyId("p", "d"), "enforce", "a", True, "d", "f", "m", 200, None, None, 0.0, (), Decision(),
    None, (), TokenCount(0, 0, 0, 0, 0, "none"), (), AddedTime(0, 0, 0), "complete")
"""


def run(code: str, **settings: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROCESS + code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        **settings,  # type: ignore[call-overload]
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_fork_writes_its_own_receipts_and_no_other():
    done = run("""
writer = AuditWriter("stdout")
writer.put(replace(receipt, request_id="parent"))
child = os.fork()
if child == 0:
    writer.put(replace(receipt, request_id="child"))
    writer.close()
    os._exit(0)
os.waitpid(child, 0)
writer.close()
""")
    assert done.stderr == ""
    assert sorted(json.loads(line)["request_id"] for line in done.stdout.splitlines()) == ["child", "parent"]


def test_a_process_that_ends_flushes():
    done = run('AuditWriter("stdout").put(replace(receipt, request_id="last"))')
    assert [json.loads(line)["request_id"] for line in done.stdout.splitlines()] == ["last"]
    assert done.returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of file size on this platform")
def test_a_disk_that_fills_inside_a_line_spoils_only_that_line(tmp_path):
    path = tmp_path / "audit.jsonl"
    done = run(f"""
import resource
from pathlib import Path
from hardening.observe.audit import to_line
size = len(to_line(receipt))
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (size + size // 2, hard))
writer = AuditWriter(Path({str(path)!r}))
for _ in range(3):
    writer.put(receipt)
writer.close()
assert writer.dropped >= 2, writer.dropped
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
writer.put(replace(receipt, request_id="later"))
writer.close()
""")
    assert done.stderr == ""
    first, torn, later = path.read_bytes().splitlines()
    assert orjson.loads(first)["request_id"] == ""
    assert first.startswith(torn)
    assert orjson.loads(later)["request_id"] == "later"


def test_a_closed_stdout_hurts_nobody():
    done = run("""
os.close(1)
writer = AuditWriter("stdout")
writer.put(receipt)
writer.close()
print(writer.dropped, file=sys.stderr)
os.open(os.devnull, os.O_WRONLY)
""")
    assert (done.returncode, done.stderr) == (0, "1\n")
