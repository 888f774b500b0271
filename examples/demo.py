"""Shows one reasoning answer as three accounts get it, and checks what it says.

    scripts/demo                prints before and after, writes build/demo.html, exits 0 when all claims hold
    scripts/demo --serve        stays up on port 8000 and prints curl lines

Runs a FastAPI app with uvicorn on loopback and asks it through the official SDKs. No key, no
network, no GPU, no compiler.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from threading import Event

from demo_parts import ServingError

MISSING = "demo: the package {0} is missing; scripts/install brings it.\n"
PAGE = Path(__file__).parents[1] / "build" / "demo.html"
CURL = """\
# {title}
curl -N {address}/v1/chat/completions -H 'content-type: application/json' \\
  -H 'authorization: Bearer {key}' \\
  -d '{{"model": "teacher", "stream": true, "logprobs": true, "top_logprobs": 20,
       "messages": [{{"role": "user", "content": "What is 15% of 80?"}}]}}'
"""


def main() -> int:
    """0: every claim holds; 1: one does not; 2: it could not be run."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--serve", action="store_true", help="stay up and print curl lines")
    parser.add_argument("--port", type=int, default=8000, help="the port of --serve (default 8000)")
    parser.add_argument(
        "--page", type=Path, default=PAGE, help="where the page goes (default build/demo.html)"
    )
    options = parser.parse_args()
    for name in [name for name in os.environ if name.startswith("HARDENING_")]:
        del os.environ[name]
    try:
        return serve(options.port) if options.serve else demonstrate(options.page)
    except ModuleNotFoundError as missing:
        sys.stderr.write(MISSING.format((missing.name or "").partition(".")[0]))
    except ServingError as fault:
        sys.stderr.write(f"demo: {fault}.\n")
    except OSError as fault:
        sys.stderr.write(f"demo: cannot write {fault.filename}: {fault.strerror}.\n")
    return 2


def demonstrate(page: Path) -> int:
    """Ask, check, measure, print, write the page."""
    from demo_parts import claims, console, cost, session
    from demo_parts.page import render
    from rich.console import Console

    page.parent.mkdir(parents=True, exist_ok=True)
    out = Console(width=None if sys.stdout.isatty() else 140)
    with out.status("asking as three accounts, through two SDKs"):
        run = session.run()
        found = claims.check(run)
    with out.status("measuring the added cost"):
        prices = cost.measure(run.bare)
    console.show(out, run, found, prices)
    page.write_text(render(run, found, prices), encoding="utf-8")
    holds = all(claim.holds for claim in found)
    out.print(f"page: {page}", soft_wrap=True)
    out.print("[green]every claim holds[/]" if holds else "[red bold]not every claim holds[/]")
    return 0 if holds else 1


def serve(port: int) -> int:
    """The hardened app until Ctrl-C, slow enough to watch it stream."""
    from demo_parts.accounts import CALLERS
    from demo_parts.server import serving
    from demo_parts.session import hardened_app
    from teacher.app import create_app

    with serving(hardened_app(create_app(delay_s=0.02), []), port) as address:
        for caller in CALLERS:
            print(CURL.format(title=caller.title, address=address, key=caller.key))
        print(f"serving on {address}; the third account has one request an hour; Ctrl-C ends it", flush=True)
        try:
            Event().wait()
        except KeyboardInterrupt:
            print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
