-- What scripts have beside the functions that are written in Rust: tables that forget, notices, intelligence.

local out_of_steps = out_of_steps

-- Who catches errors does not catch that a call takes too long.
local function guarded(f)
  local function passed(...)
    if out_of_steps() then error("takes too long; see --script-steps", 0) end
    return ...
  end
  return function(...) return passed(f(...)) end
end
pcall, xpcall = guarded(pcall), guarded(xpcall)
coroutine.resume = guarded(coroutine.resume)

-- What is wanted of connections and files, for who writes it as functions.
conn = {
  shed = function(c) c:shed() end,
  contents = function(c, side) c:contents(side) end,
  set_inactivity = function(c, secs) c:set_inactivity(secs) end,
}
function write(f, ...) return f:write(...) end
function close(f) f:close() end

-- Tables whose entries go after a time: after they were made (create), read last (read) or written last (write), in seconds of
-- network time. `max`: how many there are at most; the one that would go next makes room. `on_expire(key, value)` is told of
-- each that goes by itself.
--
-- The time is the same for all entries of a table, so those that go first are at the front of a list.
local Expiring = {}
Expiring.__index = Expiring

local function unlink(t, e)
  if e.prev then e.prev.next = e.next else t.first = e.next end
  if e.next then e.next.prev = e.prev else t.last = e.prev end
  e.prev, e.next = nil, nil
end

local function append(t, e)
  e.at = now()
  e.prev = t.last
  if t.last then t.last.next = e else t.first = e end
  t.last = e
end

local function remove(t, e)
  unlink(t, e)
  t.entries[e.key] = nil
  t.count = t.count - 1
end

local function go(t, e)
  remove(t, e)
  if t.on_expire then t.on_expire(e.key, e.value) end
end

local function sweep(t)
  if not t.after then return end
  local oldest = now() - t.after
  while t.first and t.first.at <= oldest do go(t, t.first) end
end

local tables = setmetatable({}, { __mode = "k" })
local sweeping = false

function expiring(how)
  how = how or {}
  local t = setmetatable({ entries = {}, count = 0, max = how.max or 100000, on_expire = how.on_expire }, Expiring)
  local kinds = 0
  for _, kind in ipairs { "create", "read", "write" } do
    if how[kind] then
      kinds = kinds + 1
      t.after, t[kind] = how[kind], true
    end
  end
  if kinds > 1 then error("expiring: one of create, read and write", 2) end
  if t.after and t.on_expire then
    tables[t] = true
    if not sweeping then
      sweeping = true
      every(1, function() for each in pairs(tables) do sweep(each) end end)
    end
  end
  return t
end

-- The value of a key; nil: there is none.
function Expiring:get(key)
  sweep(self)
  local e = self.entries[key]
  if not e then return nil end
  if self.read then unlink(self, e) append(self, e) end
  return e.value
end

-- Sets a value; nil deletes.
function Expiring:set(key, value)
  sweep(self)
  local e = self.entries[key]
  if value == nil then
    if e then remove(self, e) end
  elseif e then
    e.value = value
    if not self.create then unlink(self, e) append(self, e) end
  else
    if self.count >= self.max then go(self, self.first) end
    e = { key = key, value = value }
    self.entries[key] = e
    self.count = self.count + 1
    append(self, e)
  end
end

-- Puts a key into a set. True: it was not there.
function Expiring:add(key)
  local is_new = not self:has(key)
  self:set(key, true)
  return is_new
end

function Expiring:has(key) return self:get(key) ~= nil end

function Expiring:delete(key) self:set(key, nil) end

-- Adds to a number; the sum.
function Expiring:increment(key, by)
  local sum = (self:get(key) or 0) + (by or 1)
  self:set(key, sum)
  return sum
end

function Expiring:size() sweep(self) return self.count end

Expiring.__len = Expiring.size

-- Keys and values, those that go first first.
function Expiring:each()
  sweep(self)
  local e = self.first
  return function()
    local this = e
    if not this then return nil end
    e = this.next
    return this.key, this.value
  end
end

-- A row with the columns that say which connection it is about, if it is about one.
local function of_conn(c, row)
  if c then
    row.uid = c.uid
    row["id.orig_h"], row["id.orig_p"] = c.orig_h, c.orig_p
    row["id.resp_h"], row["id.resp_p"] = c.resp_h, c.resp_p
  end
  return row
end

-- Notices: notice.log with Zeek's columns. The same (by note and identifier) is told again after suppress_for seconds.
local notices = log.stream {
  path = "notice",
  columns = {
    "ts: time", "uid: string", "id.orig_h: addr", "id.orig_p: port", "id.resp_h: addr", "id.resp_p: port", "fuid: string",
    "file_mime_type: string", "file_desc: string", "proto: enum", "note: enum", "msg: string", "sub: string", "src: addr",
    "dst: addr", "p: port", "n: count", "peer_descr: string", "actions: set[enum]", "email_dest: set[string]",
    "suppress_for: interval",
  },
}
local policies = {}
-- When each may be told again.
local told = expiring { write = 86400, max = 100000 }

-- `f(n)` sees each notice before it is written, and may change it; if it returns false there is none.
function notice_policy(f) policies[#policies + 1] = f end

function notice(n)
  if type(n) ~= "table" or not n.note then error("notice: a table with a note is wanted", 2) end
  n.suppress_for = n.suppress_for or 3600
  for _, f in ipairs(policies) do
    if f(n) == false then return false end
  end
  if n.identifier then
    local key = n.note .. "\0" .. n.identifier
    local again = told:get(key)
    if again and now() < again then return false end
    told:set(key, now() + n.suppress_for)
  end
  local c = n.c
  notices:write(of_conn(c, {
    proto = n.proto or c and c.proto, fuid = n.f and n.f.id, file_mime_type = n.file_mime_type,
    file_desc = n.file_desc, note = n.note, msg = n.msg, sub = n.sub, src = n.src or c and c.orig_h, dst = n.dst or c and c.resp_h,
    p = n.p or c and c.resp_p, n = n.n, actions = n.actions or { "Notice::ACTION_LOG" }, email_dest = {},
    suppress_for = n.suppress_for,
  }))
  return true
end

-- Intelligence: indicators that somebody has named, and where they are seen. intel.log with Zeek's columns.
intel = {}
local indicators, subnets = {}, {}
local sightings

local function stream()
  sightings = sightings or log.stream {
    path = "intel",
    columns = {
      "ts: time", "uid: string", "id.orig_h: addr", "id.orig_p: port", "id.resp_h: addr", "id.resp_p: port",
      "seen.indicator: string", "seen.indicator_type: enum", "seen.where: enum", "seen.node: string", "matched: set[enum]",
      "sources: set[string]", "fuid: string", "file_mime_type: string", "file_desc: string",
    },
  }
  return sightings
end

-- Hosts by name among addresses: a hundred a second are looked up, and all of them again when an hour has passed.
local hosts, next_host, round = {}, 1, 0
-- The addresses that they have, and who has named the hosts.
local addrs_of_hosts = expiring { write = 7200, max = 100000 }

local function look_up_hosts()
  if next_host > #hosts then
    if now() < round + 3600 then return end
    next_host = 1
  end
  if next_host == 1 then round = now() end
  for _ = 1, 100 do
    local host = hosts[next_host]
    if not host then return end
    local asked = lookup(host.name, function(addrs)
      for _, addr in ipairs(addrs or {}) do addrs_of_hosts:set(addr, host.sources) end
    end)
    -- There is too much to ask: in a second.
    if not asked then return end
    next_host = next_host + 1
  end
end

-- What is neither an IPv4 nor an IPv6 address.
local function is_host(text) return not text:find("^[%d.]+$") and not text:find(":", 1, true) end

-- Adds one: indicator, indicator_type (Intel::ADDR, Intel::DOMAIN …), source.
function intel.add(item)
  local text, kind = item.indicator, item.indicator_type
  if not text or not kind then error("intel.add: indicator and indicator_type are wanted", 2) end
  stream()
  if kind == "Intel::SUBNET" then
    subnets[#subnets + 1] = { nets = subnet(text), text = text, sources = { item.source or "-" } }
    return
  end
  local key = kind .. "\0" .. text:lower()
  local known = indicators[key]
  if not known then
    known = { sources = {}, seen = {} }
    indicators[key] = known
  end
  if kind == "Intel::ADDR" and is_host(text) and not known.is_host then
    known.is_host = true
    hosts[#hosts + 1] = { name = text, sources = known.sources }
    if #hosts == 1 then every(1, look_up_hosts) end
  end
  local source = item.source or "-"
  if not known.seen[source] then
    known.seen[source] = true
    known.sources[#known.sources + 1] = source
  end
end

-- Adds those of a file in Zeek's format: a line `#fields`, then columns apart by tabs.
function intel.load(name)
  local fields
  local n = 0
  for line in (read_file(name) .. "\n"):gmatch("(.-)\r?\n") do
    if line:sub(1, 7) == "#fields" then
      fields = {}
      for field in line:sub(9):gmatch("[^\t]+") do fields[#fields + 1] = field end
    elseif line ~= "" and line:sub(1, 1) ~= "#" then
      if not fields then error(name .. ": the line #fields is missing", 2) end
      local item, i = {}, 0
      for value in (line .. "\t"):gmatch("([^\t]*)\t") do
        i = i + 1
        if fields[i] and value ~= "-" then item[fields[i]] = value end
      end
      item.source = item["meta.source"]
      intel.add(item)
      n = n + 1
    end
  end
  return n
end

local function sighting(seen, kind, matched, sources)
  stream():write(of_conn(seen.c, {
    ["seen.indicator"] = seen.indicator, ["seen.indicator_type"] = kind,
    ["seen.where"] = seen.where or "Intel::IN_ANYWHERE", matched = { matched }, sources = sources, fuid = seen.f and seen.f.id,
  }))
  if intel.on_match then intel.on_match(seen, sources) end
end

-- Something was seen: indicator, indicator_type, where, c. True: somebody has named it.
function intel.seen(seen)
  local text, kind = seen.indicator, seen.indicator_type
  if not text or not kind then return false end
  local known = indicators[kind .. "\0" .. text:lower()]
  if known then
    sighting(seen, kind, kind, known.sources)
    return true
  end
  if kind == "Intel::ADDR" then
    local sources = addrs_of_hosts:get(text)
    if sources then
      sighting(seen, kind, kind, sources)
      return true
    end
    for _, s in ipairs(subnets) do
      if s.nets:has(text) then
        sighting(seen, kind, "Intel::SUBNET", s.sources)
        return true
      end
    end
  end
  return false
end
