"""`python -m bench.servers`: real model servers, bare and hardened, door by door; then the switches."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rich.console import Console

from bench.corpus.table import print_claims
from bench.servers import litellm_doors, llama_doors, started, vllm_doors
from bench.servers.asks import Ask, chat, completion, whole_and_stream
from bench.servers.check import HIDDEN, Sides, added_ms, check_attacks, check_doors
from bench.servers.clients import Address, check_clients, versions
from bench.servers.homes import BUILD, LITELLM, LLAMA, ROOT, VLLM, Home, InstallError
from bench.servers.judge import Trace
from bench.servers.pattern import ANSWER, TRACE, pieces
from bench.servers.process import Running, ServerError
from bench.servers.report import Results, claims_of, print_results
from bench.servers.switches import attacks, chat_switches, completion_switches, forced_rows

SERVERS = ("vllm", "litellm", "llama")


def say(text: str) -> None:
    """Progress, for people."""
    print(f"scripts/test-servers: {text}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and give the exit status: 0 fine, 1 a claim that does not hold, 2 a server that does not run."""
    parser = argparse.ArgumentParser("scripts/test-servers", description=__doc__, allow_abbrev=False)
    parser.add_argument("--json", action="store_true", help="write the claims, and nothing else, to stdout")
    parser.add_argument("--only", action="append", choices=SERVERS, help="may be given several times")
    parser.add_argument("--doors", action="store_true", help="leave out the attacks with switches")
    options = parser.parse_args(arguments)
    chosen, results = tuple(options.only or SERVERS), Results()
    try:
        if "vllm" in chosen or "litellm" in chosen:
            _behind_vllm(chosen, results, attacked=not options.doors)
        if "llama" in chosen:
            _llama(results)
    except (InstallError, ServerError) as fault:
        print(f"scripts/test-servers: {fault}", file=sys.stderr)
        return 2
    claims = claims_of(results, partial=bool(options.only) or options.doors)
    if options.json:
        print(json.dumps({"claims": [asdict(claim) for claim in claims]}, indent=1))
    else:
        console = Console(width=None if sys.stdout.isatty() else 150)
        print_results(console, results)
        print_claims(console, claims)
    return 0 if claims and all(claim.holds for claim in claims) else 1


def _behind_vllm(chosen: tuple[str, ...], results: Results, *, attacked: bool) -> None:
    """vLLM, and LiteLLM before it."""
    VLLM.make()
    model = (VLLM.program("python"), "-m", "bench.servers.pattern_model", str(started.MODEL_FOLDER))
    subprocess.run(model, check=True, cwd=ROOT)
    ids = _token_ids()
    trace = Trace(TRACE, ANSWER, {id: text for text, id in ids.items()})
    say("starting vLLM")
    with started.vllm(hardened=False) as bare:
        if "vllm" in chosen:
            with started.vllm(hardened=True) as hardened:
                sides = Sides("vllm", bare.base, hardened.base)
                _note(results, VLLM, bare, hardened)
                say("asking vLLM at every door")
                asks = list(vllm_doors.doors([ids[piece] for piece in pieces(TRACE)][:1]))
                results.doors += check_doors(sides, asks, trace)
                _call(results, sides, vllm_doors.MODEL, trace)
                results.notes.append(_latency(sides, chat(vllm_doors.MODEL)))
                if attacked:
                    _attack(results, sides, ids, trace)
        if "litellm" in chosen:
            LITELLM.make()
            say("starting LiteLLM before it")
            with (
                started.litellm(bare.base, hardened=False) as plain,
                started.litellm(bare.base, hardened=True) as mounted,
            ):
                keyed = {"authorization": f"Bearer {started.LITELLM_KEY}"}
                sides = Sides("litellm", plain.base, mounted.base, keyed)
                _note(results, LITELLM, plain, mounted)
                say("asking LiteLLM at every door")
                results.doors += check_doors(sides, list(litellm_doors.doors()), trace)
                _call(results, sides, litellm_doors.MODEL, trace, key=started.LITELLM_KEY)
                results.notes.append(_latency(sides, chat(litellm_doors.MODEL)))


def _llama(results: Results) -> None:
    """llama-cpp-python with the middleware mounted, then bare behind the proxy."""
    LLAMA.make()
    say("starting llama-cpp-python")
    asks = list(llama_doors.doors())
    with started.llama(hardened=False) as bare:
        with started.llama(hardened=True) as hardened:
            _note(results, LLAMA, bare, hardened)
            say("asking it at every door")
            sides = Sides("llama-cpp", bare.base, hardened.base)
            results.doors += check_doors(sides, asks, llama_doors.TRACE)
        with started.proxy(bare.base) as before:
            say("asking it through hardening serve")
            sides = Sides("proxy", bare.base, before.base)
            results.doors += check_doors(sides, asks, llama_doors.TRACE)


def _call(results: Results, sides: Sides, model: str, trace: Trace, *, key: str = "none") -> None:
    """The official clients, with the trace hidden."""
    say(f"calling {sides.name} with {versions()}")
    bare, hardened = Address(sides.bare, key), Address(sides.hardened, key, HIDDEN)
    calls = check_clients(sides.name, model, bare, hardened, trace)
    results.calls += calls
    names = ", ".join(call.name for call in calls)
    results.notes.append(f"{sides.name} by {versions()}: {len(calls)} ways of calling: {names}")


def _attack(results: Results, sides: Sides, ids: Mapping[str, int], trace: Trace) -> None:
    """Each switch alone and in pairs, and each way to another first token, on whole answers and streams."""
    for base, switches in (
        (chat(vllm_doors.MODEL), chat_switches(ids)),
        (completion(vllm_doors.MODEL), completion_switches(ids)),
    ):
        for door in whole_and_stream(base):
            asks = list(attacks(door, switches))
            say(f"{len(asks)} attacks on {door.name}")
            results.attacks.append(check_attacks(sides, door, asks, trace, begins=False))
            forced: list[Ask] = list(forced_rows(door, ids))
            results.attacks.append(check_attacks(sides, door, forced, trace, begins=True))


def _token_ids() -> dict[str, int]:
    """The numbers of the pattern's tokens by their text, as its tokenizer has them."""
    tokenizer = json.loads((started.MODEL_FOLDER / "tokenizer.json").read_text("utf-8"))
    return {token["content"]: token["id"] for token in tokenizer["added_tokens"]}


def _note(results: Results, home: Home, bare: Running, hardened: Running) -> None:
    starts = f"starts in {bare.started_s:.0f} s bare, {hardened.started_s:.0f} s hardened"
    results.notes.append(f"{home.name} {home.version()}: {starts}")


def _latency(sides: Sides, ask: Ask) -> str:
    return f"{sides.name}: {added_ms(sides, ask):+.1f} ms a request of one caller, median; transcripts in {BUILD}"


if __name__ == "__main__":
    sys.exit(main())
