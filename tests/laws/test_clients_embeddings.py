"""Law 3 for embeddings: the official clients read vectors on the grid as they read any others."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from typing import Any

import ollama
import openai
import pytest

from tests.laws.served import Client, Site
from tests.laws.vectors import DIMENSIONS, vector_of

TEXTS = ["one", "two", "three"]
HARDENED = ["baseline", "strict"]
HALF = 0.0005


@pytest.fixture(scope="module")
def llama(site: Site) -> Iterator[Client]:
    """Makes clients of the `ollama` SDK."""
    made: list[ollama.Client] = []

    def client(mount: str, name: str = "reader") -> ollama.Client:
        made.append(ollama.Client(f"{site.address}/{mount}", headers={"x-who": name}, timeout=60.0))
        return made[-1]

    yield client
    for one in made:
        one._client.close()


def check(vectors: list[Any], texts: list[str] = TEXTS) -> None:
    """Each vector is that of its text, on the grid, and near."""
    assert len(vectors) == len(texts)
    for values, text in zip(vectors, texts, strict=True):
        assert len(values) == DIMENSIONS
        assert values == pytest.approx(vector_of(text), abs=HALF * 1.001)
        assert [round(value, 3) for value in values] == pytest.approx(values, abs=1e-7)


@pytest.fixture(scope="module")
def lenient(site: Site) -> Iterator[Client]:
    """Makes clients of the `openai` SDK as people do: its strict validation refuses what it unpacks itself."""
    made: list[openai.OpenAI] = []

    def client(mount: str) -> openai.OpenAI:
        address = f"{site.address}/{mount}/v1"
        made.append(openai.OpenAI(base_url=address, api_key="sk-x", default_headers={"x-who": "reader"}))
        return made[-1]

    yield client
    for one in made:
        one.close()


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("mount", HARDENED)
def test_openai(lenient: Client, gpt: Client, mount: str, packed: bool) -> None:
    """Catches a packed vector that its client cannot unpack, and one that lost a field."""
    more: dict[str, Any] = {} if packed else {"encoding_format": "float"}
    bare, hardened = (
        (lenient if packed else gpt)(where).embeddings.create(model="m", input=TEXTS, **more)
        for where in ("bare", mount)
    )
    check([one.embedding for one in hardened.data])
    assert hardened.data[0].embedding != bare.data[0].embedding
    assert [one.index for one in hardened.data] == [0, 1, 2]
    assert (hardened.usage, hardened.model, hardened.object) == (bare.usage, bare.model, bare.object)


@pytest.mark.parametrize("mount", HARDENED)
def test_a_vector_that_the_caller_unpacks(lenient: Client, mount: str) -> None:
    """Asked for by name, the client leaves it packed."""
    found = lenient(mount).embeddings.create(model="m", input="one", encoding_format="base64")
    packed = base64.b64decode(found.data[0].embedding, validate=True)
    check([list(struct.unpack(f"<{DIMENSIONS}f", packed))], ["one"])


@pytest.mark.parametrize("mount", HARDENED)
def test_ollama(llama: Client, mount: str) -> None:
    bare, hardened = (llama(where).embed("m", TEXTS) for where in ("bare", mount))
    check(hardened.embeddings)
    assert (hardened.prompt_eval_count, hardened.total_duration) == (9, bare.total_duration)
    check([llama(mount).embeddings("m", "one").embedding], ["one"])


@pytest.mark.parametrize("mount", HARDENED)
def test_gemini(gemini: Client, mount: str) -> None:
    found = gemini(mount).models.embed_content(model="m", contents=TEXTS)
    check([one.values for one in found.embeddings])


def test_a_packing_that_is_refused_is_the_error_of_its_status(lenient: Client) -> None:
    with pytest.raises(openai.PermissionDeniedError, match="ask for float"):
        lenient("baseline").embeddings.create(model="m", input="x", extra_body={"embed_dtype": "float16"})
    lenient("bare").embeddings.create(model="m", input="x", extra_body={"embed_dtype": "float16"})


def test_a_refusal_is_the_error_of_each_client(gpt: Client, llama: Client, gemini: Client) -> None:
    from google.genai import errors

    with pytest.raises(openai.PermissionDeniedError, match="closed for now"):
        gpt("tight").embeddings.create(model="closed", input="x")
    with pytest.raises(ollama.ResponseError, match="closed for now"):
        llama("tight").embed("closed", "x")
    with pytest.raises(errors.ClientError, match="closed for now"):
        gemini("tight").models.embed_content(model="closed", contents="x")
