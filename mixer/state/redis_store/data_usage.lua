-- vm_id, keys and bytes of each. KEYS: sizes. ARGV: what the keys of the data begin with.
local found = redis.call('HGETALL', KEYS[1])
local rows = {}
for at = 1, #found, 2 do
  rows[#rows + 1] = {found[at], redis.call('HLEN', ARGV[1] .. found[at]), tonumber(found[at + 1])}
end
return rows
