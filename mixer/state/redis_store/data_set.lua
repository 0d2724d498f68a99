-- Sets a key; answers 0 done, 1 somebody else did since, 2 full, and how many keys were cleared.
-- KEYS: data, sizes, expiry, cas.
-- ARGV: key, value, cas, vm_id, most keys, most bytes, milliseconds to live, cleared at once.
local HEADER = 12
local data, sizes, expiry, counter = unpack(KEYS)
local key, value, cas, vm = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local max_keys, max_bytes = tonumber(ARGV[5]), tonumber(ARGV[6])
local ttl, at_once = tonumber(ARGV[7]), tonumber(ARGV[8])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local cleared = 0

local function clear(name, record)
  redis.call('HDEL', data, name)
  redis.call('ZREM', expiry, name)
  if record then
    redis.call('HINCRBY', sizes, vm, HEADER - #record - #name)
  end
  cleared = cleared + 1
end

local old = redis.call('HGET', data, key)
if old then
  local number, expires = struct.unpack('<I4d', old)
  if expires > 0 and expires <= now then
    clear(key, old)
    old = false
  elseif cas ~= 0 and cas ~= number then
    return {1, 0}
  end
end
local more = old and #value + HEADER - #old or #key + #value

local function fits()
  if not old and redis.call('HLEN', data) >= max_keys then
    return false
  end
  return more <= 0 or (tonumber(redis.call('HGET', sizes, vm)) or 0) + more <= max_bytes
end

while cleared < at_once or not fits() do
  local due = redis.call('ZRANGEBYSCORE', expiry, '-inf', now, 'LIMIT', 0, 1)[1]
  if not due then
    break
  end
  clear(due, redis.call('HGET', data, due))
end
if not fits() then
  return {2, cleared}
end

-- A server that lost its data must not give a number again that somebody still remembers.
if redis.call('EXISTS', counter) == 0 then
  redis.call('SET', counter, string.format('%.0f', (time[1] * 1000003 + time[2]) % 4294967295))
end
local number = (redis.call('INCR', counter) - 1) % 4294967295 + 1
local expires = ttl > 0 and now + ttl or 0
redis.call('HSET', data, key, struct.pack('<I4d', number, expires) .. value)
redis.call('HINCRBY', sizes, vm, more)
if ttl > 0 then
  redis.call('ZADD', expiry, expires, key)
elseif old then
  redis.call('ZREM', expiry, key)
end
return {0, cleared}
