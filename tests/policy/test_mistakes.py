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
    ("name too long", "version: 1\nname: §%s\n" % ("a" * 65), "at most 64 characters"),
    ("name left empty", "version: 1\n§name:\n", "found nothing"),
    ("mode left empty", "version: 1\n§mode:\ndisclose: true\n", "allowed: enforce or shadow"),
    ("boolean as text", "version: 1\ndisclose: §'true'\n", "true or false"),
    ("boolean as number", "version: 1\ndisclose: §1\n", "true or false"),
    ("version with a fraction", "version: §1.0\n", "allowed: 1"),
    ("key without a name", "version: 1\n?§ \n: 1\n", "unknown key"),
    ("mapping instead of list", "version: 1\n§rules: {name: a}\n", "allowed: a list"),
    ("mapping instead of text", "version: 1\n§name: {a: b}\n", "found a mapping"),
    ("list instead of text", "version: 1\nmode: §[shadow]\n", "found a list"),
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
    (
        "new limit of all",
        "version: 1\nlimits: {all: {requests: 9, per: 1m, by: all}}\nrisk: {new: {until: {requests: 5}, limits: [§all]}}\n",
        "which is `by: all`",
    ),
    ("unproven limit unknown", "version: 1\naccounts: {unproven: {limits: [§trial]}}\n", "undeclared limit"),
    ("nobody is identified", "version: 1\naccounts: {identify: §[]}\n", "at least one value"),
    ("header name with a blank", "version: 1\naccounts: {identify: [§'header:x y']}\n", "header:<name>"),
    (
        "a proxy's header in capitals",
        "version: 1\naccounts: {identify: [§'header:X-Consumer-Id']}\n",
        "alone",
    ),
    (
        "a proxy's header",
        "version: 1\naccounts: {identify: [§'header:x-consumer-id']}\n",
        "`trusted_proxies` alone",
    ),
    (
        "bearer as a header",
        "version: 1\naccounts: {identify: [§'header:authorization']}\n",
        "read by `bearer`",
    ),
    ("proxy of a wrong size", "version: 1\naccounts: {trusted_proxies: [§'2001:db8::/129']}\n", "a network"),
    ("proxies as text", "version: 1\naccounts: {trusted_proxies: §10.0.0.0/8}\n", "allowed: a list"),
    ("empty id", "version: 1\naccounts: {groups: {a: [§'']}}\n", "not empty"),
    ("nothing as a group", "version: 1\naccounts: {groups: {§a: }}\n", "allowed: a list"),
    ("groups as a list", "version: 1\naccounts: {groups: §[a]}\n", "allowed: a mapping"),
    ("group name with a blank", "version: 1\naccounts: {groups: {§a b: []}}\n", "a name of letters"),
    (
        "bearer token as an id",
        "version: 1\naccounts: {groups: {a: [§Bearer abcdefgh12]}}\n",
        "shaped like an API key",
    ),
    (
        "token of a code host",
        "version: 1\naccounts: {groups: {a: [§ghp_abcdefghij]}}\n",
        "shaped like an API key",
    ),
    # doors
    ("door without slash", "version: 1\ndoors: {§api/chat: openai_chat}\n", "begins with /"),
    ("door named like our own field", "version: 1\ndoors: {§own: {/x: pass}}\n", "begins with /"),
    ("door with query", "version: 1\ndoors: {§/chat?x=1: pass}\n", "without query"),
    ("format misspelt", "version: 1\ndoors: {/x: §openai-chat}\n", "did you mean `openai_chat`?"),
    ("unknown doors misspelt", "version: 1\ndoors: {unknown: §blok}\n", "did you mean `block`?"),
    ("doors as a list", "version: 1\ndoors: §[/x]\n", "a mapping of paths"),
    ("door with a glob inside", "version: 1\ndoors: {§/a/*/b: pass}\n", "as its last part only"),
    ("door with a glob for half a part", "version: 1\ndoors: {§/chat*: pass}\n", "as its last part only"),
    ("door left empty", "version: 1\ndoors: {§/x: }\n", "pass or a format"),
    (
        "door in two spellings",
        "version: 1\ndoors: {/x/y: pass, §/X//y/: openai_chat}\n",
        "beside `/x/y`, the same door",
    ),
    ("door of a list", "version: 1\ndoors: {/x: §[pass]}\n", "pass or a format"),
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
    ("limit of an unknown unit", "version: 1\nlimits: {a: {§token: 5, per: 1m}}\n", "did you mean `tokens`?"),
    ("limit as a number", "version: 1\nlimits: {a: §60k}\n", "a mapping with tokens"),
    ("limit left empty", "version: 1\nlimits: {§a: }\n", "found nothing"),
    ("limit name with a slash", "version: 1\nlimits: {§a/b: {requests: 5, per: 1m}}\n", "a name of letters"),
    (
        "quantity in small letters of a million",
        "version: 1\nlimits: {a: {requests: §5m, per: 1m}}\n",
        "60k or 50M",
    ),
    ("quantity with a blank", "version: 1\nlimits: {a: {requests: §5 k, per: 1m}}\n", "60k or 50M"),
    ("quantity with a comma", "version: 1\nlimits: {a: {requests: §'60,000', per: 1m}}\n", "60k or 50M"),
    ("quantity with underscores", "version: 1\nlimits: {a: {requests: §60_000, per: 1m}}\n", "60k or 50M"),
    ("duration in words", "version: 1\nlimits: {a: {requests: 5, per: §minute}}\n", "such as 30s"),
    ("duration of no time", "version: 1\nlimits: {a: {requests: 5, per: §0s}}\n", "from 1s"),
    ("two durations", "version: 1\nlimits: {a: {requests: 5, per: §1h30m}}\n", "such as 30s"),
    ("burst left empty", "version: 1\nlimits: {a: {requests: 5, per: 1m, §burst: }}\n", "found nothing"),
    (
        "a burst of a sliding window",
        "version: 1\nlimits: {§a: {requests: 5, per: 1m, window: sliding, burst: 9}}\n",
        "`burst` or `window: sliding`",
    ),
    ("streams that slide", "version: 1\nlimits: {§a: {streams: 5, window: sliding}}\n", "held, not spent"),
    (
        "by somebody",
        "version: 1\nlimits: {a: {requests: 5, per: 1m, by: §user}}\n",
        "org, account, key or model",
    ),
    # defaults
    ("limit undeclared", LIMITS + "version: 1\ndefaults: {limits: [§minut]}\n", "did you mean `minute`?"),
    ("limits as text", LIMITS + "version: 1\ndefaults: {limits: §minute}\n", "allowed: a list"),
    ("show misspelt", "version: 1\ndefaults: {reasoning: {show: §summery}}\n", "did you mean `summary`?"),
    ("summary of no tokens", "version: 1\ndefaults: {reasoning: {max_tokens: §0}}\n", "from 1 to 10M"),
    ("half a token", "version: 1\ndefaults: {max_tokens: §1.5}\n", "a whole number of tokens"),
    ("negative top", "version: 1\ndefaults: {logprobs: {top: §-1}}\n", "or all"),
    ("top as boolean", "version: 1\ndefaults: {logprobs: {top: §true}}\n", "or all"),
    ("negative step", "version: 1\ndefaults: {logprobs: {step: §-0.5}}\n", "from 0 to 16"),
    ("infinite noise", "version: 1\ndefaults: {logprobs: {noise: §.inf}}\n", "one of 0.125, 0.25"),
    ("noise of no level", "version: 1\ndefaults: {logprobs: {noise: §0.3}}\n", "4, 8, 16"),
    ("pace without time", "version: 1\ndefaults: {pace: §20}\n", "such as 20/s"),
    ("charge without x", "version: 1\ndefaults: {charge: §4}\n", "such as 4x"),
    ("usage misspelt", "version: 1\ndefaults: {usage: §dropp}\n", "did you mean `drop`?"),
    ("limits left empty", "version: 1\ndefaults:\n  §limits:\n  usage: keep\n", "allowed: a list"),
    ("null for a setting", "version: 1\ndefaults: {max_tokens: §null}\n", "a whole number of tokens"),
    ("tilde for a setting", "version: 1\ndefaults: {usage: §~}\n", "allowed: keep, round or drop"),
    ("setting without its parts", "version: 1\ndefaults:\n  §reasoning:\n", "a mapping with show"),
    ("setting as a word", "version: 1\ndefaults: {reasoning: §none}\n", "a mapping with show"),
    ("setting in the wrong place", "version: 1\n§reasoning: {show: none}\n", "unknown key `reasoning`"),
    ("part in the wrong place", "version: 1\ndefaults: {§show: none}\n", "unknown key `show`"),
    (
        "inline misspelt",
        "version: 1\ndefaults: {reasoning: {inline: §start_open}}\n",
        "did you mean `starts_open`?",
    ),
    ("seal as a word", "version: 1\ndefaults: {reasoning: {seal: §always}}\n", "true or false"),
    ("at_limit misspelt", "version: 1\ndefaults: {at_limit: §finnish}\n", "did you mean `finish`?"),
    ("top beyond all", "version: 1\ndefaults: {logprobs: {top: §5000}}\n", "from 0 to 1000"),
    ("top as a word", "version: 1\ndefaults: {logprobs: {top: §any}}\n", "or all"),
    ("step beyond its range", "version: 1\ndefaults: {embeddings: {step: §17}}\n", "from 0 to 16"),
    ("step as text", "version: 1\ndefaults: {embeddings: {step: §'0.1'}}\n", "from 0 to 16"),
    ("noise that is no number", "version: 1\ndefaults: {embeddings: {noise: §.nan}}\n", "from 0 to 16"),
    ("rotation as a word", "version: 1\ndefaults: {embeddings: {rotate: §always}}\n", "true or false"),
    (
        "rotation in a band",
        "version: 1\nrisk:\n  bands:\n    §a: {enter: 0.5, leave: 0.4, embeddings: {rotate: true}}\n",
        "in a band: whoever came under it",
    ),
    (
        "rotation of newcomers",
        "version: 1\nrisk:\n  §new: {until: {age: 1d}, embeddings: {rotate: false}}\n",
        "for new accounts: whoever",
    ),
    (
        "rotation that ends",
        "version: 1\nrules:\n  - §{name: a, until: 2027-03-31, embeddings: {rotate: true}}\n",
        "matches more than `model` and `door`",
    ),
    (
        "rotation of a group",
        "version: 1\naccounts: {groups: {g: [a]}}\nrules:\n  - §{name: a, match: {model: m}, except: {group: g}, embeddings: {rotate: true}}\n",
        "matches more than `model` and `door`",
    ),
    (
        "rotation of some",
        "version: 1\nrules:\n  - §{name: a, enforce: 10%, embeddings: {rotate: true}}\n",
        "acts for some",
    ),
    ("pace of a standstill", "version: 1\ndefaults: {pace: §0/s}\n", "such as 20/s"),
    ("pace in words", "version: 1\ndefaults: {pace: §20 per second}\n", "such as 20/s"),
    ("scale of nothing", "version: 1\ndefaults: {scale: §0%}\n", "a share from 0.01% to 100%"),
    ("scale as a number", "version: 1\ndefaults: {scale: §0.5}\n", "such as 50%"),
    ("charge of nothing", "version: 1\ndefaults: {charge: §0x}\n", "from 0.01x"),
    ("charge the wrong way round", "version: 1\ndefaults: {charge: §x4}\n", "such as 4x"),
    ("setting of a later release", "version: 1\ndefaults: {§above_max: block}\n", "unknown key"),
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
    ("rule as a word", "version: 1\nrules: [§launch]\n", "found `launch`"),
    ("rule with a name of two words", "version: 1\nrules: [{name: §my rule}]\n", "a name of letters"),
    ("rule name left empty", "version: 1\nrules: [{§name: }]\n", "found nothing"),
    ("match as a list", "version: 1\nrules: [{name: a, match: §[m]}]\n", "a mapping with account"),
    ("match left empty", "version: 1\nrules:\n  - name: a\n    §match:\n    usage: drop\n", "found nothing"),
    ("match of a number", "version: 1\nrules: [{name: a, match: {model: §7}}]\n", "allowed: a list"),
    ("match of numbers", "version: 1\nrules: [{name: a, match: {account: [§7]}}]\n", "put it in quotes"),
    ("match of no header", "version: 1\nrules: [{name: a, match: {§header: {}}}]\n", "at least one value"),
    (
        "header in two spellings",
        "version: 1\nrules: [{name: a, match: {header: {X-A: b, §x-a: c}}}]\n",
        "the same header",
    ),
    (
        "door of no format",
        "version: 1\nrules: [{name: a, match: {door: §openai-chat}}]\n",
        "did you mean `openai_chat`?",
    ),
    ("exception misspelt", "version: 1\nrules: [{name: a, §expect: {model: x}}]\n", "did you mean `except`?"),
    (
        "exception by another name",
        "version: 1\nrules: [{name: a, §unless: {model: x}}]\n",
        "unknown key `unless`",
    ),
    ("exempt as a word", "version: 1\nrules: [{name: a, exempt: §all}]\n", "true or false"),
    (
        "exempt with settings",
        "version: 1\nrules:\n  - §{name: a, exempt: true, usage: drop}\n",
        "without `usage`",
    ),
    (
        "refuse with settings",
        LIMITS + "version: 1\nrules:\n  - §{name: a, refuse: {}, limits: [minute]}\n",
        "without `limits`",
    ),
    (
        "refuse as a boolean",
        "version: 1\nrules: [{name: a, refuse: §true}]\n",
        "a mapping with status, message",
    ),
    ("refuse with a fault", "version: 1\nrules: [{name: a, refuse: {status: §500}}]\n", "or 503"),
    ("status as text", "version: 1\nrules: [{name: a, refuse: {status: §'403'}}]\n", "400 to 499"),
    ("message of nothing", "version: 1\nrules: [{name: a, refuse: {message: §''}}]\n", "not empty"),
    (
        "message without end",
        "version: 1\nrules: [{name: a, refuse: {message: §%s}}]\n" % ("x" * 501),
        "a shorter text",
    ),
    ("day in another order", "version: 1\nrules: [{name: a, until: §31.03.2027}]\n", "such as 2027-03-31"),
    ("mode of a rule", "version: 1\nrules: [{name: a, mode: §dry}]\n", "enforce or shadow"),
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
    (
        "limit of new accounts that all share",
        "version: 1\nlimits: {one: {requests: 5, per: 1m, by: all}}\nrisk: {new: {until: {requests: 5}, limits: [§one]}}\n",
        "which all callers share",
    ),
    (
        "limit of new accounts undeclared",
        "version: 1\nrisk: {new: {until: {requests: 5}, limits: [§trial]}}\n",
        "the undeclared limit `trial`",
    ),
    ("band as a number", "version: 1\nrisk: {bands: {watch: §0.5}}\n", "a mapping with mode"),
    ("bands as a list", "version: 1\nrisk: {bands: §[watch]}\n", "allowed: a mapping"),
    (
        "band name with a blank",
        "version: 1\nrisk: {bands: {§a b: {enter: 1, leave: 1}}}\n",
        "a name of letters",
    ),
    ("risk in percent", "version: 1\nrisk: {bands: {a: {enter: §50%, leave: 0}}}\n", "from 0 to 1"),
    ("risk as a boolean", "version: 1\nrisk: {bands: {a: {enter: §true, leave: 0}}}\n", "from 0 to 1"),
    (
        "band that exempts",
        "version: 1\nrisk: {bands: {a: {enter: 1, leave: 1, §exempt: true}}}\n",
        "unknown key `exempt`",
    ),
    ("new for a fraction", "version: 1\nrisk: {new: {until: {requests: §1.5}}}\n", "a whole number"),
    ("new for no request", "version: 1\nrisk: {new: {§until: {requests: 0}}}\n", "`requests`, `age` or both"),
    ("age as a number", "version: 1\nrisk: {new: {until: {age: §1}}}\n", "such as 30s"),
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
    (
        "failure with a word of another",
        "version: 1\non_failure: {internal: §local}\n",
        "allowed: block or pass",
    ),
    ("failure left empty", "version: 1\non_failure: {§store: }\n", "allowed: local, reject or allow"),
    ("store without slashes", "version: 1\nruntime: {state: §memory}\n", "memory://"),
    ("runtime misspelt", "version: 1\nruntime: {§stat: 'memory://'}\n", "did you mean `state`?"),
    ("key without a place", "version: 1\nruntime: {keys: {§current: {}}}\n", "exactly one"),
    ("previous key alone", "version: 1\nruntime: {keys: {§previous: {file: a}}}\n", "allowed: a list"),
    (
        "variable's name with a dash",
        "version: 1\nruntime: {keys: {current: {env: §a-b}}}\n",
        "a name of letters",
    ),
    (
        "audit into two files",
        "version: 1\nruntime: {§audit: {file: a, files: b}}\n",
        "stdout, none or {file: PATH}",
    ),
    (
        "audit into a file without name",
        "version: 1\nruntime: {§audit: {file: ''}}\n",
        "stdout, none or {file: PATH}",
    ),
    ("body too small", "version: 1\nruntime: {max_body: §10}\n", "a size from"),
    ("variable with a bad name", "version: 1\nruntime: {state: §'${1X}'}\n", "without a name"),
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
    ("quote left open", "version: 1\nname: 'a\n§", "not YAML"),
    ("unknown escape", 'version: 1\nname: "§\\q"\n', "not YAML"),
    ("two values on a line", "version: 1\nname: a§: b\n", "not YAML"),
    ("brace closed by a bracket", "version: 1\ndefaults: {usage: keep§]\n", "not YAML"),
    ("local tag", "version: 1\nname: §!secret a\n", "tag"),
    ("list as key", "version: 1\n? §[a]\n: c\n", "as a key"),
    ("document after its end", "version: 1\n...\n§---\na: 1\n", "second document"),
    ("text instead of mapping", "§hello\n", "found no mapping"),
    # extends
    ("parent unknown", "version: 1\nextends: §nowhere\n", "cannot be read"),
    ("two parents", "version: 1\nextends: §[baseline, strict]\n", "put it in quotes"),
    ("parent left empty", "version: 1\n§extends:\n", "found nothing"),
    ("parent misspelt", "version: 1\nextends: §baselin\n", "a preset: baseline, embeddings"),
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
