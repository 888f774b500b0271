-- Arithmetic of one bucket: that of state/buckets.py and state/sliding.py; tests hold the two equal.

local function window_at(limit, now)
  -- fmod is exact where a quotient may round up to the next window.
  return math.floor((now - math.fmod(now, limit.per_s)) / limit.per_s + 0.5)
end

-- The windows after its own in which any of `used` counts; one too where there is none.
local function lasts(limit, used)
  return math.max(1, math.ceil((used - DUST) / limit.amount))
end

-- The window of `now`, what counts as spent in it, and in the one before; of a clock that went back, those of the last window.
local function counters(limit, bucket, now)
  local used, before = bucket.used, bucket.before
  local window = window_at(limit, now)
  local last = math.floor(bucket.till / limit.per_s + 0.5) - 1 - lasts(limit, used)
  if window <= last then return last, used, before end
  used = math.max(0, used - (window - last - 1) * limit.amount)
  return window, math.max(0, used - limit.amount), math.min(used, limit.amount)
end

local function share_of(limit, window, now)
  return math.min(1, math.max(0, window + 1 - now / limit.per_s))
end

local function keep(limit, bucket, window, used, before)
  bucket.till, bucket.used, bucket.before = (window + 1 + lasts(limit, used)) * limit.per_s, used, before
end

local function debt(limit, bucket, now)
  local behind = bucket.till - now
  if behind <= 0 then return 0 end
  if limit.kind ~= SLIDING then return behind * limit.amount / limit.per_s end
  local window, used, before = counters(limit, bucket, now)
  return used + before * share_of(limit, window, now)
end

local function spend(limit, bucket, units, now)
  if units <= 0 or limit.kind == STREAMS then return end
  if limit.kind == EVEN then
    bucket.till = math.max(bucket.till, now) + units * limit.per_s / limit.amount
    return
  end
  local window, used, before = counters(limit, bucket, now)
  keep(limit, bucket, window, used + units, before)
end

local function give_back(limit, bucket, units, now)
  if units <= 0 or bucket.till <= now then return end
  if limit.kind ~= SLIDING then
    bucket.till = math.max(now, bucket.till - units * limit.per_s / limit.amount)
    return
  end
  local window, used, before = counters(limit, bucket, now)
  local left = used - units
  if left > 0 then return keep(limit, bucket, window, left, before) end
  local share = share_of(limit, window, now)
  before = share > 0 and math.max(0, before + left / share) or 0
  keep(limit, bucket, window, 0, before)
  if before == 0 then bucket.till = 0 end
end

local function release(bucket, units)
  bucket.leases = math.max(0, bucket.leases - 1)
  local left = bucket.held - units
  bucket.held = (bucket.leases > 0 and left > DUST) and left or 0
end
