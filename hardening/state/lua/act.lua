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
local record = record_of(home, now)
local risk, band, due = 0, '', ''
if flagged_s > 0 then
  risk, band = home.risk, home.band
elseif record then
  risk, band, due = record.risk, record.band, record.wait <= 0 and record.due or ''
end
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
  local evidence = act == 'settle' and ARGV[3 + #scopes] or ''
  if granted and proven == 1 and evidence ~= '' then home.record = judged(record, evidence, now) end
end
if act == 'release' and granted and proven == 1 then home.requests = math.max(0, home.requests - 1) end
if act == 'undo' then
  -- The call that reserves may still be under way.
  home.changed = true
  write_lease(home, id, expires_at, {}, true)
end
if act == 'forget' then home.requests, home.seen, home.record, requests, record = 0, 0, nil, 0, nil end
if act == 'reset' or act == 'forget' or act == 'grant' then
  for _, scope in ipairs(scopes) do
    scope.changed = true
    for _, bucket in ipairs(act ~= 'grant' and scope.order or {}) do
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
  local at
  flagged_s, risk, band, at = struct.unpack(FLAG, ARGV[3 + #scopes])
  home.why = struct.unpack('<Bc0', ARGV[3 + #scopes], at)
  home.flagged, home.risk, home.band, home.changed = flagged_s > 0 and now + flagged_s or 0, risk, band, true
end

for _, scope in ipairs(scopes) do
  if scope.changed then write_scope(scope, now, remembered_s, is_live) end
end
if register and model.changed and not is_spare then write_model(register, model, now, is_live) end
local standing = requests > 0 and now - seen or 0
local peak = not record and '?' or record.peak_till > now and record.peak or ''
if act == 'look' or act == 'reset' or act == 'forget' or act == 'grant' or act == 'block' or act == 'flag' then
  blocked_s = math.max(0, home.blocked - now)
  told[2] = struct.pack(
    '<dBc0Bc0B', flagged_s, #home.reason, home.reason, #home.why, home.why, record and 1 or 0)
  if record then told[2] = told[2] .. record_text(record) .. peak_text(record) end
  for _, scope in ipairs(scopes) do
    told[#told + 1] = struct.pack('<I4', #scope.order)
    for _, bucket in ipairs(scope.order) do
      told[#told + 1] = struct.pack(
        BUCKET, #bucket.key, bucket.key, bucket.till, bucket.used, bucket.before, bucket.held, bucket.leases)
    end
  end
end
told[1] = struct.pack(
  '<BBBddI4ddBc0Bc0Bc0', granted and 1 or 0, (found and not is_over) and 1 or 0, is_spare and 1 or 0, now, standing,
  requests, blocked_s, risk, #band, band, #due, due, #peak, peak)
return table.concat(told)
