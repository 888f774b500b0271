-- Arithmetic of one bucket: that of state/buckets.py and state/sliding.py; tests hold the two equal.

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
