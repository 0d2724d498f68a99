-- Makes a queue or takes it over; its id and the time in microseconds, or nothing where there are
-- too many. KEYS: names, queues, counts, owners, since.
-- ARGV: label (length of the vm_id, colon, vm_id, name), vm_id, wanted id, most queues, worker.
local names, queues, counts, owners, since = unpack(KEYS)
local label, vm, worker = ARGV[1], ARGV[2], ARGV[5]
local id = redis.call('HGET', names, label)
if not id then
  if (tonumber(redis.call('HGET', counts, vm)) or 0) >= tonumber(ARGV[4]) then
    return false
  end
  id = ARGV[3]
  while redis.call('HEXISTS', queues, id) == 1 do
    id = string.format('%.0f', tonumber(id) % 4294967295 + 1)
  end
  redis.call('HSET', names, label, id)
  redis.call('HSET', queues, id, label)
  redis.call('HINCRBY', counts, vm, 1)
end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
redis.call('HSET', owners, id, worker)
redis.call('HSET', since, id, string.format('%.0f', now))
return {tonumber(id), now}
