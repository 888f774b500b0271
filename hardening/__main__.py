"""`python -m hardening`: the command line where no script is on the path."""

from __future__ import annotations

from hardening.cli import main

if __name__ == "__main__":
    main()
