-- The end of a task: its keys go. Results that come too late are refused from then on, and for a
-- while they are told why and since when (settle.lua).
--
-- KEYS[1..4] interp:{TASK}:open, done, revoked, closed
-- KEYS[5]    interp:dead:SWEEP, or "" if it stays
-- KEYS[6]    interp:leader       KEYS[7] interp:epoch: see fence.lua
-- ARGV       leader's token, its counter, why, seconds that this is told
-- Returns 1 if the task was open, else 0, or the error "FENCED ...".
if not leads(KEYS[6], KEYS[7], ARGV[1], ARGV[2]) then return fenced() end
local was_open = redis.call('UNLINK', KEYS[1])
if was_open == 1 then redis.call('SET', KEYS[4], ARGV[3], 'EX', ARGV[4]) end
redis.call('UNLINK', KEYS[2], KEYS[3])
if KEYS[5] ~= '' then redis.call('UNLINK', KEYS[5]) end
return was_open
