-- Forgets a worker; its queues stay. KEYS: mail, wake, owners. ARGV: worker, then its queues.
redis.call('DEL', KEYS[1], KEYS[2])
for at = 2, #ARGV do
  if redis.call('HGET', KEYS[3], ARGV[at]) == ARGV[1] then
    redis.call('HDEL', KEYS[3], ARGV[at])
  end
end
