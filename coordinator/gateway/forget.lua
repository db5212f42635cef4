-- Forget a sweep, a few calls at a time: what waits for it alone is cancelled, what is in flight
-- may come home (it is paid for, so the reply is kept). Stored replies and the ledger stay.
--
-- ARGV sweep, most calls of this round. Returns how many are left (0: all traces are gone).
local sweep = ARGV[1]

local function without(sweeps, gone)
  local rest = {}
  for _, s in ipairs(split_words(sweeps)) do if s ~= gone then rest[#rest + 1] = s end end
  return rest
end

-- A waiting call that another sweep wants moves to that sweep's queue.
local function release(id)
  local c = redis.call('HMGET', call_key(id), 'state', 'sweeps', 'provider', 'flow', 'entry')
  if c[1] == 'failed' then redis.call('DEL', call_key(id)) end
  if not c[1] or c[1] == 'failed' or c[1] == 'done' then return end
  local rest = without(c[2], sweep)
  redis.call('HSET', call_key(id), 'sweeps', table.concat(rest, ' '))
  if c[1] == 'granted' then return end
  if #rest == 0 then
    leave_queue(id)
    redis.call('DEL', call_key(id))
  elseif sweep_of(c[4]) == sweep then
    remove_entry(c[3], c[4], c[5], id)
    enqueue(id, c[3], rest[1], string.sub(c[4], 1, 1))
  end
end

local ids = redis.call('SPOP', asked_key(sweep), ARGV[2])
local providers = {}
for _, id in ipairs(ids) do
  local provider = redis.call('HGET', call_key(id), 'provider')
  if provider then providers[provider] = true end
  release(id)
end
for provider in pairs(providers) do
  redis.call('SREM', joined_key(provider), sweep)
  redis.call('ZREM', vtime_key(provider), sweep)
end
return redis.call('SCARD', asked_key(sweep))
