-- Names that DNS queries over UDP ask for. There are no events of DNS messages, so this takes queries apart by itself, out of
-- the event packet_contents: live, every packet with payload then comes to userspace, which costs a lot on a fast link.

local handlers = {}

-- `f(c, name, qtype)` is called for each query, with the name in small letters and without the last dot.
function on_dns_query(f) handlers[#handlers + 1] = f end

-- The first question of a query: its name and type; nil: it is none.
local function question(packet)
  -- Header (RFC 1035, section 4.1.1): id, flags, questions, three other counts. The first bit of the flags is set in answers, the
  -- next four are the kind of query.
  if #packet < 17 then return nil end
  local _, flags, questions = string.unpack(">I2I2I2", packet)
  if flags & 0xf800 ~= 0 or questions == 0 then return nil end
  local labels, at, length = {}, 13, 0
  while true do
    local n = packet:byte(at)
    -- A query has nothing that a compressed name could point to.
    if not n or n > 63 then return nil end
    if n == 0 then break end
    if at + n > #packet then return nil end
    length = length + n + 1
    if length > 254 then return nil end
    labels[#labels + 1] = packet:sub(at + 1, at + n)
    at = at + n + 1
  end
  if at + 2 > #packet then return nil end
  return table.concat(labels, "."):lower(), (string.unpack(">I2", packet, at + 1))
end

on("packet_contents", function(c, contents)
  if c.resp_p ~= 53 or c.proto ~= "udp" then return end
  local name, qtype = question(contents)
  if not name or name == "" then return end
  for _, f in ipairs(handlers) do f(c, name, qtype) end
end)
