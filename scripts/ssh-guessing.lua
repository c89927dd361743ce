-- A host that fails to log in over SSH again and again (SSH::Password_Guessing, as in Zeek's
-- policy/protocols/ssh/detect-bruteforcing). Whether a login failed is told by the lengths of what the server sends.

-- Failed connections of a host, to whatever servers, within an interval that begins with the first.
local limit = 30
local interval = 1800
-- Servers that the notice names.
local samples = 5
-- Most hosts that are remembered.
local most = 20000

local guessers = expiring { create = interval, max = most }

on("ssh_auth_failed", function(c)
  local host = c.orig_h
  local g = guessers:get(host)
  if not g then
    g = { n = 0, servers = {} }
    guessers:set(host, g)
  end
  g.n = g.n + 1
  if #g.servers < samples then g.servers[#g.servers + 1] = c.resp_h end
  if g.n == limit then
    notice {
      note = "SSH::Password_Guessing", src = host, identifier = host,
      msg = string.format("%s appears to be guessing SSH passwords (seen in %d connections).", host, g.n),
      sub = "Sampled servers: " .. table.concat(g.servers, ", "),
    }
  end
end)
