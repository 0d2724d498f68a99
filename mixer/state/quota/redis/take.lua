-- Takes of several limits at once, one request after the other; see mixer/state/quota/counting.py.
--
-- Times are whole microseconds. An amount of time that is no whole number is one and a numerator
-- over the limit, so that nothing is rounded, and every number is below 2^53.
--
-- KEYS: of each request the counter of each charge, then where its answer is remembered, if it is.
-- ARGV: the time, or 0 for that of the server; milliseconds that a key is kept beyond its use; then
-- each request: the number of charges, whether it is best effort, for how many milliseconds its
-- answer is remembered, and for each charge: whether its window is fixed, whether it is a shadow,
-- limit, cost, window, and as time and numerator what the cost takes, and what all of it takes.

local unpack, pack, fmod = struct.unpack, struct.pack, math.fmod

local now = tonumber(ARGV[1])
if now == 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local slack = tonumber(ARGV[2])

-- The floor of a * b / c and what is left, bit by bit: the product may be over 2^53.
local function muldiv(a, b, c)
  local whole = (b - fmod(b, c)) / c
  local part = fmod(b, c)
  local q, r, bit = 0, 0, 2 ^ 52
  while bit >= 1 do
    q = q + q
    if r >= c - r then q, r = q + 1, r - (c - r) else r = r + r end
    if a >= bit then
      a, q = a - bit, q + whole
      if r >= c - part then q, r = q + 1, r - (c - part) else r = r + part end
    end
    bit = bit / 2
  end
  return q, r
end

local function add(a, af, b, bf, limit)
  local f = af - (limit - bf)
  if f >= 0 then return a + b + 1, f end
  return a + b, f + limit
end

local function sub(a, af, b, bf, limit)
  if af < bf then return a - b - 1, af - bf + limit end
  return a - b, af - bf
end

local function exceeds(a, af, b, bf)
  return a > b or (a == b and af > bf)
end

local function up(a, af)
  return af > 0 and a + 1 or a
end

-- What comes back in so much of one span comes back in so much of another.
local function share(ahead, from, to)
  if ahead <= 0 then return 0 end
  return up(muldiv(math.min(ahead, from), to, from))
end

local Window = {}

function Window.look(c, raw)
  c.used = 0
  if raw then
    local start, used = unpack('<dd', raw)
    if now < start + c.window then
      c.start, c.used = start, used
      if start > now + c.window then c.start, c.changed = now, true end
    end
  end
  c.available = math.max(0, c.limit - c.used)
  c.refused = c.cost > c.available
end

function Window.take(c, amount)
  if c.start then
    c.used = math.max(0, c.used + amount)
  elseif amount > 0 then
    c.start, c.used = now, amount
  end
end

function Window.state(c)
  if c.start then
    return pack('<dd', c.start, c.used), c.start, c.used, c.start + c.window - now
  end
end

local Rate = {}

function Rate.look(c, raw)
  c.ahead, c.part = 0, 0
  c.span = up(c.most, c.most_part)
  if raw then
    local tat, part, limit, span = unpack('<dddd', raw)
    local ahead = tat - now
    if limit ~= c.limit or span ~= c.span then
      ahead, part = share(up(ahead, part), span, c.span), 0
      c.changed = true
    end
    if exceeds(ahead, part, 0, 0) then c.ahead, c.part = ahead, part end
    if exceeds(c.ahead, c.part, c.most, c.most_part) then
      c.ahead, c.part, c.changed = c.most, c.most_part, true
    end
  end
  local ahead, part = add(c.ahead, c.part, c.time, c.time_part, c.limit)
  c.refused = c.cost > 0 and exceeds(ahead, part, c.most, c.most_part)
  c.available = c.cost
  if c.refused then c.available = Rate.spare(c) end
end

function Rate.spare(c)
  local spare, part = sub(c.most, c.most_part, c.ahead, c.part, c.limit)
  local amount, rest = muldiv(spare, c.limit, c.window)
  local more = fmod(part, c.window)
  amount = amount + (part - more) / c.window
  if rest >= c.window - more then amount = amount + 1 end
  return amount
end

function Rate.take(c, amount)
  if amount < 0 then
    c.ahead, c.part = sub(c.ahead, c.part, c.time, c.time_part, c.limit)
    if c.ahead < 0 then c.ahead, c.part = 0, 0 end
  else
    local time, part = c.time, c.time_part
    if amount ~= c.cost then time, part = muldiv(amount, c.window, c.limit) end
    c.ahead, c.part = add(c.ahead, c.part, time, part, c.limit)
  end
end

function Rate.state(c)
  if c.ahead > 0 or c.part > 0 then
    local tat = now + c.ahead
    return pack('<dddd', tat, c.part, c.limit, c.span), tat, c.part, c.ahead + 1
  end
end

local function read(request, at)
  local c = {}
  local fixed, shadow
  fixed, shadow, c.limit, c.cost, c.window, c.time, c.time_part, c.most, c.most_part =
    unpack('<ddddddddd', request, at)
  c.rule = fixed == 1 and Window or Rate
  c.shadow = shadow == 1
  return c
end

local function keep(key, c, raw, amount)
  if amount ~= 0 then c.rule.take(c, amount) end
  local state, a, b, left = c.rule.state(c)
  if raw and not state then
    redis.call('DEL', key)
  elseif state and (amount ~= 0 or c.changed) then
    -- One more: the server counts from the millisecond in which the script began.
    redis.call('SET', key, state, 'PX', math.max(0, math.ceil(left / 1000)) + 1 + slack)
  end
  return pack('<dddd', amount, c.refused and 1 or 0, a or -1, b or 0)
end

local function take(request, first)
  local number, best_effort, kept = unpack('<ddd', request)
  local memory = KEYS[first + number]
  if kept > 0 then
    local known = redis.call('GET', memory)
    if known and now < unpack('<d', known) + kept * 1000 then
      return pack('<d', now) .. known, first + number + 1
    end
  end
  local charges, raws, takes = {}, {}, true
  for i = 1, number do
    local c = read(request, 25 + 72 * (i - 1))
    raws[i] = redis.call('GET', KEYS[first + i - 1])
    c.rule.look(c, raws[i])
    if c.refused and not c.shadow and best_effort == 0 then takes = false end
    charges[i] = c
  end
  local answer = { pack('<d', now) }
  for i, c in ipairs(charges) do
    local amount = takes and math.min(c.cost, c.available) or 0
    answer[i + 1] = keep(KEYS[first + i - 1], c, raws[i], amount)
  end
  answer = table.concat(answer)
  local told = pack('<d', now) .. answer
  if kept == 0 then return told, first + number end
  redis.call('SET', memory, answer, 'PX', kept + slack)
  return told, first + number + 1
end

local answers, at = {}, 1
for i = 3, #ARGV do
  answers[i - 2], at = take(ARGV[i], at)
end
return answers
