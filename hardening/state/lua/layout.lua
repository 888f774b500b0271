-- Limits of the scopes below one root: admit, extend, settle, undo, release; and for operators look, reset, forget, grant, block, flag.
-- All or nothing, in one call.
--
-- KEYS: for each scope its state (one packed string) and its open leases (a hash by lease id). The first
-- scope is the home of the lease: that of the account, where standing and every lease is kept.
-- ARGV: the act, the head (HEAD), then for each scope its charges (CHARGE, one after another); after them for
-- admit who is new, and what these charges come to in each band (a name, and a double for each charge), for settle the evidence,
-- for block and flag what to say.
-- Where a limit counts by model the last two scopes are that of the model and the one that models beyond MODELS share,
-- and behind them stands the key of the register: a hash of the account's models, and when each is whole.
--
-- One script in parts, in this order: layout, buckets, standing, scopes, leases, act (state/redis_script.py).

-- Versions of a state: an earlier release wrote a flag behind a block, which may be none. From WITH_PARTS on a byte says
-- which parts follow.
local VERSION, WITH_BLOCK, WITH_FLAG, WITH_PARTS = 1, 2, 3, 4
local IS_BLOCKED, IS_FLAGGED, HAS_RECORD, HAS_PEAK = 1, 2, 4, 8
local DUST = 1e-6
local MODELS = 32 -- as state/models.py says
local NEVER = math.huge
local LONGEST_MS = 3.2e12 -- a century: the server takes no number beyond its own

local HEAD = '<c8dddB' -- lease id, now (below 0: ask the server), life of a lease, memory of standing, proven
local CHARGE = '<Bc0Bdddd' -- limit key, kind, amount, per_s, burst, units
local STATE = '<BddddI4B' -- version, clock, due, kept until, first seen, requests, buckets
local BUCKET = '<Bc0ddddI4' -- limit key, until, used, before, held, open leases
local BLOCK = '<dBc0' -- after the buckets where the version says so: blocked until, reason
local FLAG = '<ddBc0' -- behind the block: in a band until, risk, band; with parts the reason too
local RECORD = '<ddddi4Bc0Bc0B' -- at, until, weight, risk, wait, band, band that is due, number of sums; each a double
local PEAK = '<dBc0' -- behind the record: until, band
-- Prior, half-life, floor, cap, least, kept for, entered, delay, number of slots, band that it was decided under; for each slot '<dd'.
local EVIDENCE = '<ddddddBi4BBc0'
local BORDER_WAIT = 16 -- as state/standing.py says
local LEASE = '<dB' -- expires at, and 1 for the mark of a lease that is over
local PART = '<Bc0Bddd' -- limit key, kind, amount, per_s, units

local NEW = '+' -- begins what an account in a band pays while it is new, and stands for new accounts as a peak

local EVEN, SLIDING, STREAMS = 0, 1, 2
