-- Takes the oldest message; nothing from an empty queue, 0 where there is none.
-- KEYS: messages, queues, sizes. ARGV: id.
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 0 then
  return 0
end
local message = redis.call('LPOP', KEYS[1])
if message then
  redis.call('HINCRBY', KEYS[3], ARGV[1], 0 - #message)
end
return message
