-- Results that are kept elsewhere leave the store; a mark stays in the place of each, so that the
-- unit stays settled (settle.lua: first writer wins).
--
-- KEYS[1] interp:{TASK}:done  hash  unit -> result bytes
-- KEYS[2] interp:leader       KEYS[3] interp:epoch: see fence.lua
-- ARGV    leader's token, its counter, the mark, then units
-- Returns how many results were replaced, or the error "FENCED reason".
if not leads(KEYS[2], KEYS[3], ARGV[1], ARGV[2]) then return fenced() end
local n = 0
for i = 4, #ARGV do
  if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 1 then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[3])
    n = n + 1
  end
end
return n
