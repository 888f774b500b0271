"""Ways in which FastAPI apps find out who asks, each with `hardening` mounted as its author would."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from queue import SimpleQueue
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.security import APIKeyHeader, OAuth2PasswordBearer
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, AuthenticationError, SimpleUser
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection
from starlette.routing import Mount
from starlette.types import ASGIApp, Scope

import hardening
from hardening import DEFERRED, Account, Policy, Receipt
from hardening.clock import SystemClock
from hardening.testing import Hardened
from tests.laws.formats import CHAT, MESSAGES, Format

WAIT_S = 20.0
KEY = "a key for tests, and for nothing else"
POLICY = Policy(
    environment={"HARDENING_KEY": KEY},
    name="shop",
    accounts={"unproven": {"limits": ["trial"]}, "groups": {"partner": []}},
    limits={
        "calls": {"requests": 2, "per": "30d"},
        "window": {"requests": 1, "per": "30s"},
        "trial": {"requests": 100, "per": "1m"},
    },
    defaults={"limits": ["calls"], "reasoning": {"show": "none"}},
    rules=[
        {"name": "partners", "match": {"group": "partner"}, "limits": []},
        {"name": "waits", "match": {"account": "slow-*"}, "limits": ["window"]},
        {"name": "closed", "match": {"model": "closed"}, "refuse": {"message": "closed for now"}},
    ],
)
Answer = Callable[[Request], Awaitable[Response]]


class Notes:
    """What a way did, for a test in another thread to wait for."""

    def __init__(self) -> None:
        self.receipts: SimpleQueue[Receipt] = SimpleQueue()
        self.log: SimpleQueue[str] = SimpleQueue()
        self.billed: set[str] = set()

    def take(self, receipt: Receipt) -> None:
        self.billed.add(receipt.account)
        self.receipts.put(receipt)

    def receipt(self, account: str) -> Receipt:
        """The next receipt of an account."""
        while (receipt := self.receipts.get(timeout=WAIT_S)).account != account:
            pass
        return receipt


class Mounted(Hardened):
    """The middleware as `add_middleware` makes it; its receipts go where the test waits for them."""

    def __init__(self, app: ASGIApp, notes: Notes, identify: Any = DEFERRED) -> None:
        super().__init__(
            app,
            POLICY,
            identify=identify,
            state=None,
            clock=SystemClock(),
            environment={"HARDENING_KEY": KEY},
        )
        self.options = replace(self.options, on_receipt=notes.take)


def account_of(key: str | None) -> Account:
    """The account of a key; as an app would look it up."""
    if key is None or not key.startswith("key-"):
        raise HTTPException(401, "who are you?")
    name = key.removeprefix("key-")
    return Account(name, groups=("partner",) if name.startswith("partner") else ())


def answer_of(format: Format) -> Answer:
    """An endpoint that gives the recorded answer, streamed or not."""

    async def answer(request: Request) -> Response:
        asked = await request.json()
        if not asked.get("stream"):
            return Response(format.whole, media_type="application/json")

        async def frames() -> AsyncIterator[bytes]:
            for frame in format.stream:
                yield frame

        return StreamingResponse(frames(), media_type="text/event-stream")

    return answer


def speaks(router: APIRouter | FastAPI, prefix: str = "/v1", **more: Any) -> None:
    """Give a router both endpoints."""
    router.add_api_route(f"{prefix}/chat/completions", answer_of(CHAT), methods=["POST"], **more)
    router.add_api_route(f"{prefix}/messages", answer_of(MESSAGES), methods=["POST"], **more)


# -- the ways


def api_key(notes: Notes) -> FastAPI:
    """A dependency that reads an API key."""
    header = APIKeyHeader(name="x-api-key", auto_error=False)

    async def customer(request: Request, key: Annotated[str | None, Depends(header)]) -> None:
        await hardening.admit(request, account_of(key))

    app = FastAPI()
    app.add_middleware(Mounted, notes=notes)
    speaks(app, dependencies=[Depends(customer)])
    return app


def oauth2(notes: Notes) -> FastAPI:
    """A chain of dependencies from an OAuth2 token to a user."""
    scheme = OAuth2PasswordBearer(tokenUrl="token")

    async def user(token: Annotated[str, Depends(scheme)]) -> Account:
        return account_of(token)

    async def admitted(request: Request, account: Annotated[Account, Depends(user)]) -> Account:
        decision = await hardening.admit(request, account)
        assert decision is hardening.decision(request)
        return account

    app = FastAPI()
    app.add_middleware(Mounted, notes=notes)
    speaks(app, dependencies=[Depends(admitted), Depends(admitted, use_cache=False)])
    return app


class _Keys(AuthenticationBackend):
    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, SimpleUser]:
        try:
            account = account_of(conn.headers.get("x-api-key"))
        except HTTPException as fault:
            raise AuthenticationError(fault.detail) from None
        return AuthCredentials(account.groups), SimpleUser(account.id)


def auth_middleware(notes: Notes) -> FastAPI:
    """Authentication outside of us, which hands the user over in the scope."""

    def identify(scope: Scope) -> Account:
        return Account(scope["user"].username, groups=tuple(scope["auth"].scopes))

    def unknown(conn: HTTPConnection, fault: AuthenticationError) -> Response:
        return JSONResponse({"detail": str(fault)}, 401)

    app = FastAPI()
    app.add_middleware(Mounted, notes=notes, identify=identify)
    app.add_middleware(AuthenticationMiddleware, backend=_Keys(), on_error=unknown)
    speaks(app)
    return app


def inner_middleware(notes: Notes) -> FastAPI:
    """A function middleware inside of us that admits, and one that answers whatever fails."""
    app = FastAPI()

    @app.middleware("http")
    async def admits(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        try:
            await hardening.admit(request, account_of(request.headers.get("x-api-key")))
        except HTTPException as fault:
            return JSONResponse({"detail": fault.detail}, fault.status_code)
        return await call_next(request)

    @app.middleware("http")
    async def watches(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        try:
            return await call_next(request)
        except Exception as fault:
            notes.log.put(type(fault).__name__)
            raise

    app.add_middleware(Mounted, notes=notes)
    speaks(app)
    return app


def sub_application(notes: Notes) -> FastAPI:
    """The door is in an app of its own below ours, with its own page for errors."""
    inner = api_key(notes)
    inner.user_middleware.clear()

    @inner.exception_handler(Exception)
    async def page(request: Request, fault: Exception) -> Response:
        return JSONResponse({"detail": "a page for errors"}, 500)

    app = FastAPI()
    app.add_middleware(Mounted, notes=notes)
    app.mount("/llm", inner)
    app.mount("/", inner)
    return app


def router(notes: Notes) -> FastAPI:
    """A router with a prefix; the dependency is the whole app's, so other routes have it too."""

    async def customer(request: Request) -> None:
        await hardening.admit(request, account_of(request.headers.get("x-api-key")))

    app = FastAPI(dependencies=[Depends(customer)])
    app.add_middleware(Mounted, notes=notes)
    routes = APIRouter(prefix="/v1")
    speaks(routes, prefix="")
    app.include_router(routes)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "up"}

    return app


def background(notes: Notes) -> FastAPI:
    """A task that runs when the answer is out."""

    async def customer(request: Request, tasks: BackgroundTasks) -> None:
        account = account_of(request.headers.get("x-api-key"))
        await hardening.admit(request, account)
        tasks.add_task(later, request, account)

    async def later(request: Request, account: Account) -> None:
        decision = await hardening.admit(request, account)
        notes.log.put(f"{account.id} {account.id in notes.billed} {decision is hardening.decision(request)}")

    app = FastAPI()
    app.add_middleware(Mounted, notes=notes)

    async def answer(request: Request, tasks: BackgroundTasks, format: Format) -> Response:
        response = await answer_of(format)(request)
        response.background = tasks
        return response

    async def chat(request: Request, tasks: BackgroundTasks) -> Response:
        return await answer(request, tasks, CHAT)

    async def messages(request: Request, tasks: BackgroundTasks) -> Response:
        return await answer(request, tasks, MESSAGES)

    app.add_api_route("/v1/chat/completions", chat, methods=["POST"], dependencies=[Depends(customer)])
    app.add_api_route("/v1/messages", messages, methods=["POST"], dependencies=[Depends(customer)])
    return app


def yielding(notes: Notes) -> FastAPI:
    """Dependencies that clean up, around the one that admits and within it."""

    async def session() -> AsyncIterator[str]:
        try:
            yield "session"
        except Exception:
            notes.log.put("rolled back")
            raise
        finally:
            notes.log.put("closed")

    async def customer(request: Request, session: Annotated[str, Depends(session)]) -> AsyncIterator[None]:
        await hardening.admit(request, account_of(request.headers.get("x-api-key")))
        yield
        notes.log.put("left")

    app = FastAPI()
    app.add_middleware(Mounted, notes=notes)
    speaks(app, dependencies=[Depends(customer)])
    return app


WAYS = {
    way.__name__: way
    for way in (
        api_key,
        oauth2,
        auth_middleware,
        inner_middleware,
        sub_application,
        router,
        background,
        yielding,
    )
}


def cross_origin(notes: Notes, origin: str) -> FastAPI:
    """An app that browsers of another origin may ask; CORS stands outside of us."""
    app = api_key(notes)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=[origin],
        allow_headers=["x-api-key", "content-type"],
        allow_methods=["POST"],
        expose_headers=["retry-after", "x-should-retry"],
    )
    return app


class Shop:
    """All ways on one server, each below a path of its own."""

    def __init__(self) -> None:
        self.notes = {name: Notes() for name in WAYS}
        self.app = Starlette(routes=[Mount(f"/{name}", way(self.notes[name])) for name, way in WAYS.items()])


def asked(model: str = "m", *, streamed: bool = False) -> bytes:
    """A request that both formats read."""
    body = {
        "model": model,
        "stream": streamed,
        "max_tokens": 1000,
        "messages": [{"role": "user", "content": "?"}],
    }
    return json.dumps(body).encode()
