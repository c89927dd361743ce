-- Intelligence: what somebody has named (addresses, names, keys) is looked for in traffic; what is found goes to intel.log. The
-- indicators are in intel.dat beside this script, in Zeek's format (columns apart by tabs):
--
--   #fields	indicator	indicator_type	meta.source
--   198.51.100.7	Intel::ADDR	blocklist
--   203.0.113.0/24	Intel::SUBNET	blocklist
--   evil.example	Intel::DOMAIN	blocklist
--
-- Hashes of files (Intel::FILE_HASH) are there with --file-hashes; those of certificates (Intel::CERT_HASH) are SHA-256, as in ssl.log.
load "lib/text.lua"

-- Files of indicators.
local files = { "intel.dat" }

for _, file in ipairs(files) do intel.load(file) end

local function seen(c, where, kind, indicator)
  if indicator and indicator ~= "" then
    intel.seen { c = c, where = where, indicator_type = "Intel::" .. kind, indicator = indicator }
  end
end

local function is_address(name) return name:find "^[%d.]+$" or name:find(":", 1, true) end

local function name_seen(c, where, name)
  seen(c, where, is_address(name) and "ADDR" or "DOMAIN", name)
end

local function both_ends(c)
  seen(c, "Conn::IN_ORIG", "ADDR", c.orig_h)
  seen(c, "Conn::IN_RESP", "ADDR", c.resp_h)
end

-- An address that is only asked by a SYN says nothing: it may be forged.
on("connection_established", both_ends)
on("new_connection", function(c)
  if c.proto ~= "tcp" then both_ends(c) end
end)

on("http_header", function(c, is_orig, _, name, value)
  if not is_orig then return end
  if name == "HOST" then
    -- Without the port; [2001:db8::1] without the brackets.
    name_seen(c, "HTTP::IN_HOST_HEADER", value:match "^%[([^%]]*)%]" or value:match "^[^:]*")
  elseif name == "USER-AGENT" then
    seen(c, "HTTP::IN_USER_AGENT_HEADER", "SOFTWARE", value)
  end
end)

on("ssl_extension_server_name", function(c, is_orig, names)
  if not is_orig then return end
  for n = 1, math.min(#names, 10) do seen(c, "SSL::IN_SERVER_NAME", "DOMAIN", names[n]) end
end)

on("ssh_auth_successful", function(c) seen(c, "SSH::SUCCESSFUL_LOGIN", "ADDR", c.orig_h) end)
on("ssh_server_host_key", function(c, hash) seen(c, "SSH::IN_SERVER_HOST_KEY", "PUBKEY_HASH", hash) end)

-- What there are no events of stands in rows.
on_row("dns", function(row) seen(conn_of(row), "DNS::IN_REQUEST", "DOMAIN", row.query) end)
on_row("files", function(row)
  for _, hash in ipairs { "md5", "sha1", "sha256" } do seen(conn_of(row), "Files::IN_HASH", "FILE_HASH", row[hash]) end
end)
on_row("ssl", function(row)
  for _, column in ipairs { "cert_chain_fps", "client_cert_chain_fps" } do
    for _, hash in ipairs(row[column] or {}) do seen(conn_of(row), "X509::IN_CERT", "CERT_HASH", hash) end
  end
end)
