"""`hardening serve`: a policy before a model server in which nothing can be mounted."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hardening.asgi.middleware import HardeningMiddleware

UNUSABLE = 2

# Workers are processes of their own: what was asked reaches them in the environment.
_UPSTREAM, _CONNECTIONS, _SILENCE = (
    "HARDENING_SERVE_UPSTREAM",
    "HARDENING_SERVE_CONNECTIONS",
    "HARDENING_SERVE_SILENCE_S",
)


def served() -> HardeningMiddleware:
    """The app that each worker serves."""
    from hardening.asgi.middleware import HardeningMiddleware
    from hardening.asgi.proxy import Proxy, Upstream

    upstream = Upstream.of(
        os.environ[_UPSTREAM],
        connections=int(os.environ[_CONNECTIONS]),
        silence_s=float(os.environ[_SILENCE]),
    )
    return HardeningMiddleware(Proxy(upstream))


def serve(
    upstream: Annotated[str, typer.Option(help="The model server, as http://HOST:PORT[/PATH].")],
    policy: Annotated[
        str, typer.Option(envvar="HARDENING_POLICY", help="A policy file or a preset.")
    ] = "baseline",
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port to listen on; 0 takes a free one.")
    ] = 8080,
    workers: Annotated[
        int,
        typer.Option(
            min=1,
            help="Processes; more than one needs a key, and a shared store if limits shall count together.",
        ),
    ] = 1,
    connections: Annotated[
        int, typer.Option(min=1, help="Connections to the model server at once, for each worker.")
    ] = 512,
    silence: Annotated[
        float, typer.Option(min=1, help="Seconds that the model server may stay silent.")
    ] = 600.0,
    forwarded_allow_ips: Annotated[
        str, typer.Option(help="Proxies before this one whose X-Forwarded-For is believed.")
    ] = "127.0.0.1",
) -> None:
    """Stand before a model server as a streaming reverse proxy: exit 2 for what cannot be used."""
    try:
        import uvicorn

        from hardening.asgi.proxy import Upstream
        from hardening.asgi.secret import forbid_without_key, read_keys
    except ModuleNotFoundError as missing:
        typer.echo(f"serve needs {missing.name}: pip install 'hardening[serve]'", err=True)
        raise typer.Exit(UNUSABLE) from None
    from hardening.errors import HardeningError
    from hardening.policy import load_policy

    try:
        Upstream.of(upstream)
        runtime = load_policy(policy, os.environ).runtime
        if not read_keys(runtime, os.environ).durable:
            forbid_without_key(runtime.state, workers)  # workers that cannot start would end without a word
    except HardeningError as fault:
        typer.echo(str(fault), err=True)
        raise typer.Exit(UNUSABLE) from None
    os.environ.update(
        {
            "HARDENING_POLICY": policy,
            _UPSTREAM: upstream,
            _CONNECTIONS: str(connections),
            _SILENCE: str(silence),
        }
    )
    uvicorn.run(
        "hardening.cli.serve:served",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        lifespan="on",
        server_header=False,
        date_header=False,
        forwarded_allow_ips=forwarded_allow_ips,
        access_log=False,
        log_config=_logging(uvicorn.config.LOGGING_CONFIG),
    )


def _logging(base: dict[str, object]) -> dict[str, object]:
    """Uvicorn's own way to log, for our logger too: here this library is the app."""
    loggers = base["loggers"]
    assert isinstance(loggers, dict)
    return {**base, "loggers": {**loggers, "hardening": {"handlers": ["default"], "level": "INFO"}}}
