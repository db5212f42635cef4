-- Accept a sweep once per client key.
--
-- KEYS[1] interp:client:KEY   the sweep that this key made
-- KEYS[2] interp:sweep_serial counter
-- KEYS[3] interp:sweeps       zset, id by creation time
-- KEYS[4] interp:leader       KEYS[5] interp:epoch: see fence.lua
-- ARGV    name, spec (canonical JSON), created_unix_ms, started_unix_ms, state, days to remember
--         the key, most sweeps that may be unfinished, leader's token, its counter, the last part
--         of the id of its first task ("": none), which is opened with it
-- Returns {id, 1 if new}, or the error "BUSY ..." when too many sweeps wait, or "FENCED ...".
if not leads(KEYS[4], KEYS[5], ARGV[8], ARGV[9]) then return fenced() end
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
if ARGV[10] ~= '' then
  redis.call('SET', 'interp:{' .. id .. '/' .. ARGV[10] .. '}:open', 1)
end
return {id, 1}
