"""Cut model responses to a policy, per account.

    app.add_middleware(HardeningMiddleware, policy="baseline")

Mount: `HardeningMiddleware`. Policies: `load_policy` reads a file or a preset (`find_preset` says where
that lies), `Policy(...)` is one in code. Who asks: `identify=` gives an `Account`, or with
`identify=DEFERRED` the app calls `admit`; `decision` tells what was decided. What was done: a
`Receipt`, which holds the `Decision` and perhaps a `Refusal`; `RequestFacts` is what a policy looks
at. A store of limits of your own: `StateStore`; a signal of risk is called with `SignalFacts`. Tests of an app: `hardening.testing`.

Errors: `HardeningError` is the root of `PolicyError`, `StartError`, `AccountError`, `StateError` and
`WireError`; `Refused` ends a request that the policy refuses. `__version__` is this release.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hardening.asgi.admission import DEFERRED, admit, decision
    from hardening.asgi.middleware import HardeningMiddleware
    from hardening.errors import (
        AccountError,
        HardeningError,
        PolicyError,
        Refused,
        StartError,
        StateError,
        WireError,
    )
    from hardening.facts import Account, Decision, Receipt, Refusal, RequestFacts, SignalFacts
    from hardening.policy import Policy, find_preset, load_policy
    from hardening.state import StateStore

__all__ = [  # noqa: RUF022  sorted as Python sorts
    "Account",
    "AccountError",
    "DEFERRED",
    "Decision",
    "HardeningError",
    "HardeningMiddleware",
    "Policy",
    "PolicyError",
    "Receipt",
    "Refusal",
    "Refused",
    "RequestFacts",
    "SignalFacts",
    "StartError",
    "StateError",
    "StateStore",
    "WireError",
    "__version__",
    "admit",
    "decision",
    "find_preset",
    "load_policy",
]

__version__ = "0.1.0"

# Names are loaded when they are first used, so that what only reads policies imports no kernels.
_MODULES = {
    "hardening.asgi.admission": ("DEFERRED", "admit", "decision"),
    "hardening.asgi.middleware": ("HardeningMiddleware",),
    "hardening.errors": (
        "AccountError",
        "HardeningError",
        "PolicyError",
        "Refused",
        "StartError",
        "StateError",
        "WireError",
    ),
    "hardening.facts": ("Account", "Decision", "Receipt", "Refusal", "RequestFacts", "SignalFacts"),
    "hardening.policy": ("Policy", "find_preset", "load_policy"),
    "hardening.state": ("StateStore",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    """Import a public name from the room where it lives."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'hardening' has no attribute {name!r}")
    value: object = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, loaded or not."""
    return sorted({*globals(), *__all__})
