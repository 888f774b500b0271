"""Each warning at its line, and silence where nothing is wrong: § stands before the place of a warning."""

from __future__ import annotations

import pytest

from hardening.errors import PolicyFault
from hardening.identity import callers
from hardening.policy import preset_names
from hardening.policy.load import UNNAMED, Source, open_policy, open_text
from hardening.policy.loosening import CREDENTIAL_HEADERS
from hardening.policy.quantities import start_of
from hardening.policy.unbuilt import notes
from hardening.policy.warnings import warnings
from hardening.wire.doors import Doors

NOW = start_of("2027-01-01") + 3600
HEAD = "version: 1\naccounts: {groups: {partner: [org_acme], all: ['*'], beta: []}}\n"
IN_G = "rules: [{name: a, match: {group: g}, max_tokens: 9}]\n"
KEY = {"HARDENING_KEY": "k" * 32, "HARDENING_STATE": "sqlite:///state.db"}


def found(text: str, environment: dict[str, str] | None = None, **parents: str) -> tuple[PolicyFault, ...]:
    """The warnings of a text, but those that only say what is not built yet."""

    def parent(name: str, source: Source) -> Source:
        return Source(f"{name}.yaml", name, parents[name].encode())

    source = Source("p.yaml", "p", text.encode())
    reading = open_text(source, environment=environment or KEY, parents=parent, origin=UNNAMED)
    known = {str(note) for note in notes(reading.file)}
    doors = Doors(reading.policy.doors.own).names
    return tuple(warning for warning in warnings(reading, NOW, doors) if warning.message not in known)


def marked(text: str) -> tuple[str, list[tuple[int, int]]]:
    """The text without its marks, and the line and column of each."""
    places, lines = [], []
    for number, line in enumerate(text.split("\n"), 1):
        while (at := line.find("§")) >= 0:
            line = line[:at] + line[at + 1 :]
            places.append((number, at + 1))
        lines.append(line)
    return "\n".join(lines), places


def rules(*lines: str) -> str:
    return HEAD + "rules:\n" + "".join(f"  - {line}\n" for line in lines)


BY = "version: 1\nlimits: {m: {tokens: 9k, per: 1m, by: model}, k: {requests: 9, per: 1m, by: key}, a: {requests: 9, per: 1m}}\n"
FIRES = {
    # what can never act
    "the day has come": (rules("{name: a, until: §2027-01-01, refuse: {}}"), "`a` ended when 2027-01-01 began"),
    "a share of nobody": (rules("{name: a, enforce: §0%, refuse: {}}"), "acts for no account"),
    "a share in shadow": (rules("{name: a, mode: shadow, enforce: §10%, refuse: {}}"), "`enforce` says nothing"),
    "an empty rule": (rules("{name: §a, match: {model: m}}"), "changes nothing"),
    "behind an exemption": (
        rules("{name: a, exempt: §true}", "{name: §b, refuse: {}}"),
        "`b` is never reached: `a` (p.yaml:4)",
    ),
    "behind a refusal": (rules("{name: a, refuse: {}}", "{name: §b, match: {model: m}, exempt: true}"), "`b` is never"),
    "behind a wider match": (
        rules("{name: a, match: {model: 'g*'}, refuse: {}}", "{name: §b, match: {model: [g1, 'G2*']}, max_tokens: 9}"),
        "`b` is never reached",
    ),
    "behind an exemption of its own group": (
        rules("{name: a, match: {group: partner}, exempt: true}", "{name: §b, match: {group: partner}, max_tokens: 9}"),
        "`b` is never reached",
    ),
    "behind the same exception": (
        rules(
            "{name: a, match: {model: m}, except: {group: [partner, beta]}, refuse: {}}",
            "{name: §b, match: {model: m}, except: {group: [partner, beta]}, max_tokens: 9}",
        ),
        "`b` is never reached",
    ),
    "behind one that ends later": (
        rules("{name: a, until: 2027-09-01, refuse: {}}", "{name: §b, until: 2027-08-01, max_tokens: 9}"),
        "`b` is never reached",
    ),
    "behind one that ends the same day": (
        rules("{name: a, until: 2027-09-01, refuse: {}}", "{name: §b, until: 2027-09-01, max_tokens: 9}"),
        "`b` is never reached",
    ),
    "an exception like its match": (
        rules("{name: a, match: {model: m}, §except: {model: m}, refuse: {}}"),
        "`a` holds for nobody",
    ),
    "an exception wider than its match": (
        rules("{name: a, match: {group: partner}, §except: {group: [partner, beta]}, refuse: {}}"),
        "`a` holds for nobody",
    ),
    "an exception of every account": (
        rules("{name: a, match: {account: 'a*'}, §except: {account: '*'}, refuse: {}}"),
        "holds only for callers that nobody vouched for",
    ),
    "no such door": (rules("{name: a, match: {door: §'/v1/chats/*'}, refuse: {}}"), "which no door is called"),
    "no such door in an exception": (
        rules("{name: a, except: {door: [openai_chat, §/chat/complete]}, refuse: {}}"),
        "which no door is called",
    ),
    "no network": (rules("{name: a, match: {client: §10.0.0.1/8}, refuse: {}}"), "which is no network"),
    "a limit of nobody": (HEAD + "limits:\n  §a: {requests: 5, per: 1m}\n", "limit `a` is charged by nobody"),
    "bands that are entered together": (
        HEAD + "risk:\n  bands:\n    a: {enter: §0.5, leave: 0.4, max_tokens: 9}\n    b: {enter: 0.5, leave: 0.3, max_tokens: 5}\n",
        "band `a` is never alone: `b`",
    ),
    "a band that is never left": (
        HEAD + "risk: {bands: {a: {enter: 0.5, leave: §0, max_tokens: 9}}}\n",
        "never left",
    ),
    "an empty band": (HEAD + "risk: {bands: {§a: {enter: 0.5, leave: 0.4}}}\n", "band `a` changes nothing"),
    "a band for no account": (
        HEAD + "risk: {bands: {a: {enter: 0.5, leave: 0.4, enforce: §0%, max_tokens: 9}}}\n",
        "band `a` acts for no account",
    ),
    "a band looser than the defaults": (
        HEAD + "defaults: {logprobs: {top: 5}}\nrisk: {bands: {a: {enter: 0.5, leave: 0.4, logprobs: {top: §20}}}}\n",
        "`logprobs.top` of band `a` adds nothing",
    ),
    "a band looser than the one below": (
        HEAD
        + "risk:\n  bands:\n    b: {enter: 0.8, leave: 0.7, max_tokens: §9}\n    a: {enter: 0.5, leave: 0.4, max_tokens: 9}\n",
        "`max_tokens` of band `b` adds nothing",
    ),
    "a band looser than the defaults, beside a rule about something else": (
        "defaults: {logprobs: {top: 5}}\n"
        + rules("{name: a, match: {group: partner}, max_tokens: 9}")
        + "risk: {bands: {a: {enter: 0.5, leave: 0.4, logprobs: {top: §20}}}}\n",
        "`logprobs.top` of band `a` adds nothing",
    ),
    "a prior looser than the defaults": (
        HEAD + "defaults: {reasoning: {show: none}}\nrisk: {new: {until: {age: 1d}, reasoning: {show: §summary}}}\n",
        "`reasoning.show` of risk.new adds nothing",
    ),
    "a debt that nobody may make": (
        HEAD + "limits: {a: {tokens: 9k, per: 1m, max_debt: §1k}}\ndefaults: {limits: [a]}\n",
        "`max_debt` of limit `a` says nothing",
    ),
    # what loosens
    "strangers without a limit": (
        "version: 1\naccounts: {unproven: {limits: §[]}}\n",
        "have no limit at all",
    ),
    "limits by made-up names": (BY + "defaults: {limits: §[m, k]}\nrules: [{name: r, limits: [a]}]\n", "by key, model"),
    "everybody is exempt": (rules("{name: a, exempt: §true}"), "exempts every request"),
    "everybody is exempt by a star": (
        rules("{name: a, match: {model: '*', account: [x, '*']}, exempt: §true}"),
        "exempts every request",
    ),
    "everybody in a group is exempt": (
        rules("{name: a, match: {group: [partner, all]}, exempt: §true}"),
        "since group `all` holds `*`",
    ),
    "exempt by a header": (
        rules("{name: a, match: {§header: {x: '1'}}, exempt: true}"),
        "`a` loosens exempt for every proven caller",
    ),
    "looser by a header": (
        "defaults: {logprobs: {top: 5}, reasoning: {show: none}}\n"
        + rules("{name: a, match: {model: m, §header: {x: '1'}}, reasoning: {show: full}, logprobs: {top: 2}}"),
        "`a` loosens `reasoning.show` for every",
    ),
    "looser by a header than a rule before": (
        rules("{name: a, max_tokens: 9}", "{name: b, match: {§header: {x: '1'}}, max_tokens: 90}"),
        "`b` loosens `max_tokens`",
    ),
    "fewer limits by a header": (
        "limits: {l: {requests: 5, per: 1m}}\ndefaults: {limits: [l]}\n"
        + rules("{name: a, match: {§header: {x: '1'}}, limits: []}"),
        "`a` loosens `limits`",
    ),
    "let out of a refusal by a header": (
        rules("{name: a, except: {§header: {x: '1'}}, refuse: {}}"),
        "`a` lets out every proven caller",
    ),
    "let out of a bound by a header": (
        rules("{name: a, except: {§header: {x: '1'}}, max_tokens: 9}"),
        "`a` lets out every proven caller",
    ),
    "a rule ends soon": (rules("{name: a, until: §2027-01-15, refuse: {}}"), "`a` acts through 2027-01-14 only"),
    "a rule ends tonight": (rules("{name: a, until: §2027-01-02, refuse: {}}"), "`a` acts through 2027-01-01 only"),
    # groups without proof
    "a group of names without anybody who names": (
        HEAD.replace("accounts: {", "accounts: {identify: [bearer, client], ")
        + "rules: [{name: a, match: {group: [all, §partner]}, max_tokens: 9}]\n",
        "nobody is in group `partner`",
    ),
    "an account by name without anybody who names": (
        "version: 1\naccounts: {identify: [bearer]}\nrules: [{name: a, match: {account: §acct_1}, max_tokens: 9}]\n",
        "no account is called `acct_1`",
    ),
    "a group of keys where only addresses count": (
        "version: 1\naccounts: {identify: [client], groups: {g: [key_12]}}\n" + IN_G.replace("group: g", "group: §g"),
        "so accounts are fingerprints (ip_...)",
    ),
    "a group of names that begin like fingerprints": (
        "version: 1\naccounts: {identify: [bearer], groups: {g: [k]}}\n" + IN_G.replace("group: g", "group: §g"),
        "nobody is in group `g`",
    ),
    "exempt by a header with any account": (
        rules("{name: a, match: {account: '*', §header: {x: '1'}}, exempt: true}"),
        "`a` loosens exempt",
    ),
    "a group behind a header": (
        "version: 1\naccounts: {identify: [app, §'header:x-tenant'], groups: {g: ['key_12*']}}\n" + IN_G,
        "`header:x-tenant` is a name that any caller may send",
    ),
    "a group behind an address": (
        "version: 1\naccounts: {identify: [§client], groups: {g: [ip_12]}}\n" + IN_G,
        "everybody behind it is in group `g`",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FIRES)
def test_a_warning_stands_at_its_line_and_says_what_it_is_about(name: str) -> None:
    text, places = marked(FIRES[name][0])
    seen = found(text)
    assert [(fault.line, fault.column) for fault in seen] == places, seen
    assert any(FIRES[name][1] in fault.message for fault in seen), seen


SILENT = {
    "limits by names beside one by account": BY + "defaults: {limits: [m, k, a]}\n",
    "a rule that goes on": rules("{name: a, until: 2027-01-16, refuse: {}}"),
    "a share of some": rules("{name: a, enforce: 10%, refuse: {}}"),
    "a rule in shadow": rules("{name: a, mode: shadow, refuse: {}}"),
    "before an end": rules("{name: b, match: {model: m}, max_tokens: 9}", "{name: a, refuse: {}}"),
    "behind an end in shadow": rules("{name: a, mode: shadow, refuse: {}}", "{name: b, max_tokens: 9}"),
    "behind an end for some": rules("{name: a, enforce: 50%, refuse: {}}", "{name: b, max_tokens: 9}"),
    "behind an end with a day": rules("{name: a, until: 2027-09-01, refuse: {}}", "{name: b, max_tokens: 9}"),
    "behind an end that comes sooner": rules(
        "{name: a, until: 2027-08-01, refuse: {}}", "{name: b, until: 2027-09-01, max_tokens: 9}"
    ),
    "behind an end with an exception": rules(
        "{name: a, except: {group: partner}, refuse: {}}", "{name: b, max_tokens: 9}"
    ),
    "behind an end with a wider exception": rules(
        "{name: a, except: {group: [partner, beta]}, refuse: {}}",
        "{name: b, except: {group: partner}, max_tokens: 9}",
    ),
    "behind a narrower end": rules("{name: a, match: {model: g1}, refuse: {}}", "{name: b, match: {model: 'g*'}, max_tokens: 9}"),
    "behind an exemption that strangers do not get": rules(
        "{name: a, match: {model: m}, exempt: true}", "{name: b, match: {model: m}, max_tokens: 9}"
    ),
    "an exception within its match": rules("{name: a, match: {model: 'g*'}, except: {model: g1}, refuse: {}}"),
    "an exception of another kind": rules("{name: a, match: {model: m}, except: {group: partner}, refuse: {}}"),
    "doors that there are": "doors: {/own: openai_chat}\n"
    + rules("{name: a, match: {door: [/chat/completions, '/chat/*', openai_chat, /own, '*messages', '/chat/completions/*']}, refuse: {}}"),
    "networks, addresses and globs": rules("{name: a, match: {client: [10.0.0.0/8, '::1', '10.*']}, refuse: {}}"),
    "limits of defaults, rules and pool": HEAD.replace("accounts: {", "accounts: {unproven: {limits: [c]}, ")
    + "limits: {a: {requests: 5, per: 1m}, b: {requests: 5, per: 1m}, c: {requests: 5, per: 1m}}\n"
    "defaults: {limits: [a]}\nrules: [{name: r, limits: [b]}]\n",
    "bands one above the other": HEAD
    + "risk: {bands: {a: {enter: 0.5, leave: 0.4, max_tokens: 9}, b: {enter: 0.8, leave: 0.7, max_tokens: 5}}}\n",
    "a band that tightens what a rule loosens": "defaults: {logprobs: {top: 5}}\n"
    + rules("{name: a, match: {group: partner}, logprobs: {top: 20}}")
    + "risk: {bands: {a: {enter: 0.5, leave: 0.4, logprobs: {top: 5}}}}\n",
    "a prior like a band": HEAD
    + "risk: {new: {until: {age: 1d}, max_tokens: 9}, bands: {a: {enter: 0.5, leave: 0.4, max_tokens: 9}}}\n",
    "a band like one in shadow": HEAD
    + "risk: {bands: {a: {enter: 0.5, leave: 0.4, mode: shadow, max_tokens: 9}, b: {enter: 0.8, leave: 0.7, max_tokens: 9}}}\n",
    "a band like one for some": HEAD
    + "risk: {bands: {a: {enter: 0.5, leave: 0.4, enforce: 50%, max_tokens: 9}, b: {enter: 0.8, leave: 0.7, max_tokens: 9}}}\n",
    "some are exempt": rules("{name: a, match: {group: partner}, exempt: true}"),
    "a model is exempt": rules("{name: a, match: {model: 'm*'}, exempt: true}"),
    "all but some are exempt": rules("{name: a, except: {group: partner}, exempt: true}"),
    "an exemption of all in shadow": rules("{name: a, mode: shadow, exempt: true}"),
    "all of a group with another key are exempt": rules("{name: a, match: {group: all, model: m}, exempt: true}"),
    "tighter by a header": "defaults: {logprobs: {top: 5}}\n"
    + rules("{name: a, match: {header: {x: '1'}}, logprobs: {top: 2}}"),
    "refused by a header": rules("{name: a, match: {header: {x: '1'}}, refuse: {}}"),
    "looser by a header of a group": rules("{name: a, match: {group: partner, header: {x: '1'}}, exempt: true}"),
    "looser by a header of an account": rules("{name: a, match: {account: acct_1, header: {x: '1'}}, exempt: true}"),
    "looser by a header than what holds for some": rules(
        "{name: a, match: {model: m}, max_tokens: 9}",
        "{name: b, mode: shadow, max_tokens: 9}",
        "{name: c, enforce: 50%, max_tokens: 9}",
        "{name: d, until: 2027-09-01, max_tokens: 9}",
        "{name: e, except: {group: partner}, max_tokens: 9}",
        "{name: f, match: {header: {x: '1'}}, max_tokens: 90}",
    ),
    "let out by a header of a group or account": rules(
        "{name: a, except: {group: partner, header: {x: '1'}}, refuse: {}}",
        "{name: b, except: {account: acct_1, header: {x: '1'}}, max_tokens: 9}",
    ),
    "let out of what tightens nothing": "defaults: {logprobs: {top: 5}}\n"
    + rules("{name: a, except: {header: {x: '1'}}, logprobs: {top: 9}}"),
    "let out of an exemption by a header": rules("{name: a, match: {group: partner}, except: {header: {x: '1'}}, exempt: true}"),
    "more limits by a header": "limits: {l: {requests: 5, per: 1m}, m: {requests: 5, per: 1m}}\ndefaults: {limits: [l]}\n"
    + rules("{name: a, match: {header: {x: '1'}}, limits: [m, l]}"),
    "groups of those whom the app names": rules("{name: a, match: {group: [partner, beta]}, max_tokens: 9}"),
    "groups of those whom a proxy names": HEAD.replace("accounts: {", "accounts: {identify: [bearer], trusted_proxies: [10.0.0.0/8], ")
    + "rules: [{name: a, match: {group: partner}, max_tokens: 9}]\n",
    "fingerprints of keys that the app checks": "version: 1\n"
    "accounts: {identify: [bearer, 'header:x-api-key', client], groups: {g: ['key_12*', k*]}}\n"
    + IN_G,
    "accounts by their fingerprints": "version: 1\naccounts: {identify: [bearer, client], groups: {g: ['k*'], h: ['ip_1*']}}\n"
    "rules: [{name: a, match: {group: [g, h], account: ['key_1*', '*', 'ip_12']}, max_tokens: 9}]\n",
    "addresses beside a trusted proxy": "version: 1\n"
    "accounts: {identify: [client], trusted_proxies: [10.0.0.0/8], groups: {g: [ip_12]}}\n"
    + IN_G,
    "a header that leads into no group": "version: 1\n"
    "accounts: {identify: [app, 'header:x-tenant'], groups: {g: [org_acme], h: ['key_12*']}}\n"
    + IN_G,
}  # fmt: skip


@pytest.mark.parametrize("name", SILENT)
def test_where_nothing_is_wrong_nothing_is_said(name: str) -> None:
    assert found(SILENT[name]) == ()


def test_a_rule_is_over_with_the_first_second_of_its_day() -> None:
    text = rules("{name: a, until: 2027-01-01, refuse: {}}").encode()
    reading = open_text(Source("p.yaml", "p", text), environment=KEY, parents=lambda *_: None)
    (last,) = warnings(reading, start_of("2027-01-01") - 1, ())
    (over,) = warnings(reading, start_of("2027-01-01"), ())
    assert ("acts through 2026-12-31" in last.message, "ended" in over.message) == (True, True)


def test_what_a_parent_wrote_and_its_child_took_the_use_from_is_no_mistake_of_the_child() -> None:
    parent = (
        HEAD + "limits: {a: {requests: 5, per: 1m}}\ndefaults: {limits: [a]}\n"
        "risk: {bands: {b: {enter: 0.5, leave: 0.4, logprobs: {top: 3}}}}\n"
    )
    child = "version: 1\nextends: base\ndefaults: {limits: [], logprobs: {top: 0}}\n"
    assert found(parent) == ()
    assert found(child, base=parent) == ()


def test_a_rule_of_a_parent_has_its_place_there() -> None:
    (fault,) = found("version: 1\nextends: base\n", base=rules("{name: a, exempt: true}"))
    assert (fault.file, fault.line) == ("base.yaml", 4)


# Keys

NO_KEY: dict[str, str] = {"X": ""}
SECRETS = {
    "defaults: {reasoning: {seal: §true}}\n": "reasoning.seal: nothing is sealed without a key",
    "defaults: {embeddings: {noise: §0.1}}\n": "embeddings.noise: noise is another in each process",
    "defaults: {embeddings: {rotate: §true}}\n": "embeddings.rotate: rotated vectors need a key, and there is none: the start fails",
    "rules: [{name: a, logprobs: {noise: §0.5}}]\n": "logprobs.noise: noise is another",
    "risk: {new: {until: {age: 1d}, logprobs: {noise: §0.5}}}\n": "logprobs.noise: noise is another",
    "risk: {bands: {a: {enter: 0.5, leave: 0.4, logprobs: {noise: §0.5}}}}\n": "logprobs.noise: noise is another",
    "runtime: {state: §'sqlite:///s.db'}\n": "the start fails; set HARDENING_KEY",
    "runtime: {keys: {previous: §[{env: OLD}]}}\n": "previous keys are not read",
    "accounts: {groups: {g: §[acct_1, key_12]}}\n": "group `g` lists fingerprints",
}


@pytest.mark.parametrize("text", SECRETS)
def test_what_needs_a_key_says_so_where_there_is_none(text: str) -> None:
    clean, places = marked("version: 1\n" + text)
    (fault,) = [one for one in found(clean, NO_KEY) if "forgets who is known" not in one.message]
    assert [(fault.line, fault.column)] == places
    assert SECRETS[text] in fault.message
    assert found(clean, KEY) == ()
    assert found(clean, {**KEY, "HARDENING_KEY": "", "HARDENING_KEY_FILE": "key"}) == ()


def test_what_needs_no_key_is_silent_without_one() -> None:
    assert found("version: 1\ndefaults: {reasoning: {seal: false}, logprobs: {noise: 0}}\n", NO_KEY) == ()
    named = "version: 1\ndefaults: {reasoning: {seal: true}}\nruntime: {keys: {current: {file: key}}}\n"
    assert found(named, NO_KEY) == ()


def test_what_a_parent_seals_is_no_mistake_of_the_child() -> None:
    parent = "version: 1\ndefaults: {reasoning: {seal: true}}\n"
    assert found("version: 1\nextends: base\n", NO_KEY, base=parent) == ()


def test_a_store_of_the_environment_has_its_place_there_and_is_not_shown() -> None:
    (fault,) = found("version: 1\n", {"HARDENING_STATE": "redis://:geheim@h"})
    assert (fault.file, fault.line) == ("HARDENING_STATE", 1)
    assert "geheim" not in fault.message


# All of them


@pytest.mark.parametrize("name", ["baseline", "observe", "strict"])
@pytest.mark.parametrize("environment", [KEY, {}], ids=["with a key", "without"])
def test_the_presets_are_only_warned_about_what_is_not_built(name: str, environment: dict[str, str]) -> None:
    assert name in preset_names()
    reading = open_policy(name, environment)
    seen = warnings(reading, NOW, Doors(reading.policy.doors.own).names)
    assert {warning.message for warning in seen} == {str(note) for note in notes(reading.file)}
    assert all(warning.file.endswith("policy.yaml") for warning in seen)


def test_what_is_not_built_has_a_place() -> None:
    text = "version: 1\ndoors:\n  /e: §bedrock_converse\n"
    clean, places = marked(text)
    reading = open_text(Source("p.yaml", "p", clean.encode()), environment=KEY, parents=lambda *_: None)
    assert [(warning.line, warning.column) for warning in warnings(reading, NOW, ())] == places


def test_the_headers_that_carry_keys_are_those_of_identity() -> None:
    assert {name.decode() for name in callers._CREDENTIAL_HEADERS} == CREDENTIAL_HEADERS | {"authorization"}


def test_newcomers_in_a_store_that_forgets_everybody_are_warned_about() -> None:
    text, places = marked("version: 1\nrisk:\n  §new: {until: {age: 1d}, max_tokens: 9}\n")
    (fault,) = found(text, {"HARDENING_KEY": "k" * 32})
    assert (fault.line, fault.column) == places[0]
    assert "after each start every account is new" in fault.message
    assert not found(text)
