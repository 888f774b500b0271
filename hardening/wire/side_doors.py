"""Paths at which model servers and gateways give out what a model made, in a format that is not read here.

They are claimed without a codec, so they are closed while a policy enforces; a policy opens one with a row of
its own (`doors: {/generate: pass}`). Source: the route tables of vLLM 0.33, SGLang 0.5, llama.cpp, LiteLLM
1.109, Ollama, TGI and of the vendors' API references, KoboldCpp's and text-generation-webui's routes, ibm-watsonx-ai 1.8, FastChat's model
workers and public clients of MiniMax, DashScope's apps, Cortex and Vertex AI (read 2026-11-25 and 26).

Not here, and so unknown paths, which a policy reports or blocks: what tells nothing of an answer (tokenizers,
lists of models), and what an app of any kind may call a path of its own (`/v1/chat`). Vertex AI's `:predict` gives embeddings, pictures
and whatever a model of one's own makes: it is closed for published models, and read where a policy names it.
"""

from __future__ import annotations

# A leading slash: the whole path below the mount; else its last segments. `*` is any one segment, `**` all below.
SIDE_DOORS = (
    # batches, stored answers and conversations, of OpenAI, Anthropic, Mistral and Google
    "v1/files/*/content",
    "openai/files/*/content",
    "/files/*/content",
    "v1/threads/runs",
    "v1/threads/*/runs",
    "v1/threads/*/runs/*",
    "v1/threads/*/runs/*/steps",
    "v1/threads/*/runs/*/steps/*",
    "v1/threads/*/runs/*/submit_tool_outputs",
    "v1/threads/*/messages",
    "v1/threads/*/messages/*",
    "v1/conversations/*/items",
    "v1/conversations/*/items/*",
    "v1/evals/*/runs/*/output_items",
    "v1/evals/*/runs/*/output_items/*",
    "v1/messages/batches/*/results",
    "v1/conversations",
    "v1/conversations/*",
    "v1/conversations/*/messages",
    "v1/conversations/*/history",
    "v1/conversations/*/restart",
    "v1beta/interactions",
    "v1beta/interactions/*",
    "v1beta/interactions/*/cancel",
    "v1beta/batches/*",
    "*:generateContent",  # below no model: that of Google's code assistants
    "*:streamGenerateContent",
    # speech in and out, over websockets for the most part
    "v1/realtime",
    "v1/realtime/*",
    "/realtime/calls",
    "/realtime/client_secrets",
    "/realtime/transcription_sessions",
    # older and other doors of the vendors
    "v1/complete",
    "models/*:predict",
    "models/*:generateAnswer",
    "models/*:generateText",
    "models/*:generateMessage",
    "*:rawPredict",
    "*:streamRawPredict",
    "*:serverStreamingPredict",
    "*:directPredict",
    "*:directRawPredict",
    "reasoningEngines/*:query",
    "reasoningEngines/*:streamQuery",
    "model/*/converse",
    "model/*/converse-stream",
    "model/*/invoke",
    "model/*/invoke-with-response-stream",
    "model/*/*/converse",  # a model by its ARN has a slash
    "model/*/*/converse-stream",
    "model/*/*/invoke",
    "model/*/*/invoke-with-response-stream",
    "agents/*/agentAliases/*/sessions/*/text",
    "endpoints/*/invocations-response-stream",
    "cohere/v2/chat",
    "/v2/chat",
    # vLLM
    "/inference/v1/generate",
    "chat/completions/batch",
    "chat/completions/render",
    "chat/completions/derender",
    "cohere/v2/chat/render",
    "v1/completions/render",
    "v1/completions/derender",
    "v1/messages/render",
    "v1/responses/render",
    "/generative_scoring",
    "v1/systemone",
    "/systemone",
    "/v1/decisions",
    "/pooling",
    # SGLang and TGI
    "/generate",
    "/generate_stream",
    "/encode",
    "/vertex",
    "/vertex_generate",
    "/separate_reasoning",
    # llama.cpp
    "/completion",
    "/infill",
    "/slots",
    "/slots/*",
    "/props",
    "/apply-template",
    "/v1/stream",
    "/v1/streams/lookup",
    # KServe and Triton, LMDeploy; KoboldCpp and text-generation-webui
    "v2/models/*/infer",
    "v2/models/*/generate",
    "v2/models/*/generate_stream",
    "v2/models/*/versions/*/infer",
    "v2/models/*/versions/*/generate",
    "v2/models/*/versions/*/generate_stream",
    "v1/chat/interactive",
    "api/v1/generate",
    "api/latest/generate",
    "api/extra/generate/*",
    "api/extra/last_logprobs",
    "api/extra/multiplayer/getstory",
    "v1/internal/logits",
    "v1/internal/chat-prompt",
    # Replicate, and FastChat's workers
    "v1/predictions",
    "v1/predictions/*",
    "v1/models/*/*/predictions",
    "v1/deployments/*/*/predictions",
    "/worker_generate",
    "/worker_generate_stream",
    "/worker_get_embeddings",
    # Qwen's, Baidu's, Snowflake's, Cloudflare's and IBM's own
    "api/v1/apps/*/completion",
    "wenxinworkshop/chat/*",
    "wenxinworkshop/completions/*",
    "cortex/inference:complete",
    "services/aigc/text-generation/generation",
    "services/aigc/multimodal-generation/generation",
    "services/embeddings/text-embedding/text-embedding",
    "accounts/*/ai/run/*",
    "accounts/*/ai/run/*/*",
    "accounts/*/ai/run/*/*/*",
    "ml/v1/text/chat",
    "ml/v1/text/chat_stream",
    "ml/v1/text/generation",
    "ml/v1/text/generation_stream",
    "ml/v1/text/embeddings",
    "v4/deployments/*/ai_service",
    "v4/deployments/*/ai_service_stream",
    "ml/v1/deployments/*/text/chat",
    "ml/v1/deployments/*/text/chat_stream",
    "ml/v1/deployments/*/text/generation",
    "ml/v1/deployments/*/text/generation_stream",
    # LiteLLM
    "/interactions",
    "/interactions/*",
    "/interactions/*/cancel",
    "/prompts/test",
    "/usage/ai/chat",
    "/a2a/**",
    "/v1/a2a/**",
    "/spend/logs/**",
    "rag/query",
    # Ollama
    "/api/experimental/**",
)

# Words that an app of any kind has for a page, or for a socket: claimed as the whole path, for what is sent there.
POSTED = (
    "/",  # TGI
    "/predict",  # llama.cpp before Vertex AI
    "/predictions",  # Cog
    "/decisions",  # LiteLLM
)

# And for websockets only, LiteLLM's.
TALKED = ("/realtime", "/vertex_ai/live")


class SideDoors:
    """Tells which of the patterns a path fits, in time that does not grow with their number."""

    __slots__ = ("_below", "_by_end")

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self._by_end: dict[str, list[tuple[str, list[str], bool]]] = {}
        self._below: dict[str, list[tuple[str, list[str]]]] = {}
        for pattern in patterns:
            parts = pattern.strip("/").lower().split("/")
            if parts[-1] == "**":
                self._below.setdefault(parts[0], []).append((pattern, parts[:-1]))
            else:
                row = (pattern, parts[:-1], pattern.startswith("/"))
                self._by_end.setdefault(_key(parts[-1]), []).append(row)

    def find(self, segments: list[str]) -> str | None:
        """The pattern that a path's lower-case segments fit; None where there is none."""
        if not segments:
            return None
        for pattern, parts in self._below.get(segments[0], ()):
            if segments[: len(parts)] == parts:
                return pattern
        *above, last = segments
        for key in {last, _key(last), "*"}:
            for pattern, parts, whole in self._by_end.get(key, ()):
                ends = above if whole else above[max(0, len(above) - len(parts)) :]
                if len(ends) == len(parts) and all(
                    part in ("*", end) for part, end in zip(parts, ends, strict=True)
                ):
                    return pattern
        return None


def _key(segment: str) -> str:
    """What a last segment is looked up by: the verb after a colon, else itself."""
    _, colon, verb = segment.rpartition(":")
    return colon + verb if colon else segment
