"""Paths to doors: mounts, slashes, case, encodings; an app's own rows first."""

from __future__ import annotations

import pytest

from hardening.wire.codec import CODECS
from hardening.wire.doors import Doors, _Known, _Patterns

CHAT = "openai_chat"
TEXTS = "openai_completions"
MESSAGES = "anthropic_messages"
RESPONSES = "openai_responses"
GEMINI = "gemini_generate"
VECTORS = "openai_embeddings"


@pytest.mark.parametrize(
    ("path", "format"),
    [
        ("/v1/chat/completions", CHAT),
        ("/chat/completions", CHAT),
        ("/api/v1/chat/completions", CHAT),
        ("/openai/deployments/gpt/chat/completions", CHAT),
        ("//openai/deployments/gpt//chat/completions/", CHAT),
        ("/V1/Chat/Completions", CHAT),
        ("/v1/chat%2Fcompletions", CHAT),
        ("/v1/%63hat/completions", CHAT),
        ("/v1/./chat/completions", CHAT),
        ("/v1/messages", MESSAGES),
        ("/api/v1/messages/", MESSAGES),
        ("/v1/text/chatcompletion_v2", CHAT),
        ("/v1/chat/completion\u017f", CHAT),
        ("/v1/chat/\uff43ompletions", CHAT),
        ("/v1/chat\uff0fcompletions", CHAT),
        ("/v1/chat/x/../completions", CHAT),
        ("/v1/messages/x/%2e%2e", MESSAGES),
        ("/../../v1/messages", MESSAGES),
        ("/v1/chat/completions?x=1", CHAT),
        ("/v1/chat/completions%3Fx", CHAT),
        ("/v1/chat/completions#x", CHAT),
        ("/v1/chat/completions%00.json", CHAT),
        ("/v1/chat/completions\0", CHAT),
        ("/v1/chat;a=1/completions;b", CHAT),
        ("/v1/chat\\completions ", CHAT),
        ("/v1/chat/com\npletions", CHAT),
        ("/v1/responses", RESPONSES),
        ("/responses", RESPONSES),
        ("/openai/v1/responses", RESPONSES),
        ("/v1/responses/compact", RESPONSES),
        ("/backend-api/codex/responses", RESPONSES),
        ("/codex/responses/compact", RESPONSES),
        ("/v1/responses/resp_1", None),
        ("/v1/completions", TEXTS),
        ("/completions", TEXTS),
        ("/completion", TEXTS),
        ("/openai/completions", TEXTS),
        ("/VLLM//completions", TEXTS),
        ("/openai_passthrough/responses", RESPONSES),
        ("/openai/messages", MESSAGES),  # where the address behind ends in /v1
        ("/VLLM/messages/", MESSAGES),
        ("/gemini/embed", "cohere_embed"),
        ("/openai", None),
        ("/shop/openai/messages", None),
        ("/v1/engines/davinci/completions", TEXTS),
        ("/api/v0/completions", TEXTS),
        ("/deepseek/beta/completions", TEXTS),
        ("/engines/org/m/completions", TEXTS),
        ("/engines//completions", TEXTS),
        ("/engines/;m/completions", TEXTS),
        ("/engines/m?x/completions", TEXTS),
        ("/openai/deployments/m#x/chat/completions", CHAT),
        ("/deployments/org/m/completions", TEXTS),
        ("/v1beta/models/m?:generateContent", GEMINI),
        ("/v1beta/models/m;x:generateContent", GEMINI),
        ("/openai/deployments/gpt/completions", TEXTS),
        ("/v1/fim/completions", CHAT),
        ("/v1/agents/completions", CHAT),
        ("/deployments/fim/completions", CHAT),
        ("/api/chat", "ollama_chat"),
        ("/llm/API/Generate/", "ollama_generate"),
        ("/chat", None),
        ("/generate", None),
        ("/v1beta/models/gemini-m:generateContent", GEMINI),
        ("/v1beta/models/gemini-m:streamGenerateContent?alt=sse", GEMINI),
        ("/v1beta/models/gemini-m%3AgenerateContent", GEMINI),
        ("/v1beta/tunedModels/mine-1:generateContent", GEMINI),
        ("/v1/projects/p/locations/global/publishers/google/models/gemini-m:streamGenerateContent", GEMINI),
        ("/v1/projects/p/locations/us-east1/endpoints/4711:generateContent", GEMINI),
        (
            "/vertex_ai/v1beta1/projects/p/locations/l/publishers/google/models/gemini-m:generateContent",
            GEMINI,
        ),
        ("/models/vertex_ai/gemini-m:generateContent", GEMINI),
        ("/v1beta/models/gemini-m:countTokens", None),
        ("/v1beta/models/gemini-m:embedContent", "gemini_embed"),
        ("/v1beta/models/gemini-m:batchEmbedContents", "gemini_embed"),
        ("/v1beta1/projects/p/locations/l/publishers/google/models/gemini-m:embedContent", "gemini_embed"),
        ("/v1/embeddings", VECTORS),
        ("/embeddings", VECTORS),
        ("/embedding", VECTORS),
        ("/v1beta/openai/embeddings", VECTORS),
        ("/openai/v1/Embeddings/", VECTORS),
        ("/openai/deployments/embed-prod/embeddings", VECTORS),
        ("/engines/org/m/embeddings", VECTORS),
        ("/api/v1/embeddings", VECTORS),
        ("/api/embed", "ollama_embed"),
        ("/api/embeddings", "ollama_embed"),
        ("/cohere/v1/embed", "cohere_embed"),
        ("/v2/embed", "cohere_embed"),
        ("/articles/embeddings", None),
        ("/embed", None),
        ("/v1beta/models/gemini-m", None),
        ("/v1beta/interactions", None),
        ("/v1/messages/..", None),
        ("/threads/thread_1/messages", None),
        ("/messages", None),
        ("/v1/messages/count_tokens", None),
        ("/v1/chat/completions/x", None),
        ("/surveys/12/responses", None),
        ("/forms/openai/x/responses", None),
        ("/articles/completions", None),
        ("/llm/completion", None),
        ("/health", None),
        ("/", None),
        ("", None),
    ],
)
def test_known_doors(path: str, format: str | None) -> None:
    doors = Doors()
    for _ in range(2):  # found, then remembered
        door = doors.match(path)
        assert (door and door.codec and door.codec.name) == format


def test_own_rows_win_and_a_star_names_what_is_below() -> None:
    doors = Doors({"/api/chat": CHAT, "/internal/*": "pass", "/legacy/v1/messages": "pass"})
    assert doors.match("/api/chat/").name == "/api/chat"  # type: ignore[union-attr]
    assert doors.match("/internal/v1/chat/completions") is None
    assert doors.match("/internals/v1/chat/completions") is not None
    assert doors.match("/legacy/v1/messages") is None
    assert doors.match("/v1/messages") is not None


def test_a_dot_segment_leads_out_of_what_is_left_alone() -> None:
    doors = Doors({"/internal/*": "pass"})
    assert doors.match("/internal/../v1/chat/completions") is not None


def test_kept_answers_have_doors_of_their_own() -> None:
    doors = Doors()
    kept = doors.stored("/v1/chat/completions/chatcmpl-1/messages")
    assert kept is not None
    assert kept.codec is not None
    assert kept.codec.name == CHAT
    assert kept.name == "/chat/completions/*/messages"
    assert doors.stored("/v1/chat/completions/chatcmpl-1") is not None
    assert doors.stored("/v1/chat/deferred-completion/r1") is not None
    assert doors.stored("/v1/chat/completions") is None
    assert Doors(known=False).stored("/v1/chat/completions/x") is None


@pytest.mark.parametrize(
    "path",
    [
        "/v1/responses/resp_1",
        "/v1/responses/7f3a",
        "/api/responses/resp_1",
        "/openai/v1/responses/resp_1/input_items",
        "/responses/resp_1/cancel",
        "/responses/bGl0ZWxsbTpj",  # of LiteLLM, without what its ids begin with
        "/responses/litellm_poll_1",
        "/openai/responses/7f3a",
        "/vllm/responses/7f3a/input_items",
    ],
)
def test_kept_responses_and_their_items(path: str) -> None:
    kept = Doors().stored(path)
    assert kept is not None
    assert kept.codec is not None
    assert kept.codec.name == RESPONSES


@pytest.mark.parametrize(
    "path", ["/v1/responses/input_tokens", "/surveys/4/responses/7", "/codex/x/responses/7"]
)
def test_what_only_looks_like_a_kept_response_is_left_alone(path: str) -> None:
    """Catches a page of another app that is read as an answer, and a count of tokens that is charged."""
    doors = Doors()
    assert (doors.match(path), doors.stored(path)) == (None, None)


def test_what_zhipu_keeps_is_a_chat() -> None:
    kept = Doors().stored("/api/paas/v4/async-result/7")
    assert kept is not None
    assert kept.codec is not None
    assert (kept.name, kept.codec.name) == ("/paas/v4/async-result/*", CHAT)


@pytest.mark.parametrize("path", ["/endpoints/e/invocations", "/serving-endpoints/m/invocations"])
def test_an_endpoint_answers_by_its_body(path: str) -> None:
    door = Doors().match(path)
    assert door is not None
    assert door.by_body


def test_a_format_that_is_not_read_yet_is_claimed_without_codec() -> None:
    door = Doors({"/converse": "bedrock_converse"}).match("/converse")
    assert door is not None
    assert door.codec is None


def test_the_memory_of_paths_is_bounded() -> None:
    doors = Doors()
    for number in range(5000):
        doors.match(f"/{number}")
    doors.match("/" + "x" * 10_000)
    assert len(doors._seen) <= 1024
    assert max(map(len, doors._seen)) <= 256


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/openai/deployments/GPT-5-prod/chat/completions", "GPT-5-prod"),
        ("/v1/engines/m%2E1/chat/completions", "m.1"),
        ("/deployments/chat/completions", ""),
        ("/openai/deployments/gpt-x/completions", "gpt-x"),
        ("/engines/org/M-1/completions", "org/M-1"),
        ("/engines/m?x/completions", "m?x"),
        ("/v1beta/models/gemini-m:streamGenerateContent", "gemini-m"),
        ("/v1beta/models/vertex_ai/gemini-m:7b:generateContent", "vertex_ai/gemini-m:7b"),
        ("/v1/projects/p/locations/l/publishers/google/models/gemini-m:generateContent", "gemini-m"),
        ("/v1/chat/completions", ""),
    ],
)
def test_a_path_may_name_the_model(path: str, model: str) -> None:
    door = Doors().match(path)
    assert door is not None
    assert door.model == model


def test_the_name_of_a_door_holds_no_part_of_a_request() -> None:
    door = Doors().match("/openai/deployments/secret-project/chat/completions")
    assert door is not None
    assert door.name in Doors().names


def test_a_verb_ends_a_path_and_what_stands_before_it_is_the_model() -> None:
    patterns = _Patterns((_Known("models/{model}:generateContent", CHAT, streams=True),))
    found = patterns.find(["v1beta", "Models", "org", "Gem-3:GenerateContent"])
    assert found is not None
    assert (found.model, found.streams) == ("org/Gem-3", True)
    assert patterns.find(["v1beta", "models", "gem:countTokens"]) is None
    assert patterns.find(["gem:generateContent"]) is None


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/threads/thread_1/messages", "/v1/threads/*/messages"),
        ("/api/V1/Threads/t/runs/", "/v1/threads/*/runs"),
        ("/v1/messages/batches/b1/results", "/v1/messages/batches/*/results"),
        ("/v1/chat/completions/batch", "/chat/completions/batch"),
        ("/generate", "/generate"),
        ("//Generate/", "/generate"),
        ("/x/../%67enerate", "/generate"),
        ("/v1/projects/p/locations/l/publishers/google/models/m:predict", "/models/*:predict"),
        ("/openai/threads/t/messages", "/v1/threads/*/messages"),
        ("/v1beta/models/m:generateAnswer", "/models/*:generateAnswer"),
        ("/v1/projects/p/locations/l/endpoints/7:serverStreamingPredict", "/*:serverStreamingPredict"),
        ("/v1/projects/p/locations/l/reasoningEngines/7:streamQuery", "/reasoningEngines/*:streamQuery"),
        ("/v1/models/o/m/predictions", "/v1/models/*/*/predictions"),
        ("/worker_generate_stream", "/worker_generate_stream"),
        ("/api/v1/apps/a/completion", "/api/v1/apps/*/completion"),
        ("/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/m", "/wenxinworkshop/chat/*"),
        ("/api/v2/cortex/inference:complete", "/cortex/inference:complete"),
        ("/agents/a/agentAliases/b/sessions/c/text", "/agents/*/agentAliases/*/sessions/*/text"),
        ("/endpoints/e/invocations-response-stream", "/endpoints/*/invocations-response-stream"),
        ("/model/arn%3Aaws%3Am/converse-stream", "/model/*/converse-stream"),
        ("/model/arn%3Aaws%3Abedrock%3Ax%3A1%3Ainference-profile%2Fus.m-v1%3A0/invoke", "/model/*/*/invoke"),
        ("/v1/projects/p/locations/l/publishers/anthropic/models/c:streamRawPredict", "/*:streamRawPredict"),
        ("/slots/3", "/slots/*"),
        ("/a2a/agent/message/send", "/a2a/**"),
        ("/spend/logs", "/spend/logs/**"),
        ("/VLLM/inference/v1/generate", "/inference/v1/generate"),
        ("/v1/responses/render", "/v1/responses/render"),
        ("/v1internal:streamGenerateContent", "/*:streamGenerateContent"),
        ("/v2/models/m/versions/1/generate_stream", "/v2/models/*/versions/*/generate_stream"),
        ("/kobold/api/v1/generate", "/api/v1/generate"),
        ("/api/extra/last_logprobs", "/api/extra/last_logprobs"),
        ("/v1/internal/chat-prompt", "/v1/internal/chat-prompt"),
        ("/ml/v1/text/embeddings", "/ml/v1/text/embeddings"),
        ("/ml/v4/deployments/d/ai_service", "/v4/deployments/*/ai_service"),
        (
            "/api/v1/services/aigc/text-generation/generation",
            "/services/aigc/text-generation/generation",
        ),
        ("/client/v4/accounts/a/ai/run/@cf/org/m", "/accounts/*/ai/run/*/*/*"),
        ("/v1beta/batches/b1", "/v1beta/batches/*"),
        ("/files/file-1/content", "/files/*/content"),
        ("/azure/openai/files/file-1/content", "/openai/files/*/content"),
        ("/prompts/test", "/prompts/test"),
        ("/usage/ai/chat", "/usage/ai/chat"),
        ("/v1/a2a/agent/message/send", "/v1/a2a/**"),
        ("/interactions/i1", "/interactions/*"),
        ("/interactions/i1/cancel", "/interactions/*/cancel"),
        ("/laya/v1/systemone", "/v1/systemone"),
        ("/typesafe/systemone", "/systemone"),
        ("/cohere/v2/chat/render", "/cohere/v2/chat/render"),
        ("/vertex-ai/generate", "/generate"),
        ("/openai/threads/t1/runs", "/v1/threads/*/runs"),
        ("/vllm/score/../systemone", "/systemone"),
    ],
)
def test_side_doors_are_claimed_and_not_read(path: str, name: str) -> None:
    door = Doors().match(path)
    assert door is not None
    assert (door.name, door.codec) == (name, None)


@pytest.mark.parametrize(
    "path",
    [
        "/images/generate",  # an app of its own
        "/api/generate/x",
        "/forum/threads/7/messages",
        "/v1/models",
        "/rerank",
        "/classify",
        "/predict",
        "/v1/files/f/metadata",
        "/shop/files/f/content",
        "/shop/prompts/test",
        "/decisions",
        "/realtime",
        "/tokenize",
        "/metrics",
        "/docs",
        "/a2ab/x",
    ],
)
def test_what_is_no_side_door_stays_unknown(path: str) -> None:
    assert Doors().match(path) is None


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", "/"),
        ("", "/"),
        ("//Predict/", "/predict"),
        ("/decisions", "/decisions"),
        ("/vllm/decisions", "/decisions"),
        ("/predictions", "/predictions"),
    ],
)
def test_what_is_sent_to_words_of_any_app_finds_a_side_door(path: str, name: str) -> None:
    """Catches a server's own door that only a report names."""
    door = Doors().posted(path)
    assert door is not None
    assert (door.name, door.codec) == (name, None)
    assert Doors(known=False).posted(path) is None


@pytest.mark.parametrize(
    ("path", "name", "by_body"),
    [
        ("/rerank", "/rerank", False),
        ("//Reranking/", "/reranking", False),
        ("/classify", "/classify", False),
        ("/score", "/score", True),
    ],
)
def test_scores_are_read_that_are_asked_at_words_of_any_app(path: str, name: str, by_body: bool) -> None:
    """Catches a page of an app that is taken for a door, and a door that only a report names."""
    assert Doors().match(path) is None
    door = Doors().posted(path)
    assert door is not None
    assert (door.name, door.codec, door.by_body) == (name, CODECS["scores"], by_body)
    assert Doors(known=False).posted(path) is None
    assert Doors().posted(f"/shop{path}") is None


@pytest.mark.parametrize(
    "path", ["/v1/rerank", "/api/v1/rerank", "/cohere/v2/rerank", "/v1/moderations", "/v1/score"]
)
def test_a_vendors_path_of_scores_is_read_by_any_method(path: str) -> None:
    door = Doors().match(path)
    assert door is not None
    assert door.codec is CODECS["scores"]


def test_a_websocket_at_a_word_of_any_app_finds_a_side_door() -> None:
    """Catches LiteLLM's other names for `/v1/realtime`, over which a model speaks."""
    doors = Doors()
    for path in ("/realtime", "/OpenAI/realtime", "/vertex_ai/live"):
        door = doors.talked(path)
        assert door is not None
        assert door.codec is None
    for path in ("/live", "/shop/realtime", "/"):
        assert doors.talked(path) is None
    assert Doors(known=False).talked("/realtime") is None


@pytest.mark.parametrize("path", ["/x", "/api/predict", "/x/score", "/x/classify"])
def test_the_same_words_further_down_are_an_apps(path: str) -> None:
    assert Doors().posted(path) is None


def test_a_row_of_the_policy_opens_a_side_door() -> None:
    doors = Doors({"/generate": "pass", "/a2a/*": "pass", "/completion": CHAT})
    assert doors.match("/generate") is None
    assert doors.match("/a2a/agent") is None
    opened = doors.match("/completion")
    assert opened is not None
    assert opened.codec is not None
    assert Doors({"/x": CHAT}, known=False).match("/generate") is None


def test_a_verb_says_whether_its_door_streams() -> None:
    doors = Doors()
    for verb, streams in (("generateContent", False), ("streamGenerateContent", True)):
        door = doors.match(f"/v1beta/models/gemini-m:{verb}")
        assert door is not None
        assert door.streams is streams
