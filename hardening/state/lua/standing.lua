-- Standing of an account: that of state/standing.py; tests hold the two equal.

local function read_record(text, at)
  local record, slots = { sums = {}, peak = '', peak_till = 0 }, 0
  record.at, record.till, record.weight, record.risk, record.wait, record.band, record.due, slots, at =
    struct.unpack(RECORD, text, at)
  for slot = 1, slots do record.sums[slot], at = struct.unpack('<d', text, at) end
  return record, at
end

local function record_text(record)
  local texts = { struct.pack(
    RECORD, record.at, record.till, record.weight, record.risk, record.wait, #record.band, record.band,
    #record.due, record.due, #record.sums) }
  for _, sum in ipairs(record.sums) do texts[#texts + 1] = struct.pack('<d', sum) end
  return table.concat(texts)
end

local function peak_text(record) return struct.pack(PEAK, record.peak_till, #record.peak, record.peak) end

local function record_of(scope, now)
  local record = scope.record
  return record and record.till > now and record or nil
end

local function rank(bands, name)
  for place, band in ipairs(bands) do
    if band.name == name then return place end
  end
  return 0
end

local function band_at(bands, held, reached)
  local found, upto = '', rank(bands, held)
  for place, band in ipairs(bands) do
    if reached >= (place <= upto and band.leave or band.enter) then found = band.name end
  end
  return found
end

-- With the highest of the bands that are, or were, in force.
local function peaked(record, bands, under, now, keep_s)
  if record.peak_till <= now then record.peak, record.peak_till = '', 0 end
  for _, band in ipairs({ under, record.band }) do
    if band ~= '' then
      local known = rank(bands, record.peak)
      if record.peak == '' or record.peak == NEW or (known > 0 and known < rank(bands, band)) then record.peak = band end
      record.peak_till = now + keep_s
    end
  end
  return record
end

-- The record after one more request: what is sent of it stands in state/redis_wire.py.
local function judged(record, text, now)
  local prior, half_life_s, floor, cap, least, keep_s, entered, delay, slots, under, at = struct.unpack(EVIDENCE, text)
  record = record or { at = now, weight = 0, band = '', due = '', wait = 0, sums = {}, peak = '', peak_till = 0 }
  local fading = 2 ^ (-math.max(0, now - record.at) / half_life_s)
  local odds, sums, weight, nats = prior, {}, 0, 0
  record.weight = record.weight * fading + 1
  for slot = 1, slots do
    weight, nats, at = struct.unpack('<dd', text, at)
    sums[slot] = math.min(math.max((record.sums[slot] or 0) * fading + nats, floor), cap)
    if record.weight >= least then odds = odds + weight * sums[slot] end
  end
  record.sums, record.at, record.till = sums, math.max(now, record.at), now + keep_s
  record.risk = 1 / (1 + math.exp(-math.min(math.max(odds, -50), 50)))
  local bands = {}
  while at <= #text do
    local band = {}
    band.name, band.enter, band.leave, at = struct.unpack('<Bc0dd', text, at)
    bands[#bands + 1] = band
  end
  local was_due = record.due ~= ''
  local due = band_at(bands, was_due and record.due or record.band, record.risk)
  if rank(bands, due) <= rank(bands, record.band) then
    record.band, record.due, record.wait = due, '', 0
    return peaked(record, bands, under, now, keep_s)
  end
  local wait = was_due and record.wait - 1 or delay
  if was_due and (entered == 1 or wait <= -BORDER_WAIT) then
    record.band, record.due, record.wait = due, '', 0
  else
    record.due, record.wait = due, wait
  end
  return peaked(record, bands, under, now, keep_s)
end
