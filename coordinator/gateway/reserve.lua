-- Grant calls to a gateway: the next ones of a provider's queue that limits and budgets allow.
-- Requests, tokens and dollars are taken together or not at all.
--
-- ARGV 1 queue: provider whose calls are served   2 limit: provider that serves them (the same,
--        or its fallback)   3 gateway   4 most grants   5 lease in ms
--      6 limits, JSON {rpm, itpm, otpm, tpm, burst_seconds, max_in_flight, adaptive, p90_output,
--        is_batch, enqueued_tokens, microdollars_in, microdollars_out (per million tokens),
--        day_microdollars}
-- Returns {wait ms (-1: until the doorbell rings), reason, grants...}; a grant is
--   {id, attempt, sweep, input tokens, most output tokens, microdollars, strikes, sends, body}.
local q, p, gateway = ARGV[1], ARGV[2], ARGV[3]
local most, lease_ms, limits = tonumber(ARGV[4]), tonumber(ARGV[5]), cjson.decode(ARGV[6])
local limit, held, reservations = limit_key(p), held_key(p), reservation_key(p)
local now = now_ms()

-- A lease that ran out belonged to a gateway that died (leases outlast the request timeout).
local function reap()
  for _, rid in ipairs(redis.call('ZRANGEBYSCORE', held, '-inf', now, 'LIMIT', 0, 64)) do
    local raw = redis.call('HGET', reservations, rid)
    local r = raw and cjson.decode(raw)
    drop_reservation(p, rid, r)
    if r then
      local id = string.match(rid, '^(.-)#')
      local reason = 'gateway ' .. r.gateway .. ' did not settle within its lease'
      book_uncertain(p, rid, r, reason, now)
      local c = redis.call('HMGET', call_key(id), 'state', 'attempt')
      if c[1] == 'granted' and rid == id .. '#' .. c[2] then
        again_or_fail(id, int(math.floor(now)), 0, reason)
      end
    end
  end
end

-- Refuse everything (Retry-After, breaker), or say how many may be granted.
local function gate(bucket)
  local stop = tonumber(bucket.stop or '0')
  if stop > now then return 0, stop - now, 'stop' end
  if bucket.breaker == 'open' then
    local till = tonumber(bucket.breaker_until or '0')
    if till > now then return 0, math.min(till - now, 1000), 'breaker' end
    redis.call('HSET', limit, 'breaker', 'half')
    redis.call('HDEL', limit, 'probe')
    bucket.breaker, bucket.probe = 'half', nil
  end
  -- a probe of a batch provider is a whole batch: word of one call would come hours later
  if bucket.breaker == 'half' and not limits.is_batch then
    if bucket.probe and redis.call('HEXISTS', reservations, bucket.probe) == 1 then
      return 0, 100, 'breaker'
    end
    return 1, 0, 'probe'
  end
  return most, 0, 'ok'
end

local function concurrency_room(bucket)
  local room = limits.max_in_flight
  if limits.adaptive then
    room = math.min(room, math.floor(tonumber(bucket.concurrency or '4')))
  end
  return room - redis.call('ZCARD', held)
end

-- The next call of a flow: one that is due again, else the first that was never handed out.
-- Entries whose call is gone are swept away.
local function peek(flow)
  for _ = 1, 1000 do
    local due = redis.call('ZRANGEBYSCORE', again_key(q, flow), '-inf', now, 'LIMIT', 0, 1)
    local head = {flow = flow, id = due[1], is_again = due[1] ~= nil}
    if not head.id then
      local last = redis.call('HGET', cursor_key(q), flow) or '0-0'
      local e = redis.call('XRANGE', queue_key(q, flow), '(' .. last, '+', 'COUNT', 1)[1]
      if not e then return nil end
      head.entry, head.id = e[1], e[2][2]
    end
    local c = redis.call('HMGET', call_key(head.id), 'state', 'in_bytes', 'out_max', 'entry')
    if c[1] == 'queued' or c[1] == 'waiting' then
      head.in_bytes, head.out_max, head.entry = tonumber(c[2]), tonumber(c[3]), c[4]
      return head
    end
    if head.is_again then
      redis.call('ZREM', again_key(q, flow), head.id)
    else
      redis.call('XDEL', queue_key(q, flow), head.entry)
    end
  end
  return nil
end

local function estimate(head, bucket)
  local ratio = tonumber(bucket.ratio or '0')
  local per_byte = 1 / 3 -- tokens per byte of body until the provider's own count is known
  if ratio > 0 then per_byte = math.min(1, ratio + 4 * tonumber(bucket.ratio_dev or '0')) end
  head.tokens_in = math.ceil(head.in_bytes * per_byte) + 8
  head.tokens_out = head.out_max
  if limits.p90_output then
    local seen = tonumber(redis.call('HGET', limit, 'p90:' .. head.out_max) or head.out_max)
    head.tokens_out = math.min(head.out_max, math.ceil(seen))
    head.is_guess = tonumber(redis.call('HGET', limit, 'p90:' .. head.out_max .. ':n') or '0') < 8
  end
  local picodollars = head.tokens_in * limits.microdollars_in +
                      head.out_max * limits.microdollars_out -- money: always the worst case
  head.cost = math.ceil(picodollars / 1e6)
end

local function accounts_of(sweep)
  if limits.day_microdollars > 0 then
    return {sweep, 'day-' .. math.floor(now / 86400000)}
  end
  return {sweep}
end

-- Does the worst case fit the account? An account is exhausted when it does not fit although
-- nothing of it is in flight (else a settlement may still give room).
local function fits(account, budget, cost)
  local l = redis.call('HMGET', ledger_key(account), 'budget_microdollars', 'reserved_microdollars',
                       'spent_microdollars', 'uncertain_microdollars', 'exhausted', 'paused')
  if l[6] then return false end
  budget = tonumber(budget or l[1] or '')
  if not budget then return true end
  local reserved = tonumber(l[2] or '0')
  local booked = reserved + tonumber(l[3] or '0') + tonumber(l[4] or '0')
  if booked + cost <= budget then
    if l[5] then redis.call('HDEL', ledger_key(account), 'exhausted') end
    return true
  end
  if reserved == 0 and not l[5] then redis.call('HSET', ledger_key(account), 'exhausted', 1) end
  return false
end

local function affordable(head)
  for i, account in ipairs(accounts_of(sweep_of(head.flow))) do
    if not fits(account, i == 2 and limits.day_microdollars or nil, head.cost) then return false end
  end
  return true
end

-- Virtual times of the waiting sweeps. Who was away starts at the least of those who waited:
-- absence earns no credit.
local function virtual_times(flows)
  local joined, vt, floor = {}, {}, nil
  for _, sweep in ipairs(redis.call('SMEMBERS', joined_key(q))) do joined[sweep] = true end
  for _, f in ipairs(flows) do
    local sweep = sweep_of(f)
    vt[sweep] = tonumber(redis.call('ZSCORE', vtime_key(p), sweep) or '')
    if vt[sweep] and not joined[sweep] then floor = math.min(floor or vt[sweep], vt[sweep]) end
  end
  floor = floor or tonumber(redis.call('HGET', limit, 'floor') or '0')
  for _, f in ipairs(flows) do
    local sweep = sweep_of(f)
    if not vt[sweep] or (joined[sweep] and vt[sweep] < floor) then
      vt[sweep] = floor
      redis.call('ZADD', vtime_key(p), string.format('%.12f', floor), sweep)
    end
  end
  redis.call('DEL', joined_key(q))
  redis.call('HSET', limit, 'floor', string.format('%.12f', floor))
  return vt
end

-- The first by (priority, virtual time); every tenth grant goes by virtual time alone, so that
-- low priorities never starve.
local function choose(heads, vt, lane)
  local best
  for _, h in pairs(heads) do
    if best == nil then
      best = h
    else
      local a, b = tonumber(string.sub(h.flow, 1, 1)), tonumber(string.sub(best.flow, 1, 1))
      if lane % 10 == 9 then a, b = 0, 0 end
      local va, vb = vt[sweep_of(h.flow)], vt[sweep_of(best.flow)]
      if a > b or (a == b and (va < vb or (va == vb and h.flow < best.flow))) then best = h end
    end
  end
  return best
end

-- Ms until the levels allow the call (a call larger than the bucket waits for a full one).
local function shortage(head, levels, depth, scale)
  local wait, why, caps = 0, 'ok', limit_caps(limits)
  local need = needs(1, head.tokens_in, head.tokens_out)
  for _, k in ipairs(LEVELS) do
    if levels[k] then
      local missing = math.min(need[k], depth[k]) - levels[k]
      if missing > 1e-9 then
        local ms = missing * 60000 / (caps[k] * scale)
        if ms > wait then wait, why = ms, LEVEL_NAMES[k] end
      end
    end
  end
  if limits.enqueued_tokens > 0 then
    local enqueued = tonumber(redis.call('GET', enqueued_key(p)) or '0')
    if enqueued > 0 and enqueued + head.tokens_in > limits.enqueued_tokens and wait < 1000 then
      return 1000, 'enqueued'
    end
  end
  return wait, why
end

local function hand_out(head)
  local queue = queue_key(q, head.flow)
  if head.is_again then
    redis.call('ZREM', again_key(q, head.flow), head.id)
    redis.call('XCLAIM', queue, GROUP, gateway, 0, head.entry, 'JUSTID')
  else
    redis.call('XREADGROUP', 'GROUP', GROUP, gateway, 'COUNT', 1, 'STREAMS', queue, '>')
    redis.call('HSET', cursor_key(q), head.flow, head.entry)
  end
end

local function grant(head, levels, vt)
  local sweep, id, need = sweep_of(head.flow), head.id, needs(1, head.tokens_in, head.tokens_out)
  local attempt = redis.call('INCR', 'interp:attempts') -- never the same twice, for any call
  local rid, accounts = id .. '#' .. attempt, accounts_of(sweep)
  for _, k in ipairs(LEVELS) do if levels[k] then levels[k] = levels[k] - need[k] end end
  hand_out(head)
  vt[sweep] = vt[sweep] + share_of(need, limits) / weight_of(sweep)
  redis.call('ZADD', vtime_key(p), string.format('%.12f', vt[sweep]), sweep)
  redis.call('ZADD', held, string.format('%.0f', now + lease_ms), rid)
  redis.call('HSET', reservations, rid, cjson.encode({
    accounts = accounts, gateway = gateway, cost = head.cost, tokens_in = head.tokens_in,
    tokens_out = head.tokens_out, is_guess = head.is_guess, out_max = head.out_max,
    in_bytes = head.in_bytes, granted_ms = math.floor(now),
    enqueued = limits.enqueued_tokens > 0 and head.tokens_in or nil}))
  if limits.enqueued_tokens > 0 then
    redis.call('INCRBY', enqueued_key(p), int(head.tokens_in))
  end
  if head.is_guess then redis.call('HINCRBY', limit, 'guessed', int(head.tokens_out)) end
  redis.call('HSET', call_key(id), 'state', 'granted', 'gateway', gateway, 'attempt', attempt)
  redis.call('HINCRBY', call_key(id), 'sends', 1)
  book(accounts, {reserved_microdollars = head.cost})
  local c = redis.call('HMGET', call_key(id), 'strikes', 'sends', 'body')
  return {id, tostring(attempt), sweep, int(head.tokens_in), int(head.out_max), int(head.cost),
          c[1] or '0', c[2], c[3]}, rid
end

local function next_due(flows)
  local due
  for _, flow in ipairs(flows) do
    local first = redis.call('ZRANGE', again_key(q, flow), 0, 0, 'WITHSCORES')
    if first[2] then due = math.min(due or math.huge, tonumber(first[2])) end
  end
  return due and math.max(due - now, 1) or -1
end

reap()
local bucket = read_bucket(limit)
local allowed, wait, why = gate(bucket)
if allowed == 0 then return {int(math.ceil(wait)), why} end
local flows = redis.call('ZREVRANGE', flows_key(q), 0, -1)
if #flows == 0 then return {'-1', 'idle'} end
local room = concurrency_room(bucket)
if room <= 0 then return {'25', 'inflight'} end
local limited_by_room = room < allowed
if limited_by_room then allowed = room end

local levels, depth, scale = levels_now(bucket, limits, now)
local heads, vt, blocked = {}, virtual_times(flows), false
local function refresh(flow)
  local head = peek(flow)
  if head then
    estimate(head, bucket)
    if not affordable(head) then head, blocked = nil, true end
  end
  heads[flow] = head
end
for _, flow in ipairs(flows) do refresh(flow) end

local result, lane = {'0', 'ok'}, tonumber(bucket.lane or '0')
while #result - 2 < allowed do
  local head = choose(heads, vt, lane)
  if not head then
    local due = next_due(flows)
    if blocked then due = due < 0 and 500 or math.min(due, 500) end
    result[1], result[2] = int(math.ceil(due)), blocked and 'budget' or 'idle'
    break
  end
  local short_ms, short_why = shortage(head, levels, depth, scale)
  if short_ms > 0 then
    result[1], result[2] = int(math.ceil(short_ms)), short_why
    break
  end
  local granted, rid = grant(head, levels, vt)
  result[#result + 1] = granted
  lane = (lane + 1) % 10
  if bucket.breaker == 'half' and not limits.is_batch then
    redis.call('HSET', limit, 'probe', rid)
  end
  refresh(head.flow)
  -- another priority of the same sweep shares its budget
  for flow, other in pairs(heads) do
    if flow ~= head.flow and not affordable(other) then heads[flow], blocked = nil, true end
  end
end
if result[2] == 'ok' and limited_by_room then result[1], result[2] = '25', 'inflight' end
save_levels(limit, levels, now)
redis.call('HSET', limit, 'lane', lane)
redis.call('EXPIRE', limit, 3600)
redis.call('EXPIRE', vtime_key(p), 3600)
return result
