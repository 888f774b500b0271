"""Each mistake in a policy file is refused at its line and column; § marks the place in the text."""

from __future__ import annotations

import pytest

from hardening.errors import PolicyError
from hardening.policy.load import Source, load_text, read_parent

LIMITS = "limits: {minute: {requests: 5, per: 1m}}\n"

MISTAKES = [
    # the whole file
    ("version missing", "§name: a\n", "no `version`"),
    ("version of the future", "version: §2\n", "allowed: 1"),
    ("version as text", "version: §'1'\n", "allowed: 1"),
    ("version as boolean", "version: §true\n", "allowed: 1"),
    ("unknown key", "version: 1\n§colour: red\n", "unknown key `colour`"),
    ("misspelt key", "version: 1\n§on_failures: {}\n", "did you mean `on_failure`?"),
    ("key twice", "version: 1\nname: a\n§name: b\n", "`name` a second time (first on line 2)"),
    ("nested key twice", "version: 1\ndefaults:\n  usage: keep\n  §usage: drop\n", "a second time"),
    ("list instead of mapping", "version: 1\nrisk: §[]\n", "allowed: a mapping with new, bands"),
    ("nothing instead of mapping", "version: 1\n§risk:\nname: a\n", "found nothing"),
    ("text instead of list", "version: 1\nrules: §none\n", "allowed: a list"),
    ("name with a blank", "version: 1\nname: §my policy\n", "a name of letters"),
    ("name as number", "version: 1\nname: §5\n", "put it in quotes"),
    ("mode misspelt", "version: 1\nmode: §shaddow\n", "did you mean `shadow`?"),
    ("yes is no boolean", "version: 1\ndisclose: §yes\n", "allowed: true or false"),
    ("on is no boolean", "version: 1\ndefaults: {reasoning: {seal: §on}}\n", "true or false"),
    # accounts
    ("identify misspelt", "version: 1\naccounts: {identify: [app, §baerer]}\n", "did you mean `bearer`?"),
    ("identify without name", "version: 1\naccounts:\n  identify: [§'header:']\n", "header:<name>"),
    ("proxy with host bits", "version: 1\naccounts: {trusted_proxies: [§10.0.0.1/8]}\n", "no host bits"),
    ("proxy as name", "version: 1\naccounts: {trusted_proxies: [§proxy.local]}\n", "a network"),
    ("id as number", "version: 1\naccounts: {groups: {a: [§123]}}\n", "put it in quotes"),
    ("group as text", "version: 1\naccounts: {groups: {a: §org_acme}}\n", "allowed: a list"),
    (
        "key in a group",
        "version: 1\naccounts: {groups: {a: [§sk-abcdefghijklmnop]}}\n",
        "shaped like an API key",
    ),
    (
        "key as group name",
        "version: 1\naccounts: {groups: {§sk-abcdefghijklmnop: []}}\n",
        "shaped like an API key",
    ),
    ("unproven limit unknown", "version: 1\naccounts: {unproven: {limits: [§trial]}}\n", "undeclared limit"),
    # doors
    ("door without slash", "version: 1\ndoors: {§api/chat: openai_chat}\n", "begins with /"),
    ("door named like our own field", "version: 1\ndoors: {§own: {/x: pass}}\n", "begins with /"),
    ("door with query", "version: 1\ndoors: {§/chat?x=1: pass}\n", "without query"),
    ("format misspelt", "version: 1\ndoors: {/x: §openai-chat}\n", "did you mean `openai_chat`?"),
    ("unknown doors misspelt", "version: 1\ndoors: {unknown: §blok}\n", "did you mean `block`?"),
    # limits
    ("limit without unit", "version: 1\nlimits: {§a: {per: 1m}}\n", "exactly one unit"),
    (
        "limit with two units",
        "version: 1\nlimits: {§a: {tokens: 5, requests: 5, per: 1m}}\n",
        "exactly one unit",
    ),
    ("limit without per", "version: 1\nlimits:\n  §a: {tokens: 5}\n", "`per`"),
    (
        "unit misspelt",
        "version: 1\nlimits: {a: {requests: 1, per: 1m, §burts: 5}}\n",
        "did you mean `burst`?",
    ),
    ("quantity with unit of time", "version: 1\nlimits: {a: {tokens: §60m, per: 1m}}\n", "60k or 50M"),
    ("quantity of nothing", "version: 1\nlimits: {a: {tokens: §0, per: 1m}}\n", "a quantity from 1"),
    ("negative quantity", "version: 1\nlimits: {a: {tokens: §-5, per: 1m}}\n", "a quantity from 1"),
    ("duration without unit", "version: 1\nlimits: {a: {tokens: 5, per: §60}}\n", "such as 30s"),
    ("duration of a year too many", "version: 1\nlimits: {a: {tokens: 5, per: §9999d}}\n", "3660d"),
    # defaults
    ("limit undeclared", LIMITS + "version: 1\ndefaults: {limits: [§minut]}\n", "did you mean `minute`?"),
    ("limits as text", LIMITS + "version: 1\ndefaults: {limits: §minute}\n", "allowed: a list"),
    ("show misspelt", "version: 1\ndefaults: {reasoning: {show: §summery}}\n", "did you mean `summary`?"),
    ("summary of no tokens", "version: 1\ndefaults: {reasoning: {max_tokens: §0}}\n", "from 1 to 10M"),
    ("half a token", "version: 1\ndefaults: {max_tokens: §1.5}\n", "a whole number of tokens"),
    ("negative top", "version: 1\ndefaults: {logprobs: {top: §-1}}\n", "or all"),
    ("top as boolean", "version: 1\ndefaults: {logprobs: {top: §true}}\n", "or all"),
    ("negative step", "version: 1\ndefaults: {logprobs: {step: §-0.5}}\n", "from 0 to 16"),
    ("infinite noise", "version: 1\ndefaults: {logprobs: {noise: §.inf}}\n", "from 0 to 16"),
    ("pace without time", "version: 1\ndefaults: {pace: §20}\n", "such as 20/s"),
    ("charge without x", "version: 1\ndefaults: {charge: §4}\n", "such as 4x"),
    ("usage misspelt", "version: 1\ndefaults: {usage: §dropp}\n", "did you mean `drop`?"),
    # rules
    ("rule without name", "version: 1\nrules:\n  - §exempt: true\n", "no `name`"),
    ("two rules of a name", "version: 1\nrules:\n  - name: a\n  - name: §a\n", "first on line 3"),
    ("match misspelt", "version: 1\nrules: [{name: a, match: {§modle: x}}]\n", "did you mean `model`?"),
    ("match of nothing", "version: 1\nrules: [{name: a, match: {model: §[]}}]\n", "at least one value"),
    ("match of an empty text", "version: 1\nrules: [{name: a, match: {model: §''}}]\n", "not empty"),
    (
        "group undeclared",
        "version: 1\nrules: [{name: a, match: {group: §staff}}]\n",
        "undeclared group `staff`",
    ),
    (
        "exception undeclared",
        "version: 1\nrules: [{name: a, except: {group: [§staff]}}]\n",
        "none is declared",
    ),
    ("exception of everything", "version: 1\nrules:\n  - §{name: a, except: {}}\n", "excepts every request"),
    ("header name", "version: 1\nrules: [{name: a, match: {header: {§'x y': z}}}]\n", "name of a header"),
    ("no such day", "version: 1\nrules: [{name: a, until: §2027-02-30}]\n", "such as 2027-03-31"),
    ("day as moment", "version: 1\nrules: [{name: a, until: §2027-02-03T10:00}]\n", "such as 2027-03-31"),
    ("exempt and refuse", "version: 1\nrules:\n  - §{name: a, exempt: true, refuse: {}}\n", "not both"),
    ("refuse with success", "version: 1\nrules: [{name: a, refuse: {status: §200}}]\n", "400 to 499"),
    ("share without percent", "version: 1\nrules: [{name: a, enforce: §0.1}]\n", "such as 10%"),
    ("share above all", "version: 1\nrules: [{name: a, enforce: §110%}]\n", "from 0% to 100%"),
    # risk
    ("band without leave", "version: 1\nrisk: {bands: {§a: {enter: 0.5}}}\n", "no `leave`"),
    ("band above one", "version: 1\nrisk: {bands: {a: {enter: §1.5, leave: 0}}}\n", "from 0 to 1"),
    (
        "band left before entered",
        "version: 1\nrisk: {bands: {§a: {enter: .2, leave: .3}}}\n",
        "not above `enter`",
    ),
    (
        "band with limits",
        LIMITS + "version: 1\nrisk: {bands: {§a: {enter: 1, leave: 1, limits: []}}}\n",
        "use `charge`",
    ),
    ("new without until", "version: 1\nrisk:\n  §new: {logprobs: {top: 0}}\n", "no `until`"),
    ("new until nothing", "version: 1\nrisk: {new: {§until: {}}}\n", "`requests`, `age` or both"),
    ("new with charge", "version: 1\nrisk: {§new: {until: {requests: 5}, charge: 4x}}\n", "no `charge`"),
    # failures and runtime
    ("failure misspelt", "version: 1\non_failure: {store: §locale}\n", "did you mean `local`?"),
    ("store unknown", "version: 1\nruntime: {state: §mysql://root:geheim@h/x}\n", "memory://"),
    ("secret in the file", "version: 1\nruntime: {keys: {current: §geheim}}\n", "a mapping with file, env"),
    ("secret as a key", "version: 1\nruntime: {keys: {§geheim: {}}}\n", "an unknown key"),
    ("key from two places", "version: 1\nruntime: {keys: {§current: {file: a, env: B}}}\n", "exactly one"),
    ("audit elsewhere", "version: 1\nruntime: {audit: §syslog}\n", "stdout, none or {file: PATH}"),
    ("body without end", "version: 1\nruntime: {max_body: §1T}\n", "a size from"),
    ("variable unset", "version: 1\nruntime: {state: §'${STORE}'}\n", "`${STORE}`, which is not set"),
    ("variable without name", "version: 1\nruntime: {audit: {file: §'${}'}}\n", "without a name"),
    ("variable without end", "version: 1\nruntime: {audit: {file: §'${A'}}\n", "without its `}`"),
    ("variable elsewhere", "version: 1\nname: §${NAME}\n", "only allowed under `runtime`"),
    # YAML
    ("alias", "version: 1\nname: &n a\nextends: §*n\n", "alias"),
    ("anchor", "version: 1\nname: §&n a\n", "anchor"),
    ("tag", "version: 1\nname: §!!str a\n", "tag"),
    ("python tag", "version: 1\nname: §!!python/object/apply:os.system [id]\n", "tag"),
    ("merge key", "version: 1\ndefaults:\n  §<<: {usage: keep}\n", "merge key"),
    ("second document", "version: 1\n§---\nversion: 1\n", "second document"),
    ("mapping as key", "version: 1\n? §{a: b}\n: c\n", "as a key"),
    ("tab as indentation", "version: 1\ndefaults:\n§\tusage: keep\n", "not YAML"),
    ("bracket left open", "version: 1\nrules: [\n§", "not YAML"),
    ("no mapping", "§- version: 1\n", "found no mapping"),
    ("empty file", "§", "found no mapping"),
    ("control character", "version: 1\nname: a§\x07b\n", "U+0007"),
    # extends
    ("parent unknown", "version: 1\nextends: §nowhere\n", "cannot be read"),
    (
        "parent that no file can be",
        'version: 1\nextends: §"a\\0b"\n',
        "cannot be read: no file has this name",
    ),
    ("parent is itself", "version: 1\nextends: §itself\n", "circle"),
]


def _parents(name: str, source: Source) -> Source:
    if name == "itself":
        return source
    return read_parent(name, source)


@pytest.mark.parametrize(("marked", "says"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES])
def test_a_mistake_is_refused_at_its_place(marked: str, says: str) -> None:
    before, _, after = marked.partition("§")
    with pytest.raises(PolicyError) as caught:
        load_text(Source("p.yaml", "p", (before + after).encode()), environment={}, parents=_parents)
    place = (before.count("\n") + 1, len(before) - before.rfind("\n"))
    hits = [fault for fault in caught.value.faults if (fault.line, fault.column) == place]
    assert hits, str(caught.value)
    assert any(says in fault.message for fault in hits), str(caught.value)
    assert "geheim" not in str(caught.value)
    assert "sk-abc" not in str(caught.value)


def test_there_are_enough_kinds_of_mistakes() -> None:
    assert len({row[0] for row in MISTAKES}) == len(MISTAKES) >= 80


def test_all_faults_come_at_once_in_file_order() -> None:
    text = "version: 2\nnmae: a\ndefaults: {limits: [x], usage: no}\nrules: [{exempt: 1}]\nruntime: {state: '${A}'}\n"
    with pytest.raises(PolicyError) as caught:
        load_text(Source("p.yaml", "p", text.encode()), environment={}, parents=_parents)
    assert [fault.line for fault in caught.value.faults] == [1, 2, 3, 3, 4, 4, 5, 5]
    assert str(caught.value).splitlines()[0].startswith("p.yaml:1:10: found `2`")
