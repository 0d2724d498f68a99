-- Appends a message. Answers 0 no such queue, 1 full, 2 done, 3 done and for the caller to tell.
-- KEYS: messages, queues, sizes, owners.
-- ARGV: id, message, most messages, most bytes, worker, prefix of mail, prefix of wake,
-- milliseconds that mail is kept.
local messages, queues, sizes, owners = unpack(KEYS)
local id, message = ARGV[1], ARGV[2]
if redis.call('HEXISTS', queues, id) == 0 then
  return 0
end
local size = (tonumber(redis.call('HGET', sizes, id)) or 0) + #message
if redis.call('LLEN', messages) >= tonumber(ARGV[3]) or size > tonumber(ARGV[4]) then
  return 1
end
redis.call('RPUSH', messages, message)
redis.call('HSET', sizes, id, string.format('%.0f', size))
local owner = redis.call('HGET', owners, id)
if owner == ARGV[5] then
  return 3
end
if owner then
  local mail, wake = ARGV[6] .. owner, ARGV[7] .. owner
  redis.call('HINCRBY', mail, id, 1)
  -- Not anew for each message: a worker that is gone for good leaves nothing behind.
  if redis.call('PTTL', mail) < 0 then
    redis.call('PEXPIRE', mail, ARGV[8])
  end
  if redis.call('LLEN', wake) == 0 then
    redis.call('RPUSH', wake, '1')
    redis.call('PEXPIRE', wake, ARGV[8])
  end
end
return 2
