"""Parents, environment, hostile files, digests, and secrets that never show."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hardening.errors import PolicyError
from hardening.policy import KeyPlace, load_policy
from hardening.policy.nodes import MAX_BYTES
from tests.policy.loading import faults, loaded

PARENT = """version: 1
name: parent
mode: shadow
limits: {a: {requests: 5, per: 1m}, b: {requests: 6, per: 1m}}
defaults: {limits: [a, b], reasoning: {show: summary, max_tokens: 9}}
rules:
  - {name: one, usage: round}
  - {name: two, pace: 1/s}
"""


def test_maps_merge_lists_replace_and_rules_replace_in_place() -> None:
    child = """version: 1
extends: parent
limits: {b: {requests: 7, per: 1m}}
defaults: {limits: [b], reasoning: {show: none}}
rules:
  - {name: three, max_tokens: 3}
  - {name: one, usage: drop}
"""
    policy = loaded(child, parent=PARENT)
    assert (policy.name, policy.mode) == ("parent", "shadow")
    assert {name: limit.amount for name, limit in policy.limits.items()} == {"a": 5, "b": 7}
    walk = policy.rulebook.walk(0b111, proven=True)
    assert [step.name for step in policy.rulebook._steps] == ["one", "two", "three"]
    assert (walk.terms.limits, walk.terms.show, walk.terms.summary_tokens) == (("b",), "none", 9)
    assert (walk.terms.usage, walk.terms.pace_per_s, walk.terms.max_tokens) == ("drop", 1.0, 3)


def test_a_fault_in_a_parent_is_named_with_the_parents_file() -> None:
    found = faults("version: 1\nextends: parent\n", parent="version: 1\nmode: shaddow\n")
    assert [str(fault).split(": ")[0] for fault in found] == ["parent.yaml:2:7"]


def test_each_file_says_its_own_version() -> None:
    child = faults("extends: parent\n", parent="version: 1\n")
    assert [(fault.file, fault.line, fault.column) for fault in child] == [("p.yaml", 1, 1)]
    assert "no `version`" in child[0].message
    parent = faults("version: 1\nextends: parent\n", parent="version: 2\n")
    assert [str(fault) for fault in parent] == ["parent.yaml:1:10: found `2` (allowed: 1)"]


def test_circles_and_long_lines_of_parents_are_refused() -> None:
    around = faults("version: 1\nextends: b\n", b="version: 1\nextends: c\n", c="version: 1\nextends: b\n")
    assert "circle" in str(around)
    long = {f"f{i}": f"version: 1\nextends: f{i + 1}\n" for i in range(12)} | {"f12": "version: 1\n"}
    assert "deeper than 8" in str(faults("version: 1\nextends: f0\n", **long))


def test_parents_count_towards_the_size_of_a_policy() -> None:
    half = "version: 1\n#" + "x" * (MAX_BYTES // 2)
    found = faults("extends: parent\n" + half, parent=half)
    assert [(fault.line, fault.column) for fault in found] == [(1, 10)]
    assert "its parents included" in found[0].message


def test_extends_finds_presets_and_files_beside_the_own_one(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("version: 1\nextends: strict\nname: base\n")
    (tmp_path / "mine.yaml").write_text("version: 1\nextends: base.yaml\n")
    policy = load_policy(tmp_path / "mine.yaml")
    assert (policy.name, policy.doors.unknown, policy.preset) == ("base", "block", False)


def test_a_policy_without_name_is_called_like_its_file_or_folder(tmp_path: Path) -> None:
    (tmp_path / "acme").mkdir()
    for path in (tmp_path / "acme.yaml", tmp_path / "acme/policy.yaml"):
        path.write_text("version: 1\n")
        assert load_policy(str(path)).name == "acme"


@pytest.mark.parametrize("source", ["", "no/such/file.yaml", "baselin"])
def test_a_policy_that_cannot_be_read_says_so(source: str) -> None:
    with pytest.raises(PolicyError, match="baseline, embeddings, observe, strict"):
        load_policy(source)


# --- environment ---------------------------------------------------------------------------------


def test_variables_are_replaced_under_runtime() -> None:
    text = "version: 1\nruntime: {state: 'redis://:${PASS}@${HOST:-localhost}/0', max_body: '${MAX:-}'}\n"
    assert "allowed: a size" in str(faults(text, {"PASS": "p"}))
    policy = loaded(text, {"PASS": "geheim", "MAX": "64KiB"})
    assert policy.runtime.state == "redis://:geheim@localhost/0"
    assert policy.runtime.max_body == 65536
    assert "geheim" not in repr(policy)


def test_what_the_environment_holds_is_never_printed() -> None:
    text = "version: 1\nruntime: {state: '${A}', audit: '${A}', max_body: '${A}', keys: {current: '${A}', previous: '${A}'}}\n"
    found = faults(text, {"A": "geheim-17", "HARDENING_MODE": "geheim-17"})
    assert len(found) == 6
    assert "geheim" not in str(PolicyError(found))


def test_the_environment_wins_over_runtime_and_leaves_the_digest() -> None:
    text = "version: 1\nruntime: {state: 'memory://', audit: none, keys: {current: {file: k}, previous: [{file: old}]}}\n"
    twins = {
        "HARDENING_STATE": "sqlite:///x.db",
        "HARDENING_AUDIT": "/var/log/a.jsonl",
        "HARDENING_MODE": "shadow",
        "HARDENING_KEY": "geheim" * 8,
    }
    policy, plain = loaded(text, twins), loaded(text)
    assert (policy.runtime.state, policy.runtime.audit) == ("sqlite:///x.db", "file:/var/log/a.jsonl")
    assert policy.runtime.key == KeyPlace("env", "HARDENING_KEY")
    assert policy.runtime.previous_keys == (KeyPlace("file", "old"),)
    assert (policy.mode, plain.mode) == ("shadow", "enforce")
    assert policy.digest == plain.digest
    assert loaded(text, {"HARDENING_KEY_FILE": "f"}).runtime.key == KeyPlace("file", "f")
    assert plain.runtime.key == KeyPlace("file", "k")
    assert loaded("version: 1\n", twins).runtime.state == "sqlite:///x.db"


def test_faults_of_the_environment_name_the_variable() -> None:
    both = faults("version: 1\n", {"HARDENING_KEY": "a", "HARDENING_KEY_FILE": "b"})
    assert both[0].file == "HARDENING_KEY_FILE"
    (fault,) = faults("version: 1\n", {"HARDENING_MODE": "enforce"})
    assert fault.file == "HARDENING_MODE"
    assert "allowed: shadow, or not set; to enforce, unset it" in fault.message
    assert faults("version: 1\n", {"HARDENING_STATE": "mysql://x"})[0].file == "HARDENING_STATE"


# --- digests -------------------------------------------------------------------------------------


def test_the_digest_is_of_what_is_said_and_not_of_how() -> None:
    one = loaded("version: 1\nlimits: {a: {tokens: 60k, per: 1m}}\nname: x\n")
    two = loaded("# note\nname: 'x'\nlimits:\n  a: {per: 60s, tokens: 60000}\nversion: 1\n")
    three = loaded("version: 1\nlimits: {a: {tokens: 61k, per: 1m}}\nname: x\n")
    assert one.digest == two.digest != three.digest
    assert re.fullmatch("[0-9a-f]{12}", one.digest)


def test_the_digest_knows_the_parent() -> None:
    child = "version: 1\nextends: parent\n"
    assert loaded(child, parent=PARENT).digest != loaded(child, parent=PARENT.replace("9", "8")).digest


# --- YAML ----------------------------------------------------------------------------------------


def test_scalars_follow_the_core_schema() -> None:
    text = "version: 0x1\nmode: shadow\naccounts: {groups: {g: [no, on, '1', 1_000, 2027-01-01, 1:30]}}\n"
    assert "found `0x1`" in str(PolicyError(faults(text)))
    policy = loaded(text.replace("0x1", "1"))
    assert policy.groups.names == ("g",)
    assert all(
        policy.groups.table.bits((entry,)) for entry in ("no", "on", "1", "1_000", "2027-01-01", "1:30")
    )


def test_a_byte_order_mark_and_windows_line_ends_are_read() -> None:
    assert loaded(b"\xef\xbb\xbfversion: 1\r\nname: a\r\n").name == "a"
    assert faults(b"\xef\xbb\xbfversion: 1\r\nnam: a\r\n")[0].line == 2


HOSTILE = {
    "too large": b"version: 1\n#" + b"x" * MAX_BYTES,
    "a million keys": b"".join(b"k%d: 1\n" % i for i in range(1_000_000)),
    "deep flow": b"[" * 200_000,
    "deep flow of mappings": b"{a: " * 60_000,
    "deep block": b"- " * 100_000,
    "deep keys": b"? " * 100_000,
    "33 levels": b"".join(b" " * i + b"a:\n" for i in range(34)),
    "many values": b"{" + b"a," * 100_000,
    "many keys": b"version: 1\n" + b"".join(b"k%d: 1\n" % i for i in range(20_000)),
    "many rules": b"version: 1\nrules:\n" + b"- {a: 1}\n" * 14_000,
    "many wrong names": b"version: 1\nlimits:\n"
    + b"".join(b"  x%d: 1\n" % i for i in range(8000))
    + b"defaults:\n limits:\n"
    + b"".join(b"  - y%d\n" % i for i in range(9000)),
    "many openings of variables": b"version: 1\nruntime: {state: '" + b"${" * 100_000 + b"'}",
    "many beginnings of tokens": b"version: 1\nx: " + b"eyJ" * 80_000,
    "a long scalar": b"version: 1\nname: " + b"a" * 250_000,
    "a pattern of stars": b"version: 1\nrules: [{name: a, match: {model: '" + b"*a" * 100_000 + b"'}}]",
    "laughs": b"version: 1\na: &a [x]\nb: [*a, *a]\n",
    "not UTF-8": b"version: 1\nname: \xff\n",
    "UTF-16": "version: 1\n".encode("utf-16"),
    "NUL": b"version: 1\nname: \x00\n",
    "surrogate": b"version: 1\nname: \xed\xa0\x80\n",
    "a number without end": b"version: " + b"9" * 100_000,
    "a great exponent": b"version: 1e999999999",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused(data: bytes) -> None:
    found = faults(data)
    assert len(found) <= 1000
    assert max(len(fault.message) for fault in found) < 1000


def test_the_place_of_bad_bytes_is_told() -> None:
    found = faults(b"version: 1\nname: \xc3\xa4\xff\n")
    assert (found[0].line, found[0].column) == (2, 8)
