-- Commands that only the coordinator that leads may run: all of them, or none.
--
-- KEYS[1] interp:leader  KEYS[2] interp:epoch: see fence.lua
-- ARGV    leader's token, its counter, then for each command: n words, the words
-- Returns "OK", or the error "FENCED reason".
if not leads(KEYS[1], KEYS[2], ARGV[1], ARGV[2]) then return fenced() end
local at = 3
while at <= #ARGV do
  local n = tonumber(ARGV[at])
  redis.call(unpack(ARGV, at + 1, at + n))
  at = at + n + 1
end
return redis.status_reply('OK')
