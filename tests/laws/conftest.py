"""The server and the clients of law 3: one of each for all tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.laws.served import Client, Site, clients, serving


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A model server on loopback, bare and behind policies."""
    with serving() as served:
        yield served


@pytest.fixture(scope="module")
def gpt(site: Site) -> Iterator[Client]:
    """Makes clients of the `openai` SDK."""
    import openai  # here, for it takes a second that other laws need not spend

    with clients(openai.OpenAI, site.address, "/v1") as made:
        yield made


@pytest.fixture(scope="module")
def gemini(site: Site) -> Iterator[Client]:
    """Makes clients of the `google-genai` SDK, one for each mount and name; closed at the end."""
    from google import genai
    from google.genai import types

    made: dict[tuple[str, str], genai.Client] = {}

    def client(mount: str, name: str = "reader") -> genai.Client:
        if (mount, name) not in made:
            options = types.HttpOptions(base_url=f"{site.address}/{mount}", headers={"x-who": name})
            made[mount, name] = genai.Client(api_key="AIza-x", http_options=options)
        return made[mount, name]

    yield client
    for one in made.values():
        one.close()


@pytest.fixture(scope="module")
def claude(site: Site) -> Iterator[Client]:
    """Makes clients of the `anthropic` SDK."""
    import anthropic

    with clients(anthropic.Anthropic, site.address, "") as made:
        yield made
