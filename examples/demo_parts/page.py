"""The demonstration as one self-contained page: no script, no font, no picture from elsewhere."""

from __future__ import annotations

import html
from pathlib import Path

from demo_parts.accounts import POLICY
from demo_parts.ask import QUESTION, WAYS, Reply, Row
from demo_parts.claims import Claim, split_leaks
from demo_parts.cost import ROUNDS, Cost
from demo_parts.session import Session

STYLE = Path(__file__).with_name("page.css")
TITLES = {
    ("openai", True): "OpenAI chat completions, streamed",
    ("openai", False): "OpenAI chat completions, whole",
    ("anthropic", True): "Anthropic messages, streamed",
    ("anthropic", False): "Anthropic messages, whole",
}
LOWEST = -10.0
"""The log-probability in nats at which a bar has no length."""
escape = html.escape


def render(session: Session, claims: tuple[Claim, ...], costs: tuple[Cost, ...]) -> str:
    """The page as HTML text."""
    good = all(claim.holds for claim in claims)
    verdict = f"{sum(claim.holds for claim in claims)} of {len(claims)} claims hold"
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        f"<title>One answer, three accounts</title><style>{STYLE.read_text('utf-8')}</style></head><body><main>",
        "<h1>One answer, three accounts</h1>",
        (
            "<p class='soft'>A small teacher that solves word problems by thinking aloud, asked through the official "
            "<code>openai</code> and <code>anthropic</code> SDKs. Between them stands <code>HardeningMiddleware</code> "
            "with the policy at the end of this page.</p>"
        ),
        f"<blockquote>{escape(QUESTION)}</blockquote>",
        f"<div class='verdict {'good' if good else 'bad'}'>{verdict}</div>",
        section(
            session, ("openai", True), "Highlighted: what the ordinary account's summary keeps of the trace."
        ),
        section(session, ("anthropic", True), "The same in thinking blocks."),
        wire(session),
        calls(session),
        checked(claims),
        price(costs),
        "<h2>The policy</h2><p class='soft'>Everybody gets <code>defaults</code>; a rule lies over it.</p>",
        f"<pre>{escape(POLICY.read_text('utf-8'))}</pre></main></body></html>\n",
    ]
    return "\n".join(parts)


def section(session: Session, way: tuple[str, bool], note: str) -> str:
    """One API's three answers side by side."""
    key = next(one for one in WAYS if one == way)
    bare, ordinary = session.internal[key], session.ordinary[key]
    kept = [leak.text for leak in split_leaks(ordinary, bare)[1]]
    cards = [
        card(bare, "untouched", kept),
        card(ordinary, "hardened", []),
        card(session.limited[key], "refused", []),
    ]
    return f"<h2>{TITLES[key]}</h2><p class='soft'>{note}</p><div class='cards'>{''.join(cards)}</div>"


def card(reply: Reply, chip: str, kept: list[str]) -> str:
    """What one account got."""
    treatment = reply.headers.get("x-hardening")
    header = (
        f"<code>x-hardening: {escape(treatment)}</code>"
        if treatment
        else "no <code>x-hardening</code> header"
    )
    parts = [
        f"<article class='card'><header><h3>{escape(reply.caller.title)}</h3><span class='chip {chip}'>{chip}</span></header>",
        f"<p class='meta'>HTTP {reply.status}, {count(reply)}, {len(reply.body):,} bytes</p>",
        f"<p class='meta'>{header}</p>",
    ]
    if reply.refusal:
        parts.append(f"<h4>What the SDK raises</h4><div class='text'>{escape(reply.refusal)}</div>")
        parts.append(f"<h4>Body</h4><pre>{escape(reply.body.decode())}</pre>")
        return "".join([*parts, "</article>"])
    parts.append(f"<h4>Reasoning, {len(reply.reasoning):,} characters</h4>")
    parts.append(f"<div class='text'>{marked(reply.reasoning, kept) or nothing('none')}</div>")
    parts.append(f"<h4>Answer</h4><div class='text'>{escape(reply.answer)}</div>")
    if reply.api == "openai":
        parts.append(alternatives(reply))
    return "".join([*parts, "</article>"])


def count(reply: Reply) -> str:
    """How many pieces the body came in."""
    return "1 chunk" if len(reply.chunks) == 1 else f"{len(reply.chunks):,} chunks"


def nothing(text: str) -> str:
    """A word for an empty place."""
    return f"<span class='nothing'>{text}</span>"


def marked(text: str, kept: list[str]) -> str:
    """The text with the kept pieces highlighted."""
    safe = escape(text.strip(), quote=False)
    for piece in sorted(set(kept), key=len, reverse=True):
        inner = escape(piece.strip(), quote=False)
        safe = safe.replace(inner, f"<mark>{inner}</mark>")
    return safe


def alternatives(reply: Reply) -> str:
    """The log-probabilities of one number in the answer, as bars on a logarithmic scale."""
    row = telling(reply)
    if row is None:
        return f"<h4>Log-probabilities</h4>{nothing('none')}"
    bars = []
    for token, logprob in row.top:
        width = max(1, round(100 * (1 - logprob / LOWEST)))
        chosen = " chosen" if token == row.token else ""
        bars.append(
            f"<div class='row mono{chosen}'><span class='token'>{escape(repr(token))}</span>"
            f"<span><i style='width:{width}%'></i></span><span>{logprob:.3f}</span></div>"
        )
    head = f"{len(reply.rows)} positions; at {escape(repr(row.token))}: {len(row.top)} alternatives"
    return f"<h4>Log-probabilities, {head}</h4><div class='rows'>{''.join(bars)}</div>"


def telling(reply: Reply) -> Row | None:
    """The last position whose token is a number, else the last one."""
    numbers = [row for row in reply.rows if row.token.strip().isdecimal() and row.top]
    rows = numbers or list(reply.rows)
    return rows[-1] if rows else None


def wire(session: Session) -> str:
    """The same answer token on the wire, before and after."""
    before, after = (replies["openai", True] for replies in (session.internal, session.ordinary))
    token = telling(before)
    mark = f'"content":"{token.token}"'.encode() if token else b'"content":"'
    panes = []
    for name, reply in (("internal: as the app sent it", before), ("ordinary: as it left", after)):
        chunk = next((chunk for chunk in reversed(reply.chunks) if mark in chunk), b"")
        panes.append(
            f"<div><h4>{name}, {len(chunk):,} bytes</h4><pre class='wire'>{escape(chunk.decode().strip())}</pre></div>"
        )
    return f"<h2>One chunk on the wire</h2><div class='pair'>{''.join(panes)}</div>"


def calls(session: Session) -> str:
    """All twelve calls as a table."""
    head = "<tr><th>API</th><th>account</th><th class='n'>status</th><th class='n'>reasoning, characters</th>"
    head += "<th class='n'>alternatives</th><th class='n'>positions</th><th class='n'>bytes</th></tr>"
    lines = []
    for way in WAYS:
        for place, replies in enumerate((session.internal, session.ordinary, session.limited)):
            reply = replies[way]
            numbers = (reply.status, len(reply.reasoning), reply.widest, len(reply.rows), len(reply.body))
            cells = "".join(f"<td class='n'>{number:,}</td>" for number in numbers)
            first = " class='first'" if place == 0 else ""
            title = TITLES[way] if place == 0 else ""
            lines.append(f"<tr{first}><td>{title}</td><td>{reply.caller.title}</td>{cells}</tr>")
    return f"<h2>All twelve calls</h2><div class='wide'><table>{head}{''.join(lines)}</table></div>"


def checked(claims: tuple[Claim, ...]) -> str:
    """The claims with their figures."""
    rows = [
        f"<tr><td class='{'good' if claim.holds else 'bad'}'>{'holds' if claim.holds else 'fails'}</td>"
        f"<td>{escape(claim.text)}</td><td class='soft'>{escape(claim.figures)}</td></tr>"
        for claim in claims
    ]
    return f"<h2>What was checked</h2><div class='wide'><table>{''.join(rows)}</table></div>"


def price(costs: tuple[Cost, ...]) -> str:
    """What the middleware adds to a chunk."""
    head = "<tr><th>stream</th><th class='n'>chunk</th><th class='n'>added, ordinary</th>"
    head += "<th class='n'>added, internal</th><th class='n'>one JSON parse and write</th>"
    head += "<th class='n'>the app itself</th><th class='n'>added to the app</th></tr>"
    rows = []
    for cost in costs:
        figures = [f"{us:.1f} us" for us in (cost.ordinary, cost.internal, cost.parse, cost.app)]
        cells = (f"{cost.chunk_bytes:,.0f} bytes", *figures, f"{cost.ordinary / cost.app:.1%}")
        rows.append(f"<tr><td>{cost.name}</td>{''.join(f'<td class=n>{cell}</td>' for cell in cells)}</tr>")
    note = (
        f"Microseconds a chunk, in process on one core: medians of {ROUNDS} interleaved rounds, "
        "the request's own cost shared among its chunks."
    )
    table = f"<div class='wide'><table>{head}{''.join(rows)}</table></div>"
    return f"<h2>What it costs</h2><p class='soft'>{note}</p>{table}"
