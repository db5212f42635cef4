-- Accept a sweep once per client key.
--
-- KEYS[1] interp:client:KEY   the sweep that this key made
-- KEYS[2] interp:sweep_serial counter
-- KEYS[3] interp:sweeps       zset, id by creation time
-- KEYS[4] interp:leader       KEYS[5] interp:epoch: see leader_fence()
-- ARGV    name, spec (canonical JSON), created_unix_ms, started_unix_ms, state, days to remember
--         the key, most sweeps that may be unfinished, leader's token, its counter
-- Returns {id, 1 if new}, or the error "BUSY ..." when too many sweeps wait, or "FENCED ...".
local holder = redis.call('GET', KEYS[4])
if (holder and holder ~= ARGV[8]) or
   tonumber(redis.call('GET', KEYS[5]) or 0) > tonumber(ARGV[9]) then
  return redis.error_reply('FENCED another coordinator leads')
end
local known = redis.call('GET', KEYS[1])
if known then return {known, 0} end
if redis.call('SCARD', 'interp:active') >= tonumber(ARGV[7]) then
  return redis.error_reply('BUSY too many sweeps are unfinished: retry later')
end
local id = ARGV[1] .. '-' .. redis.call('INCR', KEYS[2])
redis.call('HSET', 'interp:sweep:' .. id, 'spec', ARGV[2], 'created_unix_ms', ARGV[3],
           'started_unix_ms', ARGV[4], 'state', ARGV[5], 'reason', '', 'client_key', KEYS[1])
redis.call('ZADD', KEYS[3], ARGV[3], id)
redis.call('SADD', 'interp:active', id)
redis.call('SET', KEYS[1], id, 'EX', tonumber(ARGV[6]) * 86400)
return {id, 1}
