-- Store the results of some units of a leased range: first writer wins, per unit.
--
-- KEYS[1] interp:{TASK}:done     hash  unit -> result bytes
-- KEYS[2] interp:{TASK}:open     string, present while the task accepts results
-- KEYS[3] interp:{TASK}:revoked  set of lease ids whose results are refused
-- KEYS[4] interp:{TASK}:closed   string, for a while after the task ended: why and when
-- ARGV    lease id, leader epoch of the lease, then unit, result, unit, result, ...
-- Returns {n stored, n that another writer had stored before}, or the error "FENCED reason".
--
-- The fence is the epoch and the set of revoked leases, not "the newest lease": a speculative
-- copy must not make the original's good result a refused one. `open` holds the lowest epoch
-- whose leases still count; a leader raises it only to void everything that came before.
local oldest = redis.call('GET', KEYS[2])
if not oldest then
  local why = redis.call('GET', KEYS[4])
  return redis.error_reply('FENCED task is closed: ' ..
                           (why or 'the store does not know it (any more)'))
end
if tonumber(ARGV[2]) < tonumber(oldest) then
  return redis.error_reply('FENCED lease of an older epoch')
end
if redis.call('SISMEMBER', KEYS[3], ARGV[1]) == 1 then
  return redis.error_reply('FENCED lease is revoked')
end
local stored, duplicate = 0, 0
for i = 3, #ARGV, 2 do
  if redis.call('HSETNX', KEYS[1], ARGV[i], ARGV[i + 1]) == 1 then
    stored = stored + 1
  else
    duplicate = duplicate + 1
  end
end
return {stored, duplicate}
