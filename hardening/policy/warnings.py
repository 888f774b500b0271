"""What `validate` warns about: a policy that is without faults and still not what its author means.

A fault stops a policy from loading; a warning does not. Each is made for one thing that an operator
would want to hear before callers do, stands at the line that he has to edit, and says what to do:

- `idle`: what can never act
- `loosening`: what loosens more than may be meant, or will soon end
- here: former names of keys, secrets that are missing, newcomers in a store that forgets, and settings whose mechanism is not built yet
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from hardening.errors import PolicyFault
from hardening.policy.faults import MAX_FAULTS, fault_at
from hardening.policy.idle import idle
from hardening.policy.load import Reading
from hardening.policy.loosening import loosening
from hardening.policy.nodes import Mark
from hardening.policy.provenance import KEYS, mark_of, node_at, rule_nodes
from hardening.policy.unbuilt import notes

_KEY = "set HARDENING_KEY or HARDENING_KEY_FILE, or name one under `runtime.keys`"


def warnings(reading: Reading, now: float, doors: tuple[str, ...]) -> tuple[PolicyFault, ...]:
    """Every warning about a policy, in the order of its files; `now` is in seconds since 1970.

    `doors` are the names of the doors that the app has, as rules match them.
    """
    found = [
        *reading.policy.old_names,
        *(fault_at(_place(reading, note.path), str(note)) for note in notes(reading.file)),
        *islice(idle(reading, now, doors), MAX_FAULTS),
        *islice(loosening(reading, now), MAX_FAULTS),
        *islice(_keys(reading), MAX_FAULTS),
        *_forgotten(reading),
    ]
    return tuple(sorted(set(found)))


def _forgotten(reading: Reading) -> Iterator[PolicyFault]:
    """What holds for new accounts, where each start makes everybody new."""
    if reading.file.risk.new is not None and reading.policy.runtime.state.startswith("memory://"):
        text = (
            "memory:// forgets who is known, so after each start every account is new;"
            " name another store under `runtime.state` or in HARDENING_STATE"
        )
        yield fault_at(mark_of(reading.root, "risk", "new"), text)


def _place(reading: Reading, path: tuple[str, ...]) -> Mark:
    """Where a setting stands; a rule goes by its name."""
    if path[0] != "rules":
        return mark_of(reading.root, *path)
    names = [rule.name for rule in reading.file.rules]
    return mark_of(rule_nodes(reading.root)[names.index(path[1])], *path[2:])


def _keys(reading: Reading) -> Iterator[PolicyFault]:
    """What needs a secret, where there is none."""
    runtime, root = reading.policy.runtime, reading.root
    if runtime.key is not None:
        return
    if not runtime.state.startswith("memory://"):
        text = f"a store that outlives the process needs a key, and there is none: the start fails; {_KEY}"
        yield fault_at(mark_of(root, "runtime", "state"), text)
    if runtime.previous_keys:
        text = f"previous keys are not read without a current one; {_KEY}"
        yield fault_at(mark_of(root, "runtime", "keys", "previous"), text)
    for name, entries in reading.file.accounts.groups.items():
        if any(entry.startswith(("key_", "ip_")) for entry in entries):
            text = (
                f"group `{name}` lists fingerprints, which are others in each process without a key; {_KEY}"
            )
            yield fault_at(mark_of(root, "accounts", "groups", name), text)
    # Presets say what holds where there is a key.
    if not reading.policy.preset:
        yield from _secret_settings(reading)


def _secret_settings(reading: Reading) -> Iterator[PolicyFault]:
    """Settings of this very file that seal or add noise."""
    root, file = reading.root, reading.file
    layers = [(("risk", "bands", name), band.terms()) for name, band in file.risk.bands.items()]
    new = [(("risk", "new"), file.risk.new.terms())] if file.risk.new is not None else []
    parts = [
        (node_at(root, "defaults"), file.defaults.terms()),
        *zip(rule_nodes(root), [rule.terms() for rule in file.rules], strict=True),
        *((node_at(root, *path), terms) for path, terms in [*new, *layers]),
    ]
    effects = {
        "seal": "nothing is sealed without a key",
        "logprob_noise": "noise is another in each process without a key",
        "embedding_noise": "noise is another in each process without a key",
        "embedding_rotate": "rotated vectors need a key, and there is none: the start fails",
    }
    for node, terms in parts:
        for name, effect in effects.items():
            mark = mark_of(node, *KEYS[name]) if getattr(terms, name) else None
            if mark is not None and mark.file == root.mark.file:
                yield fault_at(mark, f"{'.'.join(KEYS[name])}: {effect}; {_KEY}")
