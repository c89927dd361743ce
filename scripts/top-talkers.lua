-- Who sent and received most: top_talkers.log has the first hosts every few minutes, by bytes of IP packets. A connection counts
-- when it is over. The memory is bounded whatever comes: a space-saving sketch (Metwally, Agrawal, El Abbadi, 2005) keeps so
-- many counters; a host without one takes over the smallest, with its count as its possible error.

-- Seconds between two lists.
local interval = 300
-- Hosts in a list.
local first = 10
-- Counters. Each host with more than the total divided by this number has one.
local counters = 1000

local talkers = log.stream {
  path = "top_talkers",
  columns = { "ts: time", "rank: count", "host: addr", "bytes: count", "most_error: count", "total: count", "since: time" },
}

-- The counters as a heap, the smallest first; and where in it each host is.
local heap, place, total, since

local function begin()
  heap, place, total, since = {}, {}, 0, now()
end
begin()

local function put(at, counter)
  heap[at] = counter
  place[counter.host] = at
end

-- A counter that has grown goes down to where it belongs.
local function sink(at)
  local counter, size = heap[at], #heap
  while true do
    local child = 2 * at
    if child > size then break end
    if child < size and heap[child + 1].bytes < heap[child].bytes then child = child + 1 end
    if heap[child].bytes >= counter.bytes then break end
    put(at, heap[child])
    at = child
  end
  put(at, counter)
end

-- One that is new goes up.
local function rise(at)
  local counter = heap[at]
  while at > 1 and heap[at // 2].bytes > counter.bytes do
    put(at, heap[at // 2])
    at = at // 2
  end
  put(at, counter)
end

local function add(host, bytes)
  if bytes <= 0 then return end
  total = total + bytes
  local at = place[host]
  if at then
    heap[at].bytes = heap[at].bytes + bytes
    sink(at)
  elseif #heap < counters then
    heap[#heap + 1] = { host = host, bytes = bytes, error = 0 }
    rise(#heap)
  else
    local smallest = heap[1]
    place[smallest.host] = nil
    heap[1] = { host = host, bytes = smallest.bytes + bytes, error = smallest.bytes }
    sink(1)
  end
end

local function list()
  local all = heap
  table.sort(all, function(a, b) return a.bytes > b.bytes or a.bytes == b.bytes and a.host < b.host end)
  for rank = 1, math.min(first, #all) do
    local c = all[rank]
    talkers:write { rank = rank, host = c.host, bytes = c.bytes, most_error = c.error, total = total, since = since }
  end
  begin()
end

on("Conn::log_conn", function(rec)
  if since == 0 then since = now() end
  local bytes = (rec.orig_ip_bytes or 0) + (rec.resp_ip_bytes or 0)
  add(rec["id.orig_h"], bytes)
  if rec["id.resp_h"] ~= rec["id.orig_h"] then add(rec["id.resp_h"], bytes) end
end)

every(interval, list)
on("zeek_done", list)
