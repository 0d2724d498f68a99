-- Takes what a worker is to tell: ids and how often each. KEYS: mail, wake.
local mail = redis.call('HGETALL', KEYS[1])
redis.call('DEL', KEYS[1], KEYS[2])
return mail
