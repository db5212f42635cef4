-- Tell what became of one send: books money and tokens once, corrects the limiter, moves the
-- call. Idempotent by (call, attempt): a journal may be replayed any number of times, and usage
-- that turns up after the reservation was given up is still booked.
--
-- ARGV 1 limit: provider that served it   2 call id   3 attempt   4 meta, JSON   5 content
--      6 logprobs, JSON text or ""
-- meta: charge  "usage" (tokens are known) | "none" (certainly not charged) | "unsent" |
--               "unknown" (perhaps charged)
--       next    "done" | "again" | "fail"          strike  0 | 1 (counts against the call)
--       health  "ok" | "bad" | "config" | "" (what it says about the provider)
--       limited true for 429 and 529               retry_after_ms, delay_ms, latency_ms
--       tokens_in, tokens_out, microdollars, is_estimated, status, finish_reason, model, reason
--       sweep, gateway, remaining {r, i, o, t} (provider's headers, absent if not told)
--       refund_unused, count_failures, limits (as for reserve)
-- Returns "booked" | "late" (booked after the reservation was given up) | "duplicate" |
--   "moot" (nothing was held and nothing is owed), then what happened to the call.
local p, id, attempt, meta = ARGV[1], ARGV[2], ARGV[3], cjson.decode(ARGV[4])
local rid, call, limit, limits = id .. '#' .. attempt, call_key(id), limit_key(p), meta.limits
local now = now_ms()

-- 1. Money. Returns the reservation (live or given up) and what the booking was.
local function book_usage(r, was)
  local accounts = r and r.accounts or {meta.sweep}
  if was == 'live' then book(accounts, {reserved_microdollars = -r.cost}) end
  if was == 'open' then
    book(accounts, {uncertain_microdollars = -r.cost, uncertain_calls = -1})
    r.listed.state = 'settled'
    redis.call('HSET', UNCERTAIN, rid, cjson.encode(r.listed))
  end
  book(accounts, {spent_microdollars = meta.microdollars, tokens_in = meta.tokens_in,
                  tokens_out = meta.tokens_out, calls = 1,
                  estimated_calls = meta.is_estimated and 1 or 0,
                  [p .. ':calls'] = 1, [p .. ':tokens_in'] = meta.tokens_in,
                  [p .. ':tokens_out'] = meta.tokens_out,
                  [p .. ':spent_microdollars'] = meta.microdollars})
  redis.call('HSET', call, 'settled:' .. attempt, 1)
  return was == 'live' and 'booked' or 'late'
end

local function find_reservation()
  local raw = redis.call('HGET', reservation_key(p), rid)
  if raw then return cjson.decode(raw), 'live' end
  raw = redis.call('HGET', UNCERTAIN, rid)
  if not raw then return nil, 'none' end
  local listed = cjson.decode(raw)
  if listed.state ~= 'open' then return nil, 'none' end
  return {accounts = listed.accounts, cost = listed.microdollars, tokens_in = listed.tokens_in,
          tokens_out = listed.tokens_out, listed = listed}, 'open'
end

local r, was = find_reservation()
if meta.charge == 'usage' and redis.call('HEXISTS', call, 'settled:' .. attempt) == 1 then
  return {'duplicate', 'none'}
end
local booking = 'moot'
if meta.charge == 'usage' then
  booking = book_usage(r, was)
elseif was == 'live' then
  booking = 'booked'
  if meta.charge == 'unknown' then
    book_uncertain(p, rid, r, meta.reason, now)
  else
    book(r.accounts, {reserved_microdollars = -r.cost})
  end
end
drop_reservation(p, rid, was == 'live' and r or nil)
if booking == 'moot' then return {'moot', 'none'} end

-- 2. The limiter's levels: give back what was reserved and not used, take what was used beyond.
local bucket = read_bucket(limit)
local levels, depth = levels_now(bucket, limits, now)
local function correct(field, back)
  if levels[field] then levels[field] = math.min(depth[field], levels[field] + back) end
end
local function correct_tokens(spare_in, spare_out)
  if not meta.refund_unused then
    spare_in, spare_out = math.min(spare_in, 0), math.min(spare_out, 0)
  end
  correct('i', spare_in); correct('o', spare_out); correct('t', spare_in + spare_out)
end
-- Fairness counts what was used, where unused tokens come back.
local function correct_virtual_time()
  local sweep = r.accounts[1]
  local vt = tonumber(redis.call('ZSCORE', vtime_key(p), sweep) or '')
  if not vt or not meta.refund_unused then return end
  local reserved = share_of(needs(1, r.tokens_in, r.tokens_out), limits)
  local used = share_of(needs(1, meta.tokens_in, meta.tokens_out), limits)
  vt = vt + (used - reserved) / weight_of(sweep)
  redis.call('ZADD', vtime_key(p), string.format('%.12f', vt), sweep)
end
if r and meta.charge == 'usage' then
  correct_tokens(r.tokens_in - meta.tokens_in, r.tokens_out - meta.tokens_out)
  correct_virtual_time()
elseif r and (meta.charge == 'unsent' or (meta.charge == 'none' and not meta.count_failures)) then
  correct('r', 1); correct('i', r.tokens_in); correct('o', r.tokens_out)
  correct('t', r.tokens_in + r.tokens_out)
end
-- The provider's own word may only lower a level; it is as old as the request, so what was
-- refilled since is granted to it.
local caps = limit_caps(limits)
for k, left in pairs(meta.remaining or {}) do
  if levels[k] then
    levels[k] = math.min(levels[k], left + caps[k] * (meta.latency_ms or 0) / 60000)
  end
end
save_levels(limit, levels, now)

-- 3. Stop and scale: one cut per round trip, not one per refused request of a burst.
if meta.retry_after_ms and meta.retry_after_ms > 0 then
  local stop = tonumber(bucket.stop or '0')
  stop = math.max(stop, now + meta.retry_after_ms)
  redis.call('HSET', limit, 'stop', string.format('%.0f', stop))
end
local granted_ms = r and r.granted_ms or now
if meta.limited and granted_ms >= tonumber(bucket.cut_at or '0') then
  local scale = math.max(0.05, tonumber(bucket.scale or '1') * 0.7)
  redis.call('HSET', limit, 'scale', scale, 'cut_at', string.format('%.0f', now),
             'grown_at', string.format('%.0f', now))
  -- the provider's bucket is empty, so ours is: no burst when the stop is over
  for k, level in pairs(levels) do levels[k] = math.min(level, 0) end
  save_levels(limit, levels, now)
elseif meta.health == 'ok' and bucket.scale and tonumber(bucket.scale) < 1 then
  -- back to the full rate in steps of 1 % a second
  local since = math.min(now - tonumber(redis.call('HGET', limit, 'grown_at') or now), 1000)
  redis.call('HSET', limit, 'scale', math.min(1, tonumber(bucket.scale) + since / 100000),
             'grown_at', string.format('%.0f', now))
end

-- 4. Endpoints without published limits: as many at once as keep the latency near its best.
local function adapt_concurrency()
  local concurrency = tonumber(bucket.concurrency or '4')
  local h = redis.call('HMGET', limit, 'latency', 'latency_best', 'shrunk_at', 'latency_at')
  local latency, best = tonumber(h[1] or '0'), tonumber(h[2] or '0')
  local shrink = meta.health == 'bad' or meta.limited
  if meta.health == 'ok' and meta.charge == 'usage' then
    local each = meta.latency_ms / (meta.tokens_out + meta.tokens_in / 8 + 8)
    latency = latency > 0 and latency + (each - latency) / 8 or each
    local since = math.min(now - tonumber(h[4] or now), 60000)
    best = best > 0 and math.min(best * (1 + since / 1e6), each) or each -- forgets 0.1 % a second
    redis.call('HSET', limit, 'latency', latency, 'latency_best', best, 'latency_at',
               string.format('%.0f', now))
    local in_use = redis.call('ZCARD', held_key(p)) + 1
    if latency > 3 * best then
      shrink = true
    elseif in_use * 2 >= concurrency then
      concurrency = math.min(limits.max_in_flight, concurrency + 1 / concurrency)
    end
  end
  if shrink and granted_ms >= tonumber(h[3] or '0') then
    concurrency = math.max(1, concurrency * 0.8)
    redis.call('HSET', limit, 'shrunk_at', string.format('%.0f', now))
  end
  redis.call('HSET', limit, 'concurrency', concurrency)
end
if limits.adaptive and was == 'live' and meta.health ~= '' then adapt_concurrency() end

-- 5. Tokens per byte of request body, as the provider counts them (mean and mean deviation).
if was == 'live' and meta.charge == 'usage' and not meta.is_estimated and r.in_bytes > 0 then
  local seen = meta.tokens_in / r.in_bytes
  local ratio, dev = tonumber(bucket.ratio or '0'), tonumber(bucket.ratio_dev or '0')
  if ratio == 0 then
    ratio, dev = seen, seen / 4
  else
    dev = dev + (math.abs(seen - ratio) - dev) / 16
    ratio = ratio + (seen - ratio) / 16
  end
  redis.call('HSET', limit, 'ratio', ratio, 'ratio_dev', dev)
end

-- What nine of ten replies to calls with this max_tokens stay below. The first eight replies
-- decide where it begins (a slow descent from max_tokens would hand back tokens that the
-- endpoint's bucket, full all the while, never had); then it moves up by 0.9 steps when a reply
-- is longer and down by 0.1 when not.
local function learn_output(out_max)
  local name = 'p90:' .. out_max
  local h = redis.call('HMGET', limit, name, name .. ':n', name .. ':longest')
  local estimate, n = tonumber(h[1] or out_max), tonumber(h[2] or '0') + 1
  local longest = math.max(tonumber(h[3] or '0'), meta.tokens_out)
  if n < 8 then
    redis.call('HSET', limit, name .. ':longest', longest)
  elseif n == 8 then
    estimate = 1.2 * longest
    redis.call('HDEL', limit, name .. ':longest')
  else
    local step = 0.05 * estimate + 0.5
    estimate = estimate + (meta.tokens_out > estimate and 0.9 or -0.1) * step
  end
  redis.call('HSET', limit, name, math.min(math.max(estimate, 1), out_max), name .. ':n', n)
end
if limits.p90_output and was == 'live' and meta.charge == 'usage' then learn_output(r.out_max) end

-- 6. The breaker.
local function open_breaker(kind, backoff_ms)
  redis.call('HSET', limit, 'breaker', 'open', 'breaker_kind', kind,
             'breaker_reason', meta.reason, 'breaker_backoff', backoff_ms,
             'breaker_until', string.format('%.0f', now + backoff_ms))
  redis.call('HDEL', limit, 'probe')
end
local function judge_health()
  if meta.health == 'ok' then
    redis.call('HDEL', limit, 'breaker', 'breaker_kind', 'breaker_reason', 'breaker_backoff',
               'breaker_until', 'bad_in_row', 'probe')
    return
  end
  local backoff = tonumber(redis.call('HGET', limit, 'breaker_backoff') or '0')
  if meta.health == 'config' then
    if bucket.breaker ~= 'open' then
      open_breaker('config', math.min(math.max(backoff * 2, 15000), 600000))
    end
  else
    local in_row = redis.call('HINCRBY', limit, 'bad_in_row', 1)
    if bucket.breaker == 'half' or (in_row >= BREAKER_STRIKES and bucket.breaker ~= 'open') then
      open_breaker('failing', math.min(math.max(backoff * 2, 2000), 60000))
    end
  end
end
if meta.health ~= '' then judge_health() end

-- 7. The call. What is stored stays stored; only the attempt that is under way may move it on.
local function store_reply()
  if redis.call('HGET', call, 'state') == 'done' then return 'already done' end
  leave_queue(id)
  redis.call('HDEL', call, 'reason', 'strikes', 'in_bytes', 'out_max')
  redis.call('HSET', call, 'state', 'done', 'content', ARGV[5], 'served_by', p,
             'model', meta.model, 'finish_reason', meta.finish_reason, 'tokens_in', meta.tokens_in,
             'tokens_out', meta.tokens_out, 'microdollars', meta.microdollars,
             'is_estimated', meta.is_estimated and 1 or 0, 'latency_ms', meta.latency_ms,
             'paid_by', meta.sweep)
  if ARGV[6] ~= '' then redis.call('HSET', call, 'logprobs', ARGV[6]) end
  announce(id, 'done')
  return 'done'
end
local state = redis.call('HMGET', call, 'state', 'attempt')
local fate = 'none'
if meta.next == 'done' then
  fate = store_reply()
elseif state[1] == 'granted' and state[2] == attempt then
  if meta.next == 'fail' then
    fate = fail_call(id, meta.reason)
  else
    -- a probe that finds the provider still ill, or a wrong key, says nothing about the call
    local strike = meta.strike
    if bucket.breaker == 'half' or meta.health == 'config' or meta.charge == 'unsent' then
      strike = 0
      redis.call('HINCRBY', call, 'sends', -1)
    end
    fate = again_or_fail(id, int(math.floor(now + meta.delay_ms)), strike, meta.reason)
  end
end
return {booking, fate}
