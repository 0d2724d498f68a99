-- A value and the number to compare it by. KEYS: data. ARGV: key.
local record = redis.call('HGET', KEYS[1], ARGV[1])
if not record then
  return false
end
local cas, expires = struct.unpack('<I4d', record)
if expires > 0 then
  local time = redis.call('TIME')
  if expires <= time[1] * 1000 + time[2] / 1000 then
    return false
  end
end
return {cas, string.sub(record, 13)}
