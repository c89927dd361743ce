-- Scans: a host whose connections fail at many hosts on one port (Scan::Address_Scan), or at many ports of one host
-- (Scan::Port_Scan). Notices, thresholds and intervals are those of Zeek's policy/misc/scan.
load "lib/text.lua"

-- So many different hosts (ports) within an interval that begins with the first.
local addr_threshold = 25
local addr_interval = 300
local port_threshold = 15
local port_interval = 300
-- Most pairs of scanner and port, and of scanner and victim, that are remembered; each remembers as many as its threshold.
local most = 20000

local addrs = expiring { create = addr_interval, max = most }
local ports = expiring { create = port_interval, max = most }

-- Puts `what` into the set of a key. The set, when with this it has `threshold` members; else nil.
local function count(sets, key, what, threshold)
  local set = sets:get(key)
  if not set then
    set = { n = 0, since = now(), seen = {} }
    sets:set(key, set)
  end
  -- What has been told is not counted any further.
  if set.n >= threshold or set.seen[what] then return nil end
  set.seen[what] = true
  set.n = set.n + 1
  if set.n < threshold then return nil end
  set.seen = nil
  return set
end

local function failed(scanner, victim, port, proto)
  port = port .. "/" .. proto
  local side = local_nets:has(scanner) and "local" or "remote"
  local set = count(addrs, scanner .. " " .. port, victim, addr_threshold)
  if set then
    notice {
      note = "Scan::Address_Scan", src = scanner, p = tonumber(port:match "^%d+"), sub = side, identifier = scanner,
      msg = string.format("%s scanned at least %d unique hosts on port %s in %s", scanner, set.n, port, minutes(now() - set.since)),
    }
  end
  set = count(ports, scanner .. " " .. victim, port, port_threshold)
  if set then
    notice {
      note = "Scan::Port_Scan", src = scanner, dst = victim, sub = side, identifier = scanner,
      msg = string.format("%s scanned at least %d unique ports of host %s in %s", scanner, set.n, victim, minutes(now() - set.since)),
    }
  end
end

-- No answer, or one that refuses.
local function by_orig(c) failed(c.orig_h, c.resp_h, c.resp_p, c.proto) end
on("connection_attempt", by_orig)
on("connection_rejected", by_orig)

-- Answered and given up by the one who asked, without a byte: the history tells. In small letters it is the other side that
-- scans, in a connection of which the beginning was not seen.
on("Conn::log_conn", function(rec)
  local history = rec.history
  if rec.proto ~= "tcp" or not history or history:find "[Dd]" or not history:find "[Rr]" then return end
  if history:find "^S.*h.*R" then
    failed(rec["id.orig_h"], rec["id.resp_h"], rec["id.resp_p"], "tcp")
  elseif history:find "^s.*H.*r" or history:find "^H.*r" then
    failed(rec["id.resp_h"], rec["id.orig_h"], rec["id.orig_p"], "tcp")
  end
end)
