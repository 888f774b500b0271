"""One run of the demonstration: two servers, three accounts, every reply kept."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import FastAPI
from teacher.app import create_app

from demo_parts.accounts import INTERNAL, LIMITED, ORDINARY, POLICY, identify
from demo_parts.ask import WAYS, Api, Reply, ask
from demo_parts.server import Bodies, Recorder, serving
from hardening import HardeningMiddleware, Receipt

FIXED_DATE = 1_800_000_000.0
"""The app's `created`, so that two calls can be compared byte for byte."""


@dataclass(frozen=True, slots=True)
class Session:
    """What was asked and what came back, by API and whether streamed."""

    bare: dict[tuple[Api, bool], Reply]
    internal: dict[tuple[Api, bool], Reply]
    ordinary: dict[tuple[Api, bool], Reply]
    limited: dict[tuple[Api, bool], Reply]
    model_calls_refused: int
    receipts: tuple[Receipt, ...]

    @property
    def hardened(self) -> tuple[Reply, ...]:
        """Every reply that passed the middleware."""
        groups = (self.internal, self.ordinary, self.limited)
        return tuple(reply for group in groups for reply in group.values())


def hardened_app(app: FastAPI, receipts: list[Receipt]) -> FastAPI:
    """The app with the middleware added, as any app adds it."""
    app.add_middleware(HardeningMiddleware, policy=POLICY, identify=identify, on_receipt=receipts.append)
    return app


def run() -> Session:
    """Serve the app twice, bare and hardened, and ask both."""
    bare = Recorder(create_app(clock=lambda: FIXED_DATE))
    with serving(bare) as address:
        plain = {way: ask(address, bare, INTERNAL, *way) for way in WAYS}
    model, reached = create_app(clock=lambda: FIXED_DATE), Bodies(list)
    model.add_middleware(Recorder, bodies=reached)
    receipts: list[Receipt] = []
    outer = Recorder(hardened_app(model, receipts))
    with serving(outer) as address:
        internal = {way: ask(address, outer, INTERNAL, *way) for way in WAYS}
        ordinary = {way: ask(address, outer, ORDINARY, *way) for way in WAYS}
        ask(address, outer, LIMITED, "openai", False)
        before = len(reached)
        limited = {way: ask(address, outer, LIMITED, *way) for way in WAYS}
    return Session(plain, internal, ordinary, limited, len(reached) - before, tuple(receipts))
