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
