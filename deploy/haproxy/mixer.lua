-- Asks the Mixer service about each request, and does what it says.
--
--   lua-load /etc/haproxy/mixer.lua                             (section global)
--   http-request lua.mixer_ask http://127.0.0.1:9001/haproxy    (section frontend)
--   http-request deny deny_status 503 unless { var(txn.mixer_verdict) -m str allow }
--   http-response lua.mixer_respond
--
-- The second line is what keeps a request from passing when this script fails: HAProxy itself goes
-- on with the request then. Needs HAProxy 2.6 or later with Lua (see `haproxy -vv`).

-- HAProxy asks four times, and 2.6 has no setting for it: a service that does not answer costs four
-- times this, 2 s. One that cannot even be connected to, by a network that drops what is sent, costs
-- four times HAProxy's own 5 s.
local TIMEOUT_MS = 500
local VERDICT = "x-mixer-verdict"
local ON_REQUEST = "x-mixer-request-operation"
local ON_RESPONSE = "x-mixer-response-operation"

-- Headers of the connection: those of the client's are none of the call's, nor the other way round.
local FRAMING = {
  ["connection"] = true, ["content-length"] = true, ["expect"] = true, ["host"] = true,
  ["keep-alive"] = true, ["proxy-connection"] = true, ["te"] = true, ["trailer"] = true,
  ["transfer-encoding"] = true, ["upgrade"] = true,
}

-- HAProxy counts the values of a header from 0.
local function values(headers, name)
  local found, given = {}, headers[name]
  local at = 0
  while given ~= nil and given[at] ~= nil do
    found[#found + 1] = given[at]
    at = at + 1
  end
  return found
end

local function question(txn)
  local sent, headers = txn.http:req_get_headers(), {}
  for name in pairs(sent) do
    if not FRAMING[name] then headers[name] = values(sent, name) end
  end
  -- Each takes the place of whatever the client has sent under that name.
  headers["x-forwarded-method"] = { txn.sf:method() }
  headers["x-forwarded-uri"] = { txn.sf:pathq() }
  headers["x-forwarded-host"] = { txn.sf:req_fhdr("host") }
  headers["x-forwarded-for"] = { txn.sf:src() }
  headers["x-forwarded-proto"] = { txn.sf:ssl_fc() == "1" and "https" or "http" }
  return headers
end

-- What is said in one line: REPLACE name value, APPEND name value, or REMOVE name.
local function operations(headers, name)
  local found = {}
  for _, line in ipairs(values(headers, name)) do
    local kind, header, value = line:match("^(%u+) (%S+) ?(.*)$")
    found[#found + 1] = { kind = kind, header = header, value = value }
  end
  return found
end

local function answer(txn, response)
  local reply = txn:reply()
  reply:set_status(response.status)
  for name in pairs(response.headers) do
    if not FRAMING[name] and name ~= VERDICT then
      for _, value in ipairs(values(response.headers, name)) do reply:add_header(name, value) end
    end
  end
  reply:set_body(response.body or "")
  txn:done(reply)
end

local function ask(txn, url)
  local client = core.httpclient()
  local response = client:get({ url = url, headers = question(txn), timeout = TIMEOUT_MS })
  local verdict = values(response.headers or {}, VERDICT)[1]
  if verdict == "deny" or verdict == "error" then
    answer(txn, response)
  elseif verdict == "allow" and response.status == 200 then
    for _, one in ipairs(operations(response.headers, ON_REQUEST)) do
      if one.kind == "REMOVE" then
        txn.http:req_del_header(one.header)
      else
        txn.http:req_set_header(one.header, one.value)
      end
    end
    txn:set_priv(operations(response.headers, ON_RESPONSE))
    txn:set_var("txn.mixer_verdict", "allow")
  end
end

local function respond(txn)
  for _, one in ipairs(txn:get_priv() or {}) do
    if one.kind == "REMOVE" then
      txn.http:res_del_header(one.header)
    elseif one.kind == "APPEND" then
      txn.http:res_add_header(one.header, one.value)
    else
      txn.http:res_set_header(one.header, one.value)
    end
  end
end

core.register_action("mixer_ask", { "http-req" }, ask, 1)
core.register_action("mixer_respond", { "http-res" }, respond)
