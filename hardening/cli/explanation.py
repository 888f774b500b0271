"""An explanation for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.text import Text

from hardening.cli.receipts import Compared
from hardening.facts import Refusal
from hardening.policy.explain import Asked, Explained, Explanation, Part, Setting, State, Value
from hardening.policy.load import Reading
from hardening.policy.nodes import Mark
from hardening.policy.provenance import Written

# No dim and no blue: both vanish on a dark screen.
_STYLES: dict[State, str] = {
    "acts": "green",
    "tightens": "green",
    "exempts": "bold yellow",
    "refuses": "bold red",
    "held back": "yellow",
    "shadow": "magenta",
}


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of one request; without an explanation the notes say why, `compared` has its receipt."""

    asked: Asked
    explanation: Explanation | None
    notes: tuple[str, ...] = ()
    compared: Compared | None = None


# For programs


def as_json(source: str, reading: Reading, told: Sequence[Told]) -> dict[str, object]:
    """The whole report of `--json`."""
    policy = reading.policy
    return {
        "policy": {"source": source, "name": policy.name, "digest": policy.digest, "mode": policy.mode},
        "requests": [_request(one) for one in told],
    }


def _request(told: Told) -> dict[str, object]:
    found = told.explanation
    return {
        "request": _asked(told.asked, found),
        "notes": list(told.notes),
        "decision": found.decided.decision if found else None,
        "settings": _settings(found.decided) if found else [],
        "parts": [_part(part) for part in found.parts] if found else [],
        "would": (
            {"decision": found.would.decision, "settings": _settings(found.would)}
            if found and found.would
            else None
        ),
        "receipt": _receipt(told.compared) if told.compared else None,
    }


def _asked(asked: Asked, found: Explanation | None) -> dict[str, object]:
    account, facts = asked.account, asked.facts
    return {
        "time": datetime.fromtimestamp(asked.now, UTC).isoformat().replace("+00:00", "Z"),
        "account": account.id,
        "org": account.org,
        "groups": list(found.groups if found else account.groups),
        "proven": account.proven,
        "door": facts.door,
        "format": facts.format,
        "model": facts.model,
        "client": facts.client,
        "headers": [name.decode("latin-1") for name, _ in facts.headers],
        "band": asked.standing.band,
    }


def _settings(explained: Explained) -> list[dict[str, object]]:
    return [
        {
            "key": setting.key,
            "value": setting.value,
            "from": _source(setting.source),
            "also": [_source(source) for source in setting.also],
        }
        for setting in explained.settings
    ]


def _source(source: Written) -> dict[str, object]:
    mark = asdict(source.mark) if source.mark else {"file": None, "line": None, "column": None}
    return {"part": source.kind, "name": source.name, "key": source.key, **mark}


def _part(part: Part) -> dict[str, object]:
    return {**_source(part.source), "state": part.state, "why": part.why}


def _receipt(both: Compared) -> dict[str, object]:
    return {
        "request_id": both.receipt.request_id,
        "policy": both.receipt.policy,
        "same_policy": both.same_policy,
        "differs": [{"key": item.key, "receipt": item.was, "now": item.now} for item in both.differs],
        "untold": [{"rule": rule, "key": key} for rule, key in both.untold],
        "notes": list(both.notes),
    }


# For people


def show(console: Console, source: str, reading: Reading, told: Iterable[Told]) -> None:
    """Print what is told, one line a value; places stand last, so that terminals can jump to them."""
    policy = reading.policy
    console.print(f"{policy.name} {policy.digest} ({source}, {policy.mode})", style="bold")
    for one in told:
        console.print()
        for line in _text(one):
            # A receipt holds what callers sent, and an escape sequence must not reach the screen.
            line.plain = "".join(char if char.isprintable() else "\ufffd" for char in line.plain)
            console.print(line)


def _text(told: Told) -> Iterator[Text]:
    if told.compared is not None:
        yield from _comparison(told.compared)
    yield Text(_who(told))
    for note in told.notes:
        yield Text(note, style="yellow")
    if told.explanation is None:
        return
    yield from _table(_rows(told.explanation.decided.settings))
    if told.explanation.parts:
        yield Text("rules and bands", style="bold")
        yield from _table(_part_row(part) for part in told.explanation.parts)
    if told.explanation.would is not None:
        yield Text("without shadow it would be", style="bold magenta")
        yield from _table(_rows(_changed(told.explanation.decided, told.explanation.would)))


def _changed(decided: Explained, would: Explained) -> list[Setting]:
    """The settings that are other without shadow, by value."""
    before = {setting.key: setting.value for setting in decided.settings}
    return [setting for setting in would.settings if before.get(setting.key, "") != setting.value]


def _who(told: Told) -> str:
    asked, account = told.asked, told.asked.account
    moment = datetime.fromtimestamp(asked.now, UTC).strftime("%Y-%m-%d %H:%M UTC")
    groups = told.explanation.groups if told.explanation else ()
    words = [
        f"account {account.id}" + (f" of {account.org}" if account.org else ""),
        "proven" if account.proven else "nobody vouched for it",
        *([f"in {', '.join(groups)}"] if groups else []),
        *([f"band {asked.standing.band}"] if asked.standing.band else []),
        f"door {asked.facts.door}" + (f" ({asked.facts.format})" if asked.facts.format else ""),
        *([f"model {asked.facts.model}"] if asked.facts.model else []),
        moment,
    ]
    return "; ".join(words)


_Row = tuple[Text, Text, Text, Text]


def _rows(settings: Iterable[Setting]) -> Iterator[_Row]:
    for setting in settings:
        value = Text(_said(setting.key, setting.value), style="green")
        yield Text(setting.key, style="bold"), value, Text(str(setting.source)), _place(setting.source.mark)
        for source in setting.also:
            key = "" if source.key == setting.key else f" {source.key}"
            yield Text(""), Text("also"), Text(f"{source}{key}"), _place(source.mark)


def _part_row(part: Part) -> _Row:
    state = Text(part.state, style=_STYLES.get(part.state, ""))
    return Text(str(part.source), style="bold"), state, Text(part.why), _place(part.source.mark)


def _place(mark: Mark | None) -> Text:
    return Text(f"{_short(mark.file)}:{mark.line}:{mark.column}" if mark else "", style="cyan")


def _short(file: str) -> str:
    """The path from here where it lies below, as an editor opens it."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file


def _table(rows: Iterable[_Row]) -> Iterator[Text]:
    """The rows in columns of even width; the last is as long as it is, and nothing wraps."""
    kept = list(rows)
    widths = [max((row[column].cell_len for row in kept), default=0) for column in range(3)]
    for row in kept:
        line = Text("  ")
        for cell, width in zip(row, widths, strict=False):
            line.append_text(cell).append(" " * (width - cell.cell_len + 2))
        line.append_text(row[3])
        line.rstrip()
        yield line


def _said(key: str, value: Value) -> str:
    """A value in the words of a policy file."""
    if isinstance(value, Refusal):
        return f"{value.status} {value.message}"
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "all" if key == "logprobs.top" else "none"
    if key == "scale" and isinstance(value, float):
        return f"{100 * value:g}%"
    if isinstance(value, float):
        return f"{value:g}" + {"charge": "x", "pace": "/s"}.get(key, "")
    return str(value)


def _comparison(both: Compared) -> Iterator[Text]:
    """Whether the receipt says the same, and if not, what and why perhaps."""
    receipt = both.receipt
    yield Text(f"receipt {receipt.request_id}", style="bold")
    if not both.same_policy:
        yield Text(
            f"decided by another policy: {receipt.policy.name} {receipt.policy.digest}", style="yellow"
        )
    for note in both.notes:
        yield Text(note, style="yellow")
    if not both.differs:
        yield Text("the Decision is the one of the receipt", style="green")
        return
    yield Text("the Decision is not the one of the receipt", style="bold red")
    for item in both.differs:
        was, now = _said(item.key, item.was), _said(item.key, item.now)
        yield Text(f"  {item.key}: the receipt has {was}, this policy gives {now}", style="red")
    if both.untold:
        rules = ", ".join(f"{rule} ({key})" for rule, key in both.untold)
        yield Text(
            "  a receipt does not hold the groups and the org that the app handed over, nor headers and the"
            f" address of the client; these rules rest on them: {rules}",
            style="yellow",
        )
