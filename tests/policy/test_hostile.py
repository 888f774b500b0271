"""`hardening validate` on a hostile file, as a whole process: refused within bounds of time and memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.policy.test_load import HOSTILE

CPU_S = 5
"""What the system lets the process use. It needs a third of a second; the rest is for slow machines."""

PEAK_KIB = 100 * 1024

PROGRAM = """
import pathlib, sys
from hardening.cli import main
try:
    main()
finally:
    status = pathlib.Path("/proc/self/status").read_text()
    sys.stderr.write(status.split("VmHWM:")[1].split()[0])
"""


def _limit() -> None:
    import resource  # not on Windows

    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused_within_bounds(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "validate", str(path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        preexec_fn=_limit,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert int(done.stderr) < PEAK_KIB
    assert done.stdout.startswith(f"{path}:")
    assert len(done.stdout) < 300_000
