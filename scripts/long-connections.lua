-- Connections that last: a notice when one has been open for each of these times (LongConnection::found, the name that
-- Corelight's package for Zeek uses).

-- Seconds, in order.
local steps = { 600, 1800, 3600, 12 * 3600, 24 * 3600, 3 * 24 * 3600 }
-- Most connections that are followed; beyond that the oldest ones that have not reached the first step are no longer.
local most = 50000
load "lib/text.lua"

-- One table for each step, of the connections that have not lasted so long: what expires there has, and goes on to the next.
local waiting = {}

-- Those that have. They are told a second later: where time jumps (a capture has a pause) many are over by then.
local lasting = expiring {
  create = 1, max = most, on_expire = function(uid, l)
    notice {
      note = "LongConnection::found", c = l.c, identifier = uid .. " " .. l.step,
      msg = string.format("%s -> %s/%s is open for %s", l.c.orig_h, host_and_port(l.c.resp_h, l.c.resp_p), l.c.proto,
        minutes(now() - l.c.start_time)),
    }
  end,
}

for n, secs in ipairs(steps) do
  waiting[n] = expiring {
    create = secs - (steps[n - 1] or 0), max = most, on_expire = function(uid, c)
      -- What had to make room has not. (Times are fractions, so that not quite a step is one.)
      if now() - c.start_time < secs - 1 then return end
      lasting:set(uid, { c = c, step = n })
      if waiting[n + 1] then waiting[n + 1]:set(uid, c) end
    end,
  }
end

on("new_connection", function(c) waiting[1]:set(c.uid, c) end)

on("connection_state_remove", function(c)
  local uid = c.uid
  lasting:delete(uid)
  for _, open in ipairs(waiting) do open:delete(uid) end
end)
