-- Id, label, messages and bytes of each. KEYS: queues, sizes. ARGV: prefix of messages.
local found = redis.call('HGETALL', KEYS[1])
local rows = {}
for at = 1, #found, 2 do
  local id = found[at]
  local size = tonumber(redis.call('HGET', KEYS[2], id)) or 0
  rows[#rows + 1] = {tonumber(id), found[at + 1], redis.call('LLEN', ARGV[1] .. id), size}
end
return rows
