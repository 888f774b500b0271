-- What is kept of one scope, and of the models of an account.

local function read_scope(index)
  local scope = {
    key = KEYS[2 * index - 1], leases_key = KEYS[2 * index], buckets = {}, order = {},
    clock = 0, due = NEVER, whole = 0, kept = 0, seen = 0, requests = 0, blocked = 0, reason = '',
    flagged = 0, risk = 0, band = '', why = '', record = nil,
  }
  local text = redis.call('GET', scope.key)
  scope.is_known = text and true
  if not text then return scope end
  local version = string.byte(text)
  if version < VERSION or version > WITH_PARTS then return nil end
  local at, number, _
  _, scope.clock, scope.due, scope.kept, scope.seen, scope.requests, number, at = struct.unpack(STATE, text)
  for place = 1, number do
    local bucket = {}
    bucket.key, bucket.till, bucket.used, bucket.before, bucket.held, bucket.leases, at =
      struct.unpack(BUCKET, text, at)
    scope.buckets[bucket.key] = bucket
    scope.order[place] = bucket
  end
  local parts = version == WITH_BLOCK and IS_BLOCKED or version == WITH_FLAG and IS_BLOCKED + IS_FLAGGED or 0
  if version == WITH_PARTS then parts, at = struct.unpack('<B', text, at) end
  if bit.band(parts, IS_BLOCKED) > 0 then scope.blocked, scope.reason, at = struct.unpack(BLOCK, text, at) end
  if bit.band(parts, IS_FLAGGED) > 0 then
    scope.flagged, scope.risk, scope.band, at = struct.unpack(FLAG, text, at)
    if version == WITH_PARTS then scope.why, at = struct.unpack('<Bc0', text, at) end
  end
  if bit.band(parts, HAS_RECORD) > 0 then scope.record, at = read_record(text, at) end
  if bit.band(parts, HAS_PEAK) > 0 then scope.record.peak_till, scope.record.peak = struct.unpack(PEAK, text, at) end
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
  local record = record_of(scope, now)
  local peaks = record and record.peak_till > now
  local parts = (scope.blocked > now and IS_BLOCKED or 0) + (scope.flagged > now and IS_FLAGGED or 0)
    + (record and HAS_RECORD or 0) + (peaks and HAS_PEAK or 0)
  local version = parts > 0 and WITH_PARTS or VERSION
  local whole = math.max(
    scope.requests > 0 and now + remembered_s or now, scope.blocked, scope.flagged, record and record.till or now)
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
  if parts > 0 then texts[#texts + 1] = struct.pack('<B', parts) end
  if scope.blocked > now then texts[#texts + 1] = struct.pack(BLOCK, scope.blocked, #scope.reason, scope.reason) end
  if scope.flagged > now then
    texts[#texts + 1] = struct.pack(FLAG, scope.flagged, scope.risk, #scope.band, scope.band)
    texts[#texts + 1] = struct.pack('<Bc0', #scope.why, scope.why)
  end
  if record then texts[#texts + 1] = record_text(record) end
  if peaks then texts[#texts + 1] = peak_text(record) end
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
