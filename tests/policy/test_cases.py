"""Files of cases: what a row checks, what it does not, what is refused in one, and what no row reaches."""

from __future__ import annotations

import pytest

from hardening.cli.cases import finder
from hardening.errors import PolicyError, PolicyFault
from hardening.policy import Policy
from hardening.policy.cases import Then, Treated, When, read_cases
from hardening.policy.cases_run import CasesReport, run_cases
from tests.policy.loading import loaded

POLICY = """version: 1
accounts: {groups: {partner: [org_acme], beta: []}, unproven: {limits: [net]}}
doors: {/api/chat: openai_chat, "/internal/*": pass, /x/converse: bedrock_converse, unknown: block}
limits: {small: {requests: 5, per: 1m}, words: {tokens: 9k, per: 1m}, net: {requests: 9, per: 1m}, first: {requests: 3, per: 1h}}
defaults: {reasoning: {show: summary}, logprobs: {top: 5, step: 0.25}, limits: [small, words], max_tokens: 4k}
rules:
  - {name: closed, match: {model: "glass-*"}, except: {group: partner}, until: 2027-03-01, refuse: {status: 429}}
  - {name: staff, match: {header: {x-team: evals}}, exempt: true}
  - {name: quiet, match: {account: quiet}, mode: shadow, reasoning: {show: none}, pace: 20/s}
  - {name: open, match: {account: open}, logprobs: {top: all, step: 0}, usage: round}
risk:
  new: {until: {requests: 50, age: 1d}, logprobs: {top: 0}, limits: [first], charge: 2x, scale: 50%}
  bands:
    watch: {enter: 0.5, leave: 0.4, charge: 4x}
    harden: {enter: 0.8, leave: 0.7, reasoning: {show: none}}
"""
HEAD = """now: 2027-01-01
accounts:
  known: {id: a, requests: 1k, age: 30d}
  newcomer: {id: b}
  partner: {org: org_acme, requests: 50, age: 1d}
  quiet: {requests: 50, age: 1d}
  open: {requests: 50, age: 1d}
  handed: {groups: [beta], requests: 50, age: 1d}
  stranger: {id: org_acme, proven: false}
cases:
"""


def ran(*rows: str, policy: str = POLICY) -> CasesReport:
    compiled = loaded(policy)
    text = HEAD + "".join(f"  - {{name: r{index}, {row}}}\n" for index, row in enumerate(rows))
    return run_cases(read_cases(text.encode(), "t.yaml", compiled), compiled, finder(compiled))


def missed(row: str, policy: str = POLICY) -> list[tuple[str, str, str]]:
    """Field, expected and found of everything that is otherwise in a single row."""
    return [(miss.field, miss.expected, miss.found) for miss in ran(row, policy=policy).rows[0].mismatches]


def faults(text: str, policy: Policy | None = None) -> tuple[PolicyFault, ...]:
    with pytest.raises(PolicyError) as caught:
        read_cases(text.encode(), "t.yaml", policy or loaded(POLICY))
    return caught.value.faults


CHAT = "when: {account: known, door: openai_chat"

HOLDS = {
    "defaults": f"{CHAT}}}, then: {{reasoning: summary, logprobs: 5, step: 0.25, band: null, rule: null}}",
    "in the policy's own shape": f"{CHAT}}}, then: {{reasoning: {{show: summary, max_tokens: 160, inline: tagged}},"
    " logprobs: {top: 5, step: 0.25, noise: 0, sampling: plain}, embeddings: {step: 0, noise: 0}, scores: {step: 0}}",
    "the rest": f"{CHAT}}}, then: {{seal: false, resent: any, detail: outline, overlap: report, inline: tagged, noise: 0, sampling: plain, pins: allow, usage: keep, at_limit: cut, pace: null,"
    " max_tokens: 4k, enforced: true, exempt: false, charge: 1, limits: [words, small], would: null}",
    "an account is new": "when: {account: newcomer, door: openai_chat}, then: {logprobs: 0}",
    "a newcomer pays more": "when: {account: newcomer, door: openai_chat}, then: {charge: 2x, scale: 50%,"
    " limits: [words, small, first], charged: {small: 4, first: 4}}",
    "a newcomer in a band": "when: {account: newcomer, door: openai_chat, band: watch}, then: {charged: {small: 8, first: 8}}",
    "what newcomers pay nobody else does": f"{CHAT}}}, then: {{charged: {{small: 1, first: null}}}}",
    "a band, and its price": f"{CHAT}, band: watch}}, then: {{band: watch, charge: 4x, charged: {{small: 4}}}}",
    "a band includes those below": f"{CHAT}, band: harden}}, then: {{reasoning: none, charge: 4}}",
    "refused, by status": f"{CHAT}, model: GLASS-1}}, then: {{rule: closed, refused: 429, limits: []}}",
    "refused, by kind": f"{CHAT}, model: glass-1}}, then: {{refused: {{status: 429, kind: rate_limit}}}}",
    "nothing is charged": f"{CHAT}, model: glass-1}}, then: {{charged: {{small: null}}}}",
    "excepted": "when: {account: partner, door: openai_chat, model: glass-1}, then: {refused: false, rule: null}",
    "not excepted unproven": "when: {account: stranger, door: openai_chat, model: glass-1}, then: {refused: true}",
    "a day of its own": f"{CHAT}, model: glass-1, now: 2027-03-01}}, then: {{refused: false}}",
    "a header": f"{CHAT}, header: {{X-Team: evals}}}}, then: {{exempt: true, rule: staff}}",
    "nobody": "when: {door: openai_chat, header: {x-team: evals}}, then: {exempt: false, limits: [net]}",
    "in shadow": "when: {account: quiet, door: openai_chat},"
    " then: {reasoning: summary, would: {rule: quiet, reasoning: none, pace: 20/s}}",
    "everything": "when: {account: open, door: openai_chat}, then: {logprobs: all, step: 0, usage: round}",
    "tokens": f"{CHAT}, max_tokens: 100, prompt_tokens: 50, choices: 2}}, then: {{charged: {{words: 250, small: 1}}}}",
    "own path": "when: {account: known, door: /API/chat/}, then: {door: openai_chat, reasoning: summary}",
    "known path": "when: {door: /x/v1/chat/completions}, then: {door: openai_chat, limits: [net]}",
    "passed path": "when: {door: /internal/v1/chat/completions}, then: {door: pass, refused: false}",
    "unknown path": "when: {door: /reports}, then: {door: unknown, refused: {status: 403, kind: forbidden}}",
    "unknown, only asked": "when: {door: /v1/models, method: GET}, then: {door: unknown, refused: false}",
    "a closed path": "when: {door: /v1/threads/t/messages}, then: {door: closed, refused: 403}",
    "the model in the path": "when: {door: /openai/deployments/glass-9/chat/completions, model: other},"
    " then: {rule: closed}",
    "a format that is not read": "when: {door: /x/converse}, then: {door: bedrock_converse, refused: true}",
    "the same by its name": "when: {door: bedrock_converse}, then: {refused: false, limits: [net]}",
}


@pytest.mark.parametrize("row", HOLDS.values(), ids=HOLDS)
def test_a_row_that_holds(row: str) -> None:
    assert missed(row) == []


MISSES = [
    (f"{CHAT}}}, then: {{reasoning: none}}", ("reasoning.show", "none", "summary")),
    (f"{CHAT}}}, then: {{logprobs: all}}", ("logprobs.top", "all", "5")),
    (f"{CHAT}}}, then: {{limits: [small]}}", ("limits", "[small]", "[small, words]")),
    (f"{CHAT}}}, then: {{refused: 403}}", ("refused.status", "403", "no refusal")),
    (f"{CHAT}, model: glass-1}}, then: {{refused: false}}", ("refused", "false", "true")),
    (f"{CHAT}}}, then: {{max_tokens: null}}", ("max_tokens", "null", "4000")),
    (f"{CHAT}}}, then: {{enforced: null}}", ("enforced", "null", "true")),
    (f"{CHAT}}}, then: {{embeddings: null}}", ("embeddings", "null", "a mapping")),
    (f"{CHAT}}}, then: {{would: {{rule: quiet}}}}", ("would.rule", "quiet", "null")),
    (f"{CHAT}}}, then: {{charged: {{net: 1}}}}", ("charged.net", "1", "null")),
    (
        "when: {account: quiet, door: openai_chat}, then: {would: null}",
        ("would", "null", "another decision"),
    ),
    ("when: {door: /x}, then: {door: pass}", ("door", "pass", "unknown")),
    ("when: {door: /x}, then: {refused: false}", ("refused", "false", "true")),
    (
        "when: {door: /internal/x}, then: {rule: null}",
        ("rule", "null", "nothing, no rule is asked at this path"),
    ),
]


@pytest.mark.parametrize(("row", "miss"), MISSES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_row_that_does_not_hold_says_what_it_found(row: str, miss: tuple[str, str, str]) -> None:
    assert missed(row) == [miss]


def test_every_field_of_a_row_is_checked_somewhere_above() -> None:
    checked = " ".join([*HOLDS.values(), *(row for row, _ in MISSES)])
    assert [name for name in [*Then.model_fields, *When.model_fields] if f"{name}:" not in checked] == [
        "client",
        "stream",
        "top_logprobs",
    ]


def test_the_other_facts_reach_the_policy() -> None:
    policy = """version: 1
limits: {open: {streams: 2}, rows: {logprob_values: 9k, per: 1d}}
defaults: {limits: [open, rows]}
rules: [{name: office, match: {client: 10.0.0.0/8}, usage: drop}]
"""
    row = "when: {door: openai_chat, client: 10.1.2.3, stream: true, top_logprobs: 3, max_tokens: 10, account: known}"
    assert missed(f"{row}, then: {{rule: office, charged: {{open: 1, rows: 30}}}}", policy) == []


def test_a_mismatch_stands_where_its_value_is_expected() -> None:
    report = ran(f"{CHAT}}}, then: {{usage: drop, reasoning: {{seal: true}}, would: {{exempt: true}}}}")
    places = {miss.field: (miss.place.line, miss.place.column) for miss in report.rows[0].mismatches}
    line = HEAD.count("\n") + 1
    assert places == {"usage": (line, 66), "reasoning.seal": (line, 91), "would.exempt": (line, 112)}


def test_what_no_row_reaches_is_told() -> None:
    assert [str(part) for part in ran(HOLDS["own path"]).unreached] == [
        "the rule `closed`",
        "the rule `staff`",
        "the rule `quiet`",
        "the rule `open`",
        "the except of rule `closed`",
        "the band `watch`",
        "the band `harden`",
        "`risk.new`",
    ]
    assert ran(*HOLDS.values()).unreached == ()


def test_a_rule_behind_one_that_ended_the_walk_is_not_reached() -> None:
    rules = "rules: [{name: all, exempt: true}, {name: late, usage: drop}]\n"
    report = ran(f"{CHAT}, band: watch}}, then: {{exempt: true}}", policy=f"version: 1\n{rules}{BANDS}")
    assert [str(part) for part in report.unreached] == ["the rule `late`", "the band `watch`"]


def test_an_exemption_that_a_stranger_claims_is_not_reached() -> None:
    row = "when: {account: stranger, door: openai_chat, header: {x-team: evals}}, then: {exempt: false}"
    assert "the rule `staff`" in [str(part) for part in ran(row).unreached]


BANDS = "risk: {bands: {watch: {enter: 0.5, leave: 0.4, usage: drop}}}\n"

ROW = "cases: [{name: x, when: {door: openai_chat}, then: {exempt: false}}]\n"
MISTAKES = [
    ("empty file", "§", "a file of cases has `now`, `accounts` and `cases`"),
    ("no now", f"§{ROW}", "no `now`"),
    ("no such day", f"now: §2027-02-30\n{ROW}", "such as 2027-03-31"),
    ("no cases", "now: 2027-01-01\ncases: §[]\n", "at least one row"),
    ("unknown key", f"now: 2027-01-01\n§acounts: {{}}\n{ROW}", "did you mean `accounts`?"),
    ("account undeclared", "{when: {account: §knwon, door: openai_chat}", "did you mean `known`?"),
    ("key as an id", f"now: 2027-01-01\naccounts: {{a: {{id: §sk-abcdefghijklmnop}}}}\n{ROW}", "an API key"),
    ("no door", "{§when: {account: known}", "no `door`"),
    ("format misspelt", "{when: {door: §openai-chat}", "did you mean `openai_chat`?"),
    ("path with query", "{when: {door: §'/x?y=1'}", "without query"),
    ("band unknown", "{when: {door: /x, band: §hardn}", "did you mean `harden`?"),
    ("method unknown", "{when: {door: /x, method: §get}", "allowed: GET"),
    ("header with a break", '{when: {door: /x, header: {a: §"x\\ny"}}', "printable ASCII"),
    ("fact misspelt", "{when: {door: /x, §modle: m}", "did you mean `model`?"),
    ("nothing to check", "{when: {door: /x}, §then: {}", "at least one thing to check"),
    ("field misspelt", "{when: {door: /x}, then: {§reasonning: none}", "did you mean `reasoning`?"),
    ("value misspelt", "{when: {door: /x}, then: {reasoning: §summery}", "did you mean `summary`?"),
    ("inner value misspelt", "{when: {door: /x}, then: {reasoning: {show: §summery}}", "did you mean"),
    ("inner key misspelt", "{when: {door: /x}, then: {logprobs: {§tops: 5}}", "did you mean `top`?"),
    ("rule unknown", "{when: {door: /x}, then: {rule: §close}", "did you mean `closed`?"),
    ("limit unknown", "{when: {door: /x}, then: {limits: [§smal]}", "did you mean `small`?"),
    ("charge of an unknown limit", "{when: {door: /x}, then: {charged: {§smal: 1}}", "did you mean `small`?"),
    ("would of an unknown rule", "{when: {door: /x}, then: {would: {rule: §quite}}", "did you mean `quiet`?"),
    ("would of a path", "{when: {door: /x}, then: {would: {§door: pass}}", "unknown key `door`"),
    ("refused as text", "{when: {door: /x}, then: {refused: §yes}", "a status such as 403"),
    ("refused misspelt", "{when: {door: /x}, then: {refused: {§stauts: 403}}", "did you mean `status`?"),
    ("kind misspelt", "{when: {door: /x}, then: {refused: {kind: §forbiden}}", "did you mean `forbidden`?"),
    ("a place that is none", "{when: {door: /x}, then: {door: §passed}", "pass, unknown, closed or a format"),
    ("alias", f"now: &n 2027-01-01\n{ROW}x: §*n\n", "alias"),
    ("merge key", "{when: {§<<: {door: /x}, door: /x}", "merge key"),
]


@pytest.mark.parametrize(("marked", "says"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES])
def test_a_mistake_is_refused_at_its_place(marked: str, says: str) -> None:
    if marked.startswith("{"):
        end = "}" if "then:" in marked else ", then: {exempt: false}}"
        marked = f"{HEAD}  - {{name: x, {marked[1:]}{end}\n"
    before, _, after = marked.partition("§")
    found = faults(before + after)
    place = (before.count("\n") + 1, len(before) - before.rfind("\n"))
    hits = [fault.message for fault in found if (fault.line, fault.column) == place]
    assert any(says in message for message in hits), [str(fault) for fault in found]
    assert "sk-abc" not in "".join(map(str, found))


def test_two_rows_of_one_name_are_refused() -> None:
    row = "  - {name: x, when: {door: /x}, then: {door: unknown}}\n"
    assert [fault.message for fault in faults(HEAD + row + row)] == [
        f"found a second row named `x` (first on line {HEAD.count(chr(10)) + 1})"
    ]


def test_all_faults_of_a_file_come_at_once() -> None:
    text = "now: never\ncases: [{name: '', when: {account: x, door: y}, then: {rule: z, exempt: maybe}}]\n"
    assert [(fault.line, fault.column) for fault in faults(text)] == [
        (1, 6),
        (2, 16),
        (2, 36),
        (2, 45),
        (2, 62),
        (2, 73),
    ]


@pytest.mark.parametrize("name", ["two\\nlines", "\\e[31mred", "x" * 201])
def test_a_name_fits_on_a_line_of_a_report(name: str) -> None:
    text = f'{HEAD}  - {{name: "{name}", when: {{door: /x}}, then: {{door: unknown}}}}\n'
    assert "a text on one line" in faults(text)[0].message


def test_the_two_models_have_no_word_for_two_things() -> None:
    assert set(Treated.model_fields) < set(Then.model_fields)
