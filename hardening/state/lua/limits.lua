-- Limits of the scopes below one root: admit, extend, settle, undo, release; and for operators look, reset, grant, block, flag.
-- All or nothing, in one call.
--
-- KEYS: for each scope its state (one packed string) and its open leases (a hash by lease id). The first
-- scope is the home of the lease: that of the account, where standing and every lease is kept.
-- ARGV: the act, the head (HEAD), then for each scope its charges (CHARGE, one after another); after them for
-- admit who is new, and what these charges come to in each band (a name, and a double for each charge), for block and flag what to say.
-- Where a limit counts by model the last two scopes are that of the model and the one that models beyond MODELS share,
-- and behind them stands the key of the register: a hash of the account's models, and when each is whole.
-- The arithmetic is that of state/buckets.py and state/sliding.py; tests hold the two equal.

local VERSION, WITH_BLOCK, WITH_FLAG = 1, 2, 3 -- a flag stands behind a block, which may be none
local DUST = 1e-6
local MODELS = 32 -- as state/models.py says
local NEVER = math.huge
local LONGEST_MS = 3.2e12 -- a century: the server takes no number beyond its own

local HEAD = '<c8dddB' -- lease id, now (below 0: ask the server), life of a lease, memory of standing, proven
local CHARGE = '<Bc0Bdddd' -- limit key, kind, amount, per_s, burst, units
local STATE = '<BddddI4B' -- version, clock, due, kept until, first seen, requests, buckets
local BUCKET = '<Bc0ddddI4' -- limit key, until, used, before, held, open leases
local BLOCK = '<dBc0' -- after the buckets where the version says so: blocked until, reason
local FLAG = '<ddBc0' -- behind the block: in a band until, risk, band
local LEASE = '<dB' -- expires at, and 1 for the mark of a lease that is over
local PART = '<Bc0Bddd' -- limit key, kind, amount, per_s, units

local NEW = '+' -- begins what an account in a band pays while it is new

local EVEN, SLIDING, STREAMS = 0, 1, 2

-- Arithmetic of one bucket.

local function window_at(limit, now)
  -- fmod is exact where a quotient may round up to the next window.
  return math.floor((now - math.fmod(now, limit.per_s)) / limit.per_s + 0.5)
end

local function window_of(limit, bucket)
  return math.floor(bucket.till / limit.per_s + 0.5) - 2
end

local function counts(limit, bucket, window)
  local steps = window - window_of(limit, bucket)
  if steps <= 0 then return bucket.used, bucket.before end
  if steps == 1 then return 0, bucket.used end
  return 0, 0
end

-- A debt of a sliding window: it is paid in a later window than this one.
local function owes(limit, bucket, window)
  return bucket.before >= limit.amount and window_of(limit, bucket) > window
end

local function debt(limit, bucket, now)
  local behind = bucket.till - now
  if behind <= 0 then return 0 end
  if limit.kind ~= SLIDING then return behind * limit.amount / limit.per_s end
  local window, last = window_at(limit, now), window_of(limit, bucket)
  local used, before = counts(limit, bucket, window)
  if window < last and not owes(limit, bucket, window) then return used + before end
  return used + before * math.max(0, math.max(window, last) + 1 - now / limit.per_s)
end

local function owe(limit, bucket, total, now)
  local window = window_at(limit, now)
  local share = window + 1 - now / limit.per_s
  local beyond = total - limit.amount * share
  if beyond > 0 then
    local ahead = math.floor(beyond / limit.amount)
    bucket.till = (window + ahead + 2) * limit.per_s
    bucket.used, bucket.before = beyond - ahead * limit.amount, limit.amount
  elseif total > 0 then
    bucket.till, bucket.used, bucket.before = (window + 2) * limit.per_s, 0, total / share
  else
    bucket.till, bucket.used, bucket.before = 0, 0, 0
  end
end

local function spend(limit, bucket, units, now)
  if units <= 0 or limit.kind == STREAMS then return end
  if limit.kind == EVEN then
    bucket.till = math.max(bucket.till, now) + units * limit.per_s / limit.amount
    return
  end
  local total = debt(limit, bucket, now) + units
  if total > limit.amount + DUST or owes(limit, bucket, window_at(limit, now)) then
    return owe(limit, bucket, total, now)
  end
  local window = math.max(window_at(limit, now), window_of(limit, bucket))
  local used, before = counts(limit, bucket, window)
  bucket.till, bucket.used, bucket.before = (window + 2) * limit.per_s, used + units, before
end

local function give_back(limit, bucket, units, now)
  if units <= 0 or bucket.till <= now then return end
  if limit.kind ~= SLIDING then
    bucket.till = math.max(now, bucket.till - units * limit.per_s / limit.amount)
    return
  end
  if owes(limit, bucket, window_at(limit, now)) then
    return owe(limit, bucket, math.max(0, debt(limit, bucket, now) - units), now)
  end
  local window = math.max(window_at(limit, now), window_of(limit, bucket))
  local used, before = counts(limit, bucket, window)
  local share = math.min(1, math.max(0, window + 1 - now / limit.per_s))
  local left = used - units
  if left <= 0 then before = share > 0 and math.max(0, before + left / share) or 0 end
  bucket.till, bucket.used, bucket.before = (window + 2) * limit.per_s, math.max(0, left), before
  if left <= 0 and before == 0 then bucket.till = 0 end
end

local function release(bucket, units)
  bucket.leases = math.max(0, bucket.leases - 1)
  local left = bucket.held - units
  bucket.held = (bucket.leases > 0 and left > DUST) and left or 0
end

-- What is kept of one scope.

local function read_scope(index)
  local scope = {
    key = KEYS[2 * index - 1], leases_key = KEYS[2 * index], buckets = {}, order = {},
    clock = 0, due = NEVER, whole = 0, kept = 0, seen = 0, requests = 0, blocked = 0, reason = '',
    flagged = 0, risk = 0, band = '',
  }
  local text = redis.call('GET', scope.key)
  scope.is_known = text and true
  if not text then return scope end
  local version = string.byte(text)
  if version < VERSION or version > WITH_FLAG then return nil end
  local at, number, _
  _, scope.clock, scope.due, scope.kept, scope.seen, scope.requests, number, at = struct.unpack(STATE, text)
  for place = 1, number do
    local bucket = {}
    bucket.key, bucket.till, bucket.used, bucket.before, bucket.held, bucket.leases, at =
      struct.unpack(BUCKET, text, at)
    scope.buckets[bucket.key] = bucket
    scope.order[place] = bucket
  end
  if version >= WITH_BLOCK then scope.blocked, scope.reason, at = struct.unpack(BLOCK, text, at) end
  if version == WITH_FLAG then scope.flagged, scope.risk, scope.band = struct.unpack(FLAG, text, at) end
  return scope
end

local function bucket_of(scope, key)
  local bucket = scope.buckets[key]
  if not bucket then
    bucket = { key = key, till = 0, used = 0, before = 0, held = 0, leases = 0 }
    scope.buckets[key] = bucket
    scope.order[#scope.order + 1] = bucket
  end
  return bucket
end

local function write_scope(scope, now, remembered_s, expires)
  local texts, open = { '' }, false
  local version = scope.flagged > now and WITH_FLAG or scope.blocked > now and WITH_BLOCK or VERSION
  local whole = math.max(scope.requests > 0 and now + remembered_s or now, scope.blocked, scope.flagged)
  for _, bucket in ipairs(scope.order) do
    if bucket.leases > 0 or bucket.till > now then
      texts[#texts + 1] = struct.pack(
        BUCKET, #bucket.key, bucket.key, bucket.till, bucket.used, bucket.before, bucket.held, bucket.leases)
      whole = math.max(whole, bucket.till)
    end
    open = open or bucket.leases > 0
  end
  -- Open leases may still come to be spent; a mark or a lease of nothing leaves `due` alone.
  if open then whole = math.max(whole, scope.kept) else scope.kept = 0 end
  if scope.due < NEVER then whole = math.max(whole, scope.due) end
  scope.whole = whole
  local idle_ms = math.min(math.ceil((whole - now) * 1000), LONGEST_MS)
  if idle_ms <= 0 then
    redis.call('DEL', scope.key)
    return
  end
  texts[1] = struct.pack(STATE, version, now, scope.due, scope.kept, scope.seen, scope.requests, #texts - 1)
  if version >= WITH_BLOCK then texts[#texts + 1] = struct.pack(BLOCK, scope.blocked, #scope.reason, scope.reason) end
  if version == WITH_FLAG then
    texts[#texts + 1] = struct.pack(FLAG, scope.flagged, scope.risk, #scope.band, scope.band)
  end
  if not expires then
    redis.call('SET', scope.key, table.concat(texts))
    return
  end
  redis.call('SET', scope.key, table.concat(texts), 'PX', idle_ms)
  -- The leases live a little longer than the state that tells of them.
  if scope.due < NEVER then redis.call('PEXPIRE', scope.leases_key, idle_ms + 1000) end
end

-- Models of the account that are not whole, without the others; and when the last of them is.
local function models_of(register, now)
  local found, latest, entries = 0, 0, redis.call('HGETALL', register)
  for place = 1, #entries, 2 do
    local whole = struct.unpack('<d', entries[place + 1])
    if whole > now then
      found, latest = found + 1, math.max(latest, whole)
    else
      redis.call('HDEL', register, entries[place])
    end
  end
  return found, latest
end

local function write_model(register, scope, now, expires)
  local name = redis.sha1hex(scope.key)
  if scope.whole <= now then
    redis.call('HDEL', register, name)
    return
  end
  redis.call('HSET', register, name, struct.pack('<d', scope.whole))
  local _, latest = models_of(register, now)
  if expires then redis.call('PEXPIRE', register, math.min(math.ceil((latest - now) * 1000), LONGEST_MS)) end
end

-- Leases.

local function parts_of(text)
  local expires_at, is_mark, at = struct.unpack(LEASE, text)
  local parts = {}
  while at <= #text do
    local part = {}
    part.key, part.kind, part.amount, part.per_s, part.units, at = struct.unpack(PART, text, at)
    parts[#parts + 1] = part
  end
  return parts, expires_at, is_mark == 1
end

local function write_lease(scope, id, expires_at, parts, is_mark)
  local texts = { struct.pack(LEASE, expires_at, is_mark and 1 or 0) }
  for _, part in ipairs(parts) do
    texts[#texts + 1] = struct.pack(
      PART, #part.key, part.key, part.kind, part.amount, part.per_s, part.units)
    local bucket = scope.buckets[part.key]
    local whole = math.max(bucket.till, expires_at)
    if part.kind ~= STREAMS then whole = whole + bucket.held * part.per_s / part.amount end
    if part.kind == SLIDING then whole = whole + 2 * part.per_s end
    scope.kept = math.max(scope.kept, whole)
  end
  scope.due = math.min(scope.due, expires_at)
  redis.call('HSET', scope.leases_key, id, table.concat(texts))
end

-- Where no lease is left nothing is held: also where the server evicted the leases alone.
local function hold_nothing(scope)
  scope.due = NEVER
  for _, bucket in ipairs(scope.order) do bucket.held, bucket.leases = 0, 0 end
end

local function expire(scope, now)
  if now < scope.due then return end
  scope.due, scope.changed = NEVER, true
  local over, entries = {}, redis.call('HGETALL', scope.leases_key)
  for place = 1, #entries, 2 do
    local parts, expires_at = parts_of(entries[place + 1])
    if expires_at <= now then
      over[#over + 1] = { id = entries[place], parts = parts, at = expires_at }
    else
      scope.due = math.min(scope.due, expires_at)
    end
  end
  table.sort(over, function(one, other) return one.at < other.at end)
  for _, lease in ipairs(over) do
    for _, part in ipairs(lease.parts) do
      local bucket = bucket_of(scope, part.key)
      release(bucket, part.units)
      spend(part, bucket, part.units, lease.at)
    end
    redis.call('HDEL', scope.leases_key, lease.id)
  end
  if scope.due == NEVER then hold_nothing(scope) end
end

local function charges_of(text)
  local charges, at = {}, 1
  while at <= #text do
    local charge = {}
    charge.key, charge.kind, charge.amount, charge.per_s, charge.burst, charge.units, at =
      struct.unpack(CHARGE, text, at)
    charges[#charges + 1] = charge
  end
  return charges
end

-- Each charge as an account of this standing pays it; below 0 is a limit that is not for it.
local function price(scopes, requests, age, band, prices)
  local new_requests, new_age, at = struct.unpack('<dd', prices)
  local is_new = requests < new_requests or age < new_age
  if is_new then band = NEW .. band end
  while at <= #prices do
    local name, units
    name, at = struct.unpack('<Bc0', prices, at)
    for _, scope in ipairs(scopes) do
      for _, charge in ipairs(scope.charges) do
        units, at = struct.unpack('<d', prices, at)
        -- What stands for no band comes first, and holds in a band that the policy does not name.
        if name == band or (name == '' and not is_new) then
          charge.units, charge.is_excused = math.max(0, units), units < 0
        end
      end
    end
  end
end

-- All charges held, or nothing; without `keep` only asked. What the caller reads off each bucket is added to `told`.
local function reserve(scopes, now, told, keep)
  local granted, held = true, {}
  for _, scope in ipairs(scopes) do
    for _, charge in ipairs(scope.charges) do
      local bucket = bucket_of(scope, charge.key)
      held[#held + 1] = { bucket = bucket, before = bucket.held, leases = bucket.leases, charge = charge }
      bucket.held = bucket.held + charge.units
      bucket.leases = bucket.leases + 1
      held[#held].fits = charge.is_excused or debt(charge, bucket, now) + bucket.held <= charge.burst + DUST
      granted = granted and held[#held].fits
    end
  end
  if not (granted and keep) then
    for place = #held, 1, -1 do
      held[place].bucket.held, held[place].bucket.leases = held[place].before, held[place].leases
    end
  end
  for _, one in ipairs(held) do
    local bucket = one.bucket
    told[#told + 1] = struct.pack(
      '<Bdddd', one.fits and 1 or 0, bucket.till, bucket.used, bucket.before, bucket.held)
  end
  return granted
end

-- The act.

local act, _ = ARGV[1], nil
local id, given, lease_s, remembered_s, proven = struct.unpack(HEAD, ARGV[2])
local scopes = {}
for index = 1, math.floor(#KEYS / 2) do
  local scope = read_scope(index)
  if not scope then return redis.error_reply('NEWER the state was written by a later release') end
  scope.charges = charges_of(ARGV[2 + index])
  scopes[index] = scope
end
local now, is_live = given, given < 0
if is_live then
  local time = redis.call('TIME')
  now = time[1] + time[2] / 1e6
end
for _, scope in ipairs(scopes) do now = math.max(now, scope.clock) end
for _, scope in ipairs(scopes) do expire(scope, now) end

local home = scopes[1]
local found, is_over = redis.call('HGET', home.leases_key, id), false
if found then _, _, is_over = parts_of(found) end
local expires_at = now + lease_s
local granted, told = false, { '' }
local seen, requests = home.seen, home.requests
local flagged_s = math.max(0, home.flagged - now)
local risk, band = flagged_s > 0 and home.risk or 0, flagged_s > 0 and home.band or ''
local blocked_s = act == 'admit' and not found and math.max(0, home.blocked - now) or 0

local register, model, spare = #KEYS % 2 == 1 and KEYS[#KEYS], scopes[#scopes - 1], scopes[#scopes]
local is_spare = false
if register and act == 'admit' and blocked_s == 0 then
  if found then
    is_spare = redis.call('HGET', spare.leases_key, id) and true or false
  else
    is_spare = not model.is_known and models_of(register, now) >= MODELS
  end
  if is_spare then spare.charges, model.charges = model.charges, {} end
end

if blocked_s > 0 then
  granted = false
elseif act == 'admit' then
  local prices = ARGV[3 + #scopes]
  if prices then price(scopes, requests, requests > 0 and now - seen or 0, band, prices) end
  -- An id that is known was sent twice, or was undone before it came: nothing is held again.
  granted = reserve(scopes, now, told, not found) and not is_over
  if granted and not found then
    if proven == 1 then
      if requests == 0 then home.seen = now end
      home.requests = requests + 1
    end
    for place, scope in ipairs(scopes) do
      scope.changed = true
      if place == 1 or #scope.charges > 0 then write_lease(scope, id, expires_at, scope.charges) end
    end
  end
elseif act == 'extend' and found and not is_over then
  local olds, held = {}, {}
  for place, scope in ipairs(scopes) do
    local text = redis.call('HGET', scope.leases_key, id)
    olds[place] = text and parts_of(text) or {}
    held[place] = {}
    for _, part in ipairs(olds[place]) do held[place][part.key] = part end
    -- A charge names all that the lease shall hold of its limit, so that what is sent twice counts once.
    for _, charge in ipairs(scope.charges) do
      local part = held[place][charge.key]
      charge.total = charge.units
      charge.units = math.max(0, charge.units - (part and part.units or 0))
    end
  end
  granted = reserve(scopes, now, told, true)
  if granted then
    for place, scope in ipairs(scopes) do
      for _, charge in ipairs(scope.charges) do
        local part = held[place][charge.key]
        if part then
          part.units = math.max(part.units, charge.total)
          scope.buckets[part.key].leases = scope.buckets[part.key].leases - 1
        else
          charge.units = charge.total
          olds[place][#olds[place] + 1] = charge
        end
      end
      scope.changed = true
      if place == 1 or #olds[place] > 0 then write_lease(scope, id, expires_at, olds[place]) end
    end
  end
elseif (act == 'settle' or act == 'undo' or act == 'release') and found then
  granted = not is_over
  for _, scope in ipairs(scopes) do
    local text = redis.call('HGET', scope.leases_key, id)
    local parts = text and parts_of(text) or {}
    scope.changed = true
    if text then redis.call('HDEL', scope.leases_key, id) end
    for _, part in ipairs(parts) do release(bucket_of(scope, part.key), part.units) end
    if redis.call('HLEN', scope.leases_key) == 0 then hold_nothing(scope) end
    if granted and act == 'settle' then
      local named = {}
      for _, charge in ipairs(scope.charges) do
        named[charge.key] = true
        spend(charge, bucket_of(scope, charge.key), charge.units, now)
      end
      for _, part in ipairs(parts) do
        if not named[part.key] then spend(part, bucket_of(scope, part.key), part.units, now) end
      end
    end
  end
end
if act == 'release' and granted and proven == 1 then home.requests = math.max(0, home.requests - 1) end
if act == 'undo' then
  -- The call that reserves may still be under way.
  home.changed = true
  write_lease(home, id, expires_at, {}, true)
end
if act == 'reset' or act == 'grant' then
  for _, scope in ipairs(scopes) do
    scope.changed = true
    for _, bucket in ipairs(act == 'reset' and scope.order or {}) do
      bucket.till, bucket.used, bucket.before = 0, 0, 0
    end
    for _, charge in ipairs(scope.charges) do
      if scope.buckets[charge.key] then give_back(charge, scope.buckets[charge.key], charge.units, now) end
    end
  end
elseif act == 'block' then
  local for_s, reason = struct.unpack(BLOCK, ARGV[3 + #scopes])
  home.blocked, home.reason, home.changed = for_s > 0 and now + for_s or 0, reason, true
elseif act == 'flag' then
  flagged_s, risk, band = struct.unpack(FLAG, ARGV[3 + #scopes])
  home.flagged, home.risk, home.band, home.changed = flagged_s > 0 and now + flagged_s or 0, risk, band, true
end

for _, scope in ipairs(scopes) do
  if scope.changed then write_scope(scope, now, remembered_s, is_live) end
end
if register and model.changed and not is_spare then write_model(register, model, now, is_live) end
local standing = requests > 0 and now - seen or 0
if act == 'look' or act == 'reset' or act == 'grant' or act == 'block' or act == 'flag' then
  blocked_s = math.max(0, home.blocked - now)
  told[2] = struct.pack('<dBc0', flagged_s, #home.reason, home.reason)
  for _, scope in ipairs(scopes) do
    told[#told + 1] = struct.pack('<I4', #scope.order)
    for _, bucket in ipairs(scope.order) do
      told[#told + 1] = struct.pack(
        BUCKET, #bucket.key, bucket.key, bucket.till, bucket.used, bucket.before, bucket.held, bucket.leases)
    end
  end
end
told[1] = struct.pack(
  '<BBBddI4ddBc0', granted and 1 or 0, (found and not is_over) and 1 or 0, is_spare and 1 or 0, now, standing,
  requests, blocked_s, risk, #band, band)
return table.concat(told)
