-- In front of every script that only the coordinator that leads may run. KEYS and ARGV of such a
-- script have what leader_fence() gives: interp:leader, interp:epoch; token, counter.
local function leads(leader_key, epoch_key, token, counter)
  local holder = redis.call('GET', leader_key)
  return (not holder or holder == token) and
         tonumber(redis.call('GET', epoch_key) or 0) <= tonumber(counter)
end
local function fenced()
  return redis.error_reply('FENCED another coordinator leads')
end
