-- Says that a worker lives, and makes its queues again where the server lost its data. Of several
-- workers that do so, the one that registered a queue last has it in the end.
-- KEYS: mail, names, queues, counts, owners, since.
-- ARGV: worker, milliseconds that mail is kept, then id, label, vm_id and time of each queue.
local mail, names, queues, counts, owners, since = unpack(KEYS)
redis.call('PEXPIRE', mail, ARGV[2])
for at = 3, #ARGV, 4 do
  local id, label, vm, time = unpack(ARGV, at, at + 3)
  if redis.call('HEXISTS', names, label) == 0 and redis.call('HEXISTS', queues, id) == 0 then
    redis.call('HSET', names, label, id)
    redis.call('HSET', queues, id, label)
    redis.call('HINCRBY', counts, vm, 1)
  end
  local known = tonumber(redis.call('HGET', since, id)) or 0
  if redis.call('HGET', queues, id) == label and tonumber(time) > known then
    redis.call('HSET', owners, id, ARGV[1])
    redis.call('HSET', since, id, time)
  end
end
