"""LiteLLM's proxy: its FastAPI app takes the middleware before it starts.

    pip install 'litellm[proxy]' hardening
    CONFIG_FILE_PATH=litellm.yaml HARDENING_POLICY=baseline \\
        uvicorn --app-dir examples/servers litellm_proxy:app --port 4000

`litellm --config` starts an app of its own without it: start this one in its place. What LiteLLM logs, caches
and hands to its callbacks is written inside, before anything is hardened.
"""

from __future__ import annotations

from litellm.proxy.proxy_server import app

from hardening import HardeningMiddleware

app.add_middleware(HardeningMiddleware)
