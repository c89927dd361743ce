-- Small things that several of the scripts need. Loaded by them with `load "lib/text.lua"`.

-- Where hosts are counted as local.
local_nets = subnet "10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, 169.254.0.0/16, 127.0.0.0/8, fc00::/7, fe80::/10, ::1/128"

-- 192.0.2.1:443, [2001:db8::1]:443
function host_and_port(host, port)
  if host:find(":", 1, true) then host = "[" .. host .. "]" end
  return host .. ":" .. port
end

-- 75 seconds are 1m15s, as Zeek's notices say it.
function minutes(secs)
  secs = math.floor(secs)
  return string.format("%dm%ds", secs // 60, secs % 60)
end

-- The connection of a row, as notices take it.
function conn_of(row)
  return {
    uid = row.uid, orig_h = row["id.orig_h"], orig_p = row["id.orig_p"], resp_h = row["id.resp_h"], resp_p = row["id.resp_p"],
    proto = row.proto,
  }
end

-- Has `f` called with each row of a log before it is written, which it is.
function on_row(path, f)
  log.filter(path, { where = function(row) f(row) return true end })
end

-- A time's day: 2026-01-31 (Gregorian, UTC; years are counted from March, so that a leap day is a year's last).
function day(time)
  local days = math.floor(time / 86400) + 719468
  local era = days // 146097
  local of_era = days - era * 146097
  local year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
  local of_year = of_era - (365 * year + year // 4 - year // 100)
  local month = (5 * of_year + 2) // 153
  local d = of_year - (153 * month + 2) // 5 + 1
  month = month < 10 and month + 3 or month - 9
  year = year + era * 400
  return string.format("%04d-%02d-%02d", month <= 2 and year + 1 or year, month, d)
end
