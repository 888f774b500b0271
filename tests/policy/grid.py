"""What each preset, and one policy with every mechanism, decides over a grid of facts.

Write the files anew, after a change that is meant and stands in the changelog:
    .venv/bin/python -m tests.policy.grid
"""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import product
from pathlib import Path

from hardening.facts import Account, RequestFacts, Standing
from hardening.policy import Policy, decide, load_policy, preset_names, would
from hardening.policy.quantities import start_of

FOLDER = Path(__file__).parent / "golden"
OWN = {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}

ACCOUNTS = {
    "ordinary": Account("acct_1"),
    "partner": Account("acct_91", org="org_other"),
    "organisation": Account("u7", org="org_acme"),
    "internal": Account("svc-evals"),
    "beta": Account("acct_2", groups=("beta",)),
    "another beta": Account("acct_3", groups=("beta", "unheard-of")),
    "stranger": Account("acct_91", org="org_acme", groups=("beta",), proven=False, network="net_1"),
}
DOORS = {
    "chat": ("/chat/completions", "openai_chat"),
    "messages": ("/v1/messages", "anthropic_messages"),
    "embeddings": ("/embed", "openai_embeddings"),
}
MODELS = ("glass-1", "slate")
HEADERS = {"": (), "red": ((b"x-tenant", b"red-1"),)}
STANDINGS = {
    "known": Standing(requests=99, age_s=1e6),
    "new": Standing(requests=9, age_s=60.0),
    "watch": Standing(0.6, "watch", 99, 1e6),
    "harden": Standing(0.9, "harden", 99, 1e6),
    "a band of another policy": Standing(0.75, "gone", 99, 1e6),
}
DAYS = ("2027-03-30", "2027-03-31")
FEW = {name: ACCOUNTS[name] for name in ("ordinary", "organisation", "stranger")}
"""For presets, which name no group, header or day."""


def policies() -> list[str]:
    """The names of all policies with a golden file."""
    return [*preset_names(), *OWN]


def decisions(name: str) -> dict[str, object]:
    """The digest of a policy, and each Decision with the facts that lead to it."""
    policy = load_policy(OWN.get(name, name))
    own = name in OWN
    groups: dict[str, list[str]] = {}
    for who, door, model, standing, header, day, stream in product(
        ACCOUNTS if own else FEW,
        DOORS,
        MODELS,
        STANDINGS,
        HEADERS if own else ("",),
        DAYS if own else DAYS[:1],
        (False,) if own else (False, True),
    ):
        facts = RequestFacts(*DOORS[door], model, stream=stream, headers=HEADERS[header])
        decided = _decided(policy, facts, ACCOUNTS[who], STANDINGS[standing], start_of(day))
        words = (who, door, model, standing, header, day if own else "", "stream" if stream else "")
        groups.setdefault(decided, []).append(", ".join(filter(None, words)))
    rows = [{**json.loads(decided), "when": when} for decided, when in groups.items()]
    return {"digest": policy.digest, "rows": rows}


def _decided(policy: Policy, facts: RequestFacts, account: Account, standing: Standing, now: float) -> str:
    """The Decision, and what it would be with every shadow part enforced, as JSON."""
    decision = decide(policy, facts, account, standing, now)
    whole = would(policy, facts, account, standing, now)
    return json.dumps({"decision": asdict(decision), "would": asdict(whole) if whole else None})


def text_of(name: str) -> str:
    """The golden file of a policy."""
    return json.dumps(decisions(name), indent=1) + "\n"


def main() -> None:
    """Write every golden file anew."""
    for name in policies():
        (FOLDER / f"{name}.json").write_text(text_of(name), "utf-8")


if __name__ == "__main__":
    main()
