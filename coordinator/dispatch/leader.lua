-- Take, renew or give back leadership.
--
-- KEYS[1] interp:leader   token of the one that leads; expires by itself
-- KEYS[2] interp:epoch    counter: one more for every change of leader
-- ARGV    token, "take" | "renew" | "release", lease in ms
-- Returns the epoch (> 0) if the caller leads now, else 0.
local holder = redis.call('GET', KEYS[1])
if ARGV[2] == 'take' and not holder then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
  return redis.call('INCR', KEYS[2])
end
if holder ~= ARGV[1] then return 0 end
if ARGV[2] == 'release' then
  redis.call('DEL', KEYS[1])
  return 0
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return tonumber(redis.call('GET', KEYS[2]))
