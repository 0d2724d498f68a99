-- Says that a worker lives, and makes its queues again where the server lost its data.
-- KEYS: mail, names, queues, counts, owners.
-- ARGV: worker, milliseconds that mail is kept, then id, label and vm_id of each queue.
local mail, names, queues, counts, owners = unpack(KEYS)
redis.call('PEXPIRE', mail, ARGV[2])
for at = 3, #ARGV, 3 do
  local id, label, vm = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  if redis.call('HEXISTS', names, label) == 0 and redis.call('HEXISTS', queues, id) == 0 then
    redis.call('HSET', names, label, id)
    redis.call('HSET', queues, id, label)
    redis.call('HINCRBY', counts, vm, 1)
    redis.call('HSET', owners, id, ARGV[1])
  end
end
