"""The server of llama-cpp-python: its factory makes a FastAPI app, which takes the middleware.

    pip install 'llama-cpp-python[server]' hardening
    MODEL=model.gguf HARDENING_POLICY=baseline \\
        uvicorn --app-dir examples/servers --factory llama_cpp_python:app --port 8000

Its settings come from the environment, as those of `python -m llama_cpp.server` (LOGITS_ALL, N_CTX, API_KEY, ...).
"""

from __future__ import annotations

from fastapi import FastAPI
from llama_cpp.server.app import create_app

from hardening import HardeningMiddleware


def app() -> FastAPI:
    """The server with its model loaded, hardened."""
    made: FastAPI = create_app()
    made.add_middleware(HardeningMiddleware)
    return made
