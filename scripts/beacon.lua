-- Beaconing: a host that connects to the same port of another again and again at equal intervals, as malware asks for orders
-- (Beacon::Regular_Connections). Equal: the standard deviation of the intervals is a small part of their mean.
load "lib/text.lua"

-- Intervals that are looked at together; after so many it begins anew, so that an irregular past does not hide a beacon.
local intervals = 20
-- Largest standard deviation, as a part of the mean (coefficient of variation).
local most_variation = 0.1
-- Shortest mean, seconds: what is faster is a program at work. Connections within a second are one.
local shortest_mean = 10
-- Silence after which a pair is forgotten, seconds.
local silence = 4 * 3600
-- Most pairs that are remembered.
local most = 50000
-- Ports where regularity is what the protocol does: NTP, DHCP, NetBIOS, DHCPv6, SSDP, mDNS, LLMNR.
local regular = { [123] = true, [67] = true, [68] = true, [137] = true, [138] = true, [546] = true, [547] = true, [1900] = true, [5353] = true, [5355] = true }

local pairs_seen = expiring { write = silence, max = most }

on("new_connection", function(c)
  local port, proto = c.resp_p, c.proto
  if regular[port] or (proto ~= "tcp" and proto ~= "udp") then return end
  local orig, resp = c.orig_h, c.resp_h
  local key = orig .. " " .. resp .. " " .. port .. proto
  local at = c.start_time
  local p = pairs_seen:get(key)
  if not p then return pairs_seen:set(key, { last = at, n = 0, mean = 0, squares = 0 }) end
  local interval = at - p.last
  if interval < 1 then return end
  p.last = at
  -- Mean and sum of squared differences from it, by Welford's recurrence.
  p.n = p.n + 1
  local off = interval - p.mean
  p.mean = p.mean + off / p.n
  p.squares = p.squares + off * (interval - p.mean)
  pairs_seen:set(key, p)
  if p.n < intervals then return end
  local variation = math.sqrt(p.squares / p.n) / p.mean
  if p.mean >= shortest_mean and variation <= most_variation then
    notice {
      note = "Beacon::Regular_Connections", c = c, n = p.n, identifier = key, suppress_for = 86400,
      msg = string.format("%s connects to %s/%s every %.0f s", orig, host_and_port(resp, port), proto, p.mean),
      sub = string.format("%d intervals, variation %.3f", p.n, variation),
    }
  end
  p.n, p.mean, p.squares = 0, 0, 0
end)
