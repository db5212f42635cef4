-- Ask for a reply. Idempotent: a stored reply is announced again at no cost, a call that is on
-- its way is joined, anything else is queued.
--
-- KEYS[1] interp:call:<id>
-- ARGV    id, provider, sweep, priority 0..9, tag, body, n input bytes, most output tokens
-- Returns "stored" | "failed" (as told before to this sweep) | "joined" | "queued".
local call = KEYS[1]
local id, provider, sweep, priority, tag = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local first_time = redis.call('SADD', asked_key(sweep), id) == 1
local state = redis.call('HGET', call, 'state')

if state == 'done' then
  if first_time then book({sweep}, {cached = 1}) end
  announce(id, 'done')
  return 'stored'
end
if state == 'failed' and not first_time then
  announce(id, 'failed')
  return 'failed'
end
if state and state ~= 'failed' then
  local sweeps = redis.call('HGET', call, 'sweeps') or ''
  for _, other in ipairs(split_words(sweeps)) do
    if other == sweep then return 'joined' end
  end
  redis.call('HSET', call, 'sweeps', sweeps .. ' ' .. sweep)
  book({sweep}, {cached = 1})
  return 'joined'
end
redis.call('HDEL', call, 'reason', 'strikes', 'sends')
redis.call('HSET', call, 'provider', provider, 'sweeps', sweep, 'tag', tag, 'body', ARGV[6],
           'in_bytes', ARGV[7], 'out_max', ARGV[8])
enqueue(id, provider, sweep, priority)
return 'queued'
