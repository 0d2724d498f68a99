-- Makes a queue or takes it over, and answers its id; nothing where there are too many.
-- KEYS: names, queues, counts, owners.
-- ARGV: label (length of the vm_id, colon, vm_id, name), vm_id, wanted id, most queues, worker.
local names, queues, counts, owners = unpack(KEYS)
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
redis.call('HSET', owners, id, worker)
return tonumber(id)
