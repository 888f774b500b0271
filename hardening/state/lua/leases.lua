-- Leases: what they hold, how they run out, and how charges are priced and reserved.

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
