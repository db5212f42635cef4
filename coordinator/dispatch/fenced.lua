-- Commands that only the coordinator that leads may run: all of them, or none.
--
-- KEYS[1] interp:leader  KEYS[2] interp:epoch: see leader_fence()
-- ARGV    leader's token, its counter, then for each command: n words, the words
-- Returns "OK", or the error "FENCED reason".
local holder = redis.call('GET', KEYS[1])
if (holder and holder ~= ARGV[1]) or
   tonumber(redis.call('GET', KEYS[2]) or 0) > tonumber(ARGV[2]) then
  return redis.error_reply('FENCED another coordinator leads')
end
local at = 3
while at <= #ARGV do
  local n = tonumber(ARGV[at])
  redis.call(unpack(ARGV, at + 1, at + n))
  at = at + n + 1
end
return redis.status_reply('OK')
