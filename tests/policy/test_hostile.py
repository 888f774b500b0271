"""`hardening validate` on hostile and on very large files, as a whole process: within bounds of time and memory."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.policy.test_load import HOSTILE

CPU_S = 5
"""What the system lets the process use. It needs a third of a second; the rest is for slow machines."""

PEAK_KIB = 100 * 1024

PROGRAM = f"""
import resource
resource.setrlimit(resource.RLIMIT_CPU, ({CPU_S}, {CPU_S}))
import pathlib, sys
from hardening.cli import main
try:
    main()
finally:
    status = pathlib.Path("/proc/self/status").read_text()
    sys.stderr.write(status.split("VmHWM:")[1].split()[0])
"""


def _day(index: int) -> date:
    return date(2027, 1, 1) + timedelta(days=index)


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")

RULES = "version: 1\nrules:\n"
HEAVY = {
    "many rules": RULES + "".join(f"- {{name: a{i}}}\n" for i in range(12_000)),
    "many ends": RULES + "".join(f"- {{name: a{i}, until: {_day(i)}}}\n" for i in range(6500)),
    "many headers": RULES
    + "".join(f"- {{name: a{i}, match: {{header: {{x{i}: a}}}}}}\n" for i in range(5500)),
    "many shares": RULES + "".join(f"- {{name: a{i}, enforce: 1%}}\n" for i in range(7500)),
    "many bands": "version: 1\nrisk:\n bands:\n"
    + "".join(f"  a{i}: {{enter: 1, leave: 0}}\n" for i in range(7000)),
    "many members": f"version: 1\naccounts: {{groups: {{a: [{', '.join(f'm{i}*' for i in range(25_000))}]}}}}\n",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused_within_bounds(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_bytes(data)
    done = validated(path)
    assert done.returncode == 1, done.stderr
    assert int(done.stderr) < PEAK_KIB
    assert done.stdout.startswith(f"{path}:")
    assert len(done.stdout) < 300_000


@pytest.mark.parametrize("text", HEAVY.values(), ids=HEAVY)
def test_a_file_as_large_as_they_come_loads_within_bounds(text: str, tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    done = validated(path)
    assert done.returncode == 0, done.stdout[:1000] + done.stderr
    assert int(done.stderr) < PEAK_KIB


@pytest.mark.parametrize("rest", ["", "z: 1"], ids=["fine", "wrong"])
def test_a_long_line_of_large_parents_is_refused_within_bounds(rest: str, tmp_path: Path) -> None:
    for i in range(9):
        rules = "".join(f"- {{name: f{i}x{j}, {rest}}}\n" for j in range(9000))
        (tmp_path / f"f{i}.yaml").write_text(f"version: 1\nextends: f{i + 1}.yaml\nrules:\n{rules}")
    done = validated(tmp_path / "f0.yaml")
    assert done.returncode == 1, done.stderr
    assert int(done.stderr) < PEAK_KIB
    assert "its parents included" in done.stdout


def validated(path: Path) -> subprocess.CompletedProcess[str]:
    """The whole process; what it says on stderr is its peak of memory in KiB."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, "validate", str(path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
