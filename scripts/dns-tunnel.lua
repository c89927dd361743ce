-- DNS tunnels: a host that asks for many different names of one domain, which are long and look random, since they carry data
-- (DNS::Tunnel). The domain is a name's last two labels, so that all of co.uk is one domain; raise the thresholds or add such to
-- `ignored` where that is too coarse.
load "lib/text.lua"

-- Different names of a domain that a host asks for, within seconds from the first.
local names = 50
local interval = 600
-- Mean length of what is before the domain, and mean entropy of its letters in bits: hex digits have up to 4, letters and
-- digits of base32 up to 5. Words have 3 or less.
local shortest = 30
local least_entropy = 3.3
-- Domains that nothing is said of: their services use such names.
local ignored = { ["in-addr.arpa"] = true, ["ip6.arpa"] = true }
-- Most pairs of host and domain, and of names, that are remembered.
local most_domains = 20000
local most_names = 50000

local domains = expiring { create = interval, max = most_domains }
local seen = expiring { create = interval, max = most_names }

on_row("dns", function(row)
  local name = row.query
  if not name or row.qclass ~= 1 then return end
  local before, domain = name:lower():match "^(.+)%.([^.]+%.[^.]+)$"
  if not before or ignored[domain] then return end
  local host = row["id.orig_h"]
  local key = host .. " " .. domain
  -- A hash, as a name may have 255 bytes.
  if not seen:add(md5(key .. " " .. before)) then return end
  local d = domains:get(key)
  if not d then
    d = { n = 0, length = 0, entropy = 0 }
    domains:set(key, d)
  end
  d.n = d.n + 1
  d.length = d.length + #before
  d.entropy = d.entropy + entropy((before:gsub("%.", "")))
  if d.n >= names and d.length / d.n >= shortest and d.entropy / d.n >= least_entropy then
    notice {
      note = "DNS::Tunnel", c = conn_of(row), n = d.n, identifier = key,
      msg = string.format("%s asked for %d long random names of %s", host, d.n, domain),
      sub = string.format("mean length %.0f, mean entropy %.2f bits, the last was %s", d.length / d.n, d.entropy / d.n, name),
    }
  end
end)
