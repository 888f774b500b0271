"""Warnings about what loosens more, or for more callers, than its author may think.

- an exemption that covers everyone: a policy that does nothing
- a rule that loosens, or lets out, on a header: any caller sends what he likes, also one with a good key
- a group whose members nobody vouches for: in it is who says so, or nobody can be
- a rule about to end: what holds from that day on is what stands without it
- a pool of strangers without limits, an unproven caller being whoever says so
- a list of limits that all go by what the caller names: new names are new allowances
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from hardening.errors import PolicyFault
from hardening.policy.coverage import covers
from hardening.policy.faults import fault_at, listed
from hardening.policy.load import Reading
from hardening.policy.model import Match, Rule
from hardening.policy.nodes import Node, quoted
from hardening.policy.provenance import KEYS, leaves, mark_of, node_at, rule_nodes
from hardening.policy.quantities import start_of
from hardening.policy.terms import Terms, overlay, stricter

SOON_DAYS = 14
"""How long before its end a rule is reported."""

CREDENTIAL_HEADERS = frozenset(("x-api-key", "api-key", "x-goog-api-key"))
"""Headers whose value is a key that the app checks; identity hashes them alike. Any other one is a name."""

_FINGERPRINTS = ("key_", "ip_")
"""How identity's hashes begin: of what a header said, of a client's address."""


def loosening(reading: Reading, now: float) -> Iterator[PolicyFault]:
    """What loosens more than may be meant, with its place and what to do."""
    terms = reading.policy.rulebook.base
    for rule, node in zip(reading.file.rules, rule_nodes(reading.root), strict=True):
        yield from _exemption(reading, rule, node)
        yield from _header(rule, node, terms)
        yield from _ending(rule, node, now)
        if _always_applies(rule):
            terms = overlay(terms, rule.terms())
    yield from _nobody(reading)
    yield from _unvouched(reading)
    yield from _renamed(reading)
    yield from _unlimited(reading)


def _exemption(reading: Reading, rule: Rule, node: Node) -> Iterator[PolicyFault]:
    if not rule.exempt or rule.unless is not None or rule.mode == "shadow":
        return
    everybody = Match()
    groups = reading.file.accounts.groups
    for group in rule.match.group or ():
        if "*" in groups.get(group, ()) and covers(rule.match.model_copy(update={"group": None}), everybody):
            who = f"every caller that somebody vouched for, since group `{group}` holds `*`"
            break
    else:
        if not covers(rule.match, everybody):
            return
        who = "every request"
    text = (
        f"rule `{rule.name}` exempts {who}: nothing below it acts; give it a `match`, or, to switch the"
        " policy off, write `mode: shadow`, which goes on counting"
    )
    yield fault_at(mark_of(node, "exempt"), text)


def _header(rule: Rule, node: Node, before: Terms) -> Iterator[PolicyFault]:
    """A rule with which a caller helps himself by a header, compared with what always stands before it."""
    if rule.match.header is not None and not _names_somebody(rule.match):
        loosened = ["exempt"] if rule.exempt else list(_loosened(before, rule.terms()))
        if loosened:
            text = (
                f"rule `{rule.name}` loosens {listed(loosened)} for every proven caller who sends this header;"
                " match a `group` or `account` beside it, or let a proxy in front drop the header"
            )
            yield fault_at(mark_of(node, "match", "header"), text)
    if rule.unless is not None and rule.unless.header is not None:
        tightens = rule.refuse is not None or stricter(before, rule.terms()) != before
        if tightens and not _names_somebody(rule.unless):
            text = (
                f"rule `{rule.name}` lets out every proven caller who sends this header; except a `group` or"
                " `account`, or let a proxy in front drop the header"
            )
            yield fault_at(mark_of(node, "except", "header"), text)


def _names_somebody(match: Match) -> bool:
    """Whether a match holds for accounts that the operator chose, so that a header alone opens nothing."""
    return match.group is not None or (match.account is not None and "*" not in match.account)


def _loosened(before: Terms, rule: Terms) -> Iterator[str]:
    """The keys of a rule whose value is not as strict as what stands before it."""
    for name, path in KEYS.items():
        value = getattr(rule, name)
        if value is None:
            continue
        merged = getattr(stricter(before, rule), name)
        if set(merged) != set(value) if name == "limits" else merged != value:
            yield f"`{'.'.join(path)}`"


def _always_applies(rule: Rule) -> bool:
    """Whether a rule changes the terms of every request that comes to it."""
    acts = rule.mode != "shadow" and rule.enforce in (None, 1.0) and rule.until is None
    return acts and rule.unless is None and covers(rule.match, Match())


def _ending(rule: Rule, node: Node, now: float) -> Iterator[PolicyFault]:
    if rule.until is None:
        return
    left_s = start_of(rule.until) - now
    if 0 < left_s <= SOON_DAYS * 86400:
        last = date.fromisoformat(rule.until) - timedelta(days=1)
        text = (
            f"rule `{rule.name}` acts through {last} only, UTC; move `until`, or make sure that what holds"
            " without it is meant"
        )
        yield fault_at(mark_of(node, "until"), text)


def _nobody(reading: Reading) -> Iterator[PolicyFault]:
    """Names of accounts that nobody can have, where nobody names accounts."""
    file = reading.file
    if "app" in file.accounts.identify or file.accounts.trusted_proxies:
        return
    prefixes = {"ip_" if source == "client" else "key_" for source in file.accounts.identify}
    shown = " or ".join(f"{prefix}..." for prefix in sorted(prefixes))
    named = f"`identify` has no `app` and there is no trusted proxy, so accounts are fingerprints ({shown})"
    advice = "let the app name accounts, or list fingerprints"
    for node in rule_nodes(reading.root):
        for leaf in leaves(node_at(node, "match", "group")):
            entries = file.accounts.groups.get(leaf.text, ())
            if not any(_may_be(entry, prefix) for entry in entries for prefix in prefixes):
                yield fault_at(leaf.mark, f"nobody is in group {quoted(leaf.text)}: {named}; {advice}")
        for leaf in leaves(node_at(node, "match", "account")):
            if not any(_may_be(leaf.text, prefix) for prefix in prefixes):
                yield fault_at(leaf.mark, f"no account is called {quoted(leaf.text)}: {named}; {advice}")


def _unvouched(reading: Reading) -> Iterator[PolicyFault]:
    """Sources of identity that prove nothing, where rules ask for a group that they can lead into."""
    accounts = reading.file.accounts
    used = {group for rule in reading.file.rules for group in rule.match.group or ()}
    led = {prefix: _groups_of(accounts.groups, used, prefix) for prefix in _FINGERPRINTS}
    for leaf in leaves(node_at(reading.root, "accounts", "identify")):
        source = leaf.text.lower()
        if source.startswith("header:") and source[7:] not in CREDENTIAL_HEADERS and led["key_"]:
            text = (
                f"{quoted(leaf.text)} is a name that any caller may send, and a 2xx of the app does not vouch"
                f" for it, but it leads into {listed(led['key_'])}; let a proxy of `trusted_proxies` name"
                " accounts, or use a key that the app checks"
            )
            yield fault_at(leaf.mark, text)
        if list(accounts.identify) == ["client"] and not accounts.trusted_proxies and led["ip_"]:
            text = (
                f"callers are told by their address alone, so everybody behind it is in {listed(led['ip_'])};"
                " tell them by a key that the app checks"
            )
            yield fault_at(leaf.mark, text)


def _groups_of(groups: dict[str, tuple[str, ...]], used: set[str], prefix: str) -> list[str]:
    """The used groups that a hash with this prefix may be in."""
    return [
        f"group `{name}`" for name in groups if name in used and any(_may_be(e, prefix) for e in groups[name])
    ]


def _may_be(pattern: str, prefix: str) -> bool:
    """Whether a pattern can match a text that begins with `prefix`."""
    head, star, _ = pattern.partition("*")
    return head.startswith(prefix) or (bool(star) and prefix.startswith(head))


def _renamed(reading: Reading) -> Iterator[PolicyFault]:
    """Lists of limits that hold nobody who makes up models or keys."""
    limits, root = reading.file.limits, reading.root
    nodes = [node_at(root, "defaults"), *rule_nodes(root)]
    for part, node in zip((reading.file.defaults, *reading.file.rules), nodes, strict=True):
        by = {limits[name].by for name in part.limits or ()} - {"all"}
        if by and not {"org", "account"} & by:
            names = listed(sorted(by))
            text = (
                f"all of these limits are counted by {names}, which a caller may make up where the app does not"
                " check it; name one by `account` or `org` beside them"
            )
            yield fault_at(mark_of(node, "limits"), text)


def _unlimited(reading: Reading) -> Iterator[PolicyFault]:
    """A pool of strangers that nothing bounds."""
    if reading.file.accounts.unproven.limits == ():
        text = (
            "callers that nobody vouched for have no limit at all, so a made-up key is worth more than a good one;"
            " name a limit, or leave `limits` out for those of `defaults`"
        )
        yield fault_at(mark_of(reading.root, "accounts", "unproven", "limits"), text)
