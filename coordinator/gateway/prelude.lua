-- Put in front of every script of this folder: key names, time, the ledger, the limiter's levels
-- and the moves of a call. README.md draws the states and lists the keys.
--
-- One Redis serves all keys (names are built from arguments, so this is not for Redis Cluster).
-- Time is Redis' own: gateways on hosts with other clocks share one limit all the same.
local CALL_SENDS_MAX = 24   -- sends of one call, whatever their end
local CALL_STRIKES_MAX = 6  -- sends that failed and count against the call
local BREAKER_STRIKES = 8   -- failures in a row that open a provider's breaker
local LEVELS = {'r', 'i', 'o', 't'}  -- requests, input, output and total tokens
local LEVEL_NAMES = {r = 'rpm', i = 'itpm', o = 'otpm', t = 'tpm'}

local function call_key(id) return 'interp:call:' .. id end
local function ledger_key(account) return 'interp:ledger:' .. account end
local function asked_key(sweep) return 'interp:calls:' .. sweep end
-- of a provider as a limit
local function limit_key(p) return 'interp:limit:{' .. p .. '}' end
local function held_key(p) return 'interp:held:{' .. p .. '}' end
local function reservation_key(p) return 'interp:reservation:{' .. p .. '}' end
local function enqueued_key(p) return 'interp:enqueued:{' .. p .. '}' end
local function vtime_key(p) return 'interp:vtime:{' .. p .. '}' end
-- of a provider as a queue (the same provider, unless a fallback serves it)
local function flows_key(q) return 'interp:flows:{' .. q .. '}' end
local function cursor_key(q) return 'interp:cursor:{' .. q .. '}' end
local function joined_key(q) return 'interp:joined:{' .. q .. '}' end
local function queue_key(q, flow) return 'interp:queue:{' .. q .. '}:' .. flow end
local function again_key(q, flow) return 'interp:again:{' .. q .. '}:' .. flow end
local UNCERTAIN = 'interp:uncertain'
local GROUP = 'gateways'

local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + t[2] / 1000
end

local function int(x) return string.format('%.0f', x) end

local function announce(id, state)
  redis.call('XADD', 'interp:replies', 'MAXLEN', '~', 200000, '*', 'id', id, 'state', state)
end

local function ring(q)
  redis.call('XADD', 'interp:doorbell', 'MAXLEN', 1, '*', 'provider', q)
end

-- Add to fields of every account (a sweep, and the day where a daily budget is set).
local function book(accounts, changes)
  for _, account in ipairs(accounts) do
    for field, n in pairs(changes) do
      if n ~= 0 then redis.call('HINCRBY', ledger_key(account), field, int(n)) end
    end
  end
end

-- The sweeps that wait for an unfinished call, "a b c" in its field `sweeps`.
local function split_words(text)
  local words = {}
  for word in string.gmatch(text or '', '%S+') do words[#words + 1] = word end
  return words
end

-- A flow is the queue of one sweep at one priority: "5:sweep".
local function flow_of(sweep, priority) return priority .. ':' .. sweep end
local function sweep_of(flow) return string.sub(flow, 3) end

local function close_flow_if_empty(q, flow)
  if redis.call('XLEN', queue_key(q, flow)) > 0 then return end
  redis.call('DEL', queue_key(q, flow), again_key(q, flow))
  redis.call('HDEL', cursor_key(q), flow)
  redis.call('ZREM', flows_key(q), flow)
  local sweep = sweep_of(flow)
  if redis.call('EXISTS', asked_key(sweep)) == 0 then -- it was forgotten while calls were in flight
    redis.call('ZREM', vtime_key(q), sweep)
    redis.call('SREM', joined_key(q), sweep)
  end
end

local function remove_entry(q, flow, entry, id)
  redis.call('XACK', queue_key(q, flow), GROUP, entry)
  redis.call('XDEL', queue_key(q, flow), entry)
  redis.call('ZREM', again_key(q, flow), id)
  close_flow_if_empty(q, flow)
end

-- Take a call that has a place in a queue out of it (done, failed or given up).
local function leave_queue(id)
  local c = redis.call('HMGET', call_key(id), 'provider', 'flow', 'entry')
  if c[3] then remove_entry(c[1], c[2], c[3], id) end
  redis.call('HDEL', call_key(id), 'flow', 'entry', 'body', 'sweeps', 'gateway')
end

local function enqueue(id, provider, sweep, priority)
  local flow = flow_of(sweep, priority)
  local queue = queue_key(provider, flow)
  if redis.call('ZADD', flows_key(provider), 'NX', priority, flow) == 1 then
    redis.call('SADD', joined_key(provider), sweep)
  end
  if redis.call('EXISTS', queue) == 0 then
    redis.call('XGROUP', 'CREATE', queue, GROUP, '0', 'MKSTREAM')
    redis.call('HDEL', cursor_key(provider), flow)
  end
  local last = redis.call('HGET', cursor_key(provider), flow) or '0-0'
  local had_backlog = #redis.call('XRANGE', queue, '(' .. last, '+', 'COUNT', 1) > 0
  local entry = redis.call('XADD', queue, '*', 'id', id)
  redis.call('HSET', call_key(id), 'state', 'queued', 'flow', flow, 'entry', entry)
  if not had_backlog then ring(provider) end
end

-- Put a granted call back: due at `due_ms`, ahead of what was never sent. A call that no sweep
-- waits for any more is dropped instead.
local function send_again(id, due_ms)
  local c = redis.call('HMGET', call_key(id), 'provider', 'flow', 'sweeps', 'entry')
  local sweeps = split_words(c[3])
  if #sweeps == 0 then
    leave_queue(id)
    redis.call('DEL', call_key(id))
    return 'dropped'
  end
  local owner = sweep_of(c[2])
  for _, sweep in ipairs(sweeps) do if sweep == owner then owner = nil; break end end
  if owner then -- its sweep was cancelled meanwhile: another that waits for it pays from now on
    remove_entry(c[1], c[2], c[4], id)
    enqueue(id, c[1], sweeps[1], string.sub(c[2], 1, 1))
    return 'again'
  end
  redis.call('HSET', call_key(id), 'state', 'waiting')
  redis.call('ZADD', again_key(c[1], c[2]), due_ms, id)
  return 'again'
end

local function fail_call(id, reason)
  local sweeps = split_words(redis.call('HGET', call_key(id), 'sweeps'))
  leave_queue(id)
  if #sweeps == 0 then
    redis.call('DEL', call_key(id))
    return 'dropped'
  end
  redis.call('HSET', call_key(id), 'state', 'failed', 'reason', reason)
  book(sweeps, {failed = 1})
  announce(id, 'failed')
  return 'failed'
end

-- Send again after a failure, or give the call up when it had its chances.
local function again_or_fail(id, due_ms, strike, reason)
  local strikes = redis.call('HINCRBY', call_key(id), 'strikes', strike)
  local sends = tonumber(redis.call('HGET', call_key(id), 'sends') or '0')
  redis.call('HSET', call_key(id), 'reason', reason)
  if strikes >= CALL_STRIKES_MAX or sends >= CALL_SENDS_MAX then
    return fail_call(id, reason .. ' (gave up after ' .. sends .. ' attempts)')
  end
  return send_again(id, due_ms)
end

-- `limits` is {rpm, itpm, otpm, tpm, burst_seconds, max_in_flight, adaptive, ...}; 0 = unlimited.
-- A batch provider's are is_batch and enqueued_tokens: input tokens that wait in batches.
local function limit_caps(limits)
  return {r = limits.rpm, i = limits.itpm, o = limits.otpm, t = limits.tpm}
end

-- The largest share of any limited dimension that `need` takes: what fairness is measured in.
local function share_of(need, limits)
  local most, caps = 0, limit_caps(limits)
  for _, k in ipairs(LEVELS) do
    if caps[k] > 0 then most = math.max(most, need[k] / caps[k]) end
  end
  return most > 0 and most or need.t / 1e6
end

local function needs(n_requests, tokens_in, tokens_out)
  return {r = n_requests, i = tokens_in, o = tokens_out, t = tokens_in + tokens_out}
end

local function weight_of(sweep)
  return tonumber(redis.call('HGET', ledger_key(sweep), 'weight') or '1')
end

-- The levels of the bucket at `now`: refilled at cap x scale, never above the burst depth.
-- Output that is reserved on a guess (see learn_output) will mostly come back, and the endpoint's
-- bucket is full meanwhile: a refill stops that much earlier.
local function levels_now(bucket, limits, now)
  local caps, levels, depth = limit_caps(limits), {}, {}
  local scale = tonumber(bucket.scale or '1')
  local elapsed = math.min(math.max(now - tonumber(bucket.at or '0'), 0), 600000)
  for _, k in ipairs(LEVELS) do
    if caps[k] > 0 then
      depth[k] = math.max(caps[k] * scale * limits.burst_seconds / 60, k == 'r' and 1 or 0)
      local level = tonumber(bucket[k] or '') or depth[k]
      local full = depth[k]
      if k == 'o' or k == 't' then
        full = math.max(full - tonumber(bucket.guessed or '0'), level)
      end
      levels[k] = math.min(depth[k], full, level + caps[k] * scale * elapsed / 60000)
    end
  end
  return levels, depth, scale
end

local function save_levels(limit, levels, now)
  local args = {'HSET', limit, 'at', string.format('%.3f', now)}
  for _, k in ipairs(LEVELS) do
    if levels[k] then args[#args + 1] = k; args[#args + 1] = string.format('%.6f', levels[k]) end
  end
  redis.call(unpack(args))
end

local function read_bucket(limit)
  local names = {'r', 'i', 'o', 't', 'at', 'stop', 'scale', 'floor', 'lane', 'concurrency',
                 'breaker', 'breaker_until', 'probe', 'ratio', 'ratio_dev', 'cut_at', 'guessed'}
  local values = redis.call('HMGET', limit, unpack(names))
  local bucket = {}
  for i, name in ipairs(names) do bucket[name] = values[i] or nil end
  return bucket
end

-- A reservation whose outcome is not known: its worst case stays booked, and it is listed.
local function book_uncertain(p, rid, r, reason, now)
  book(r.accounts, {reserved_microdollars = -r.cost, uncertain_microdollars = r.cost,
                    uncertain_calls = 1})
  redis.call('HSET', UNCERTAIN, rid, cjson.encode({
    state = 'open', sweep = r.accounts[1], accounts = r.accounts, provider = p,
    microdollars = r.cost, tokens_in = r.tokens_in, tokens_out = r.tokens_out, out_max = r.out_max,
    gateway = r.gateway, reason = reason, unix_ms = math.floor(now)}))
end

local function drop_reservation(p, rid, r)
  redis.call('HDEL', reservation_key(p), rid)
  redis.call('ZREM', held_key(p), rid)
  if r and r.is_guess then redis.call('HINCRBY', limit_key(p), 'guessed', int(-r.tokens_out)) end
  if r and r.enqueued and redis.call('DECRBY', enqueued_key(p), int(r.enqueued)) <= 0 then
    redis.call('DEL', enqueued_key(p))
  end
end

