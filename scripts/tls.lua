-- Weak cryptography of TLS servers: SSL::Old_Version, SSL::Weak_Cipher and SSL::Weak_Key, with the meaning of Zeek's
-- policy/protocols/ssl/weak-keys; and servers' certificates that are expired, will soon be or are not yet valid, as in
-- policy/protocols/ssl/expiring-certs: SSL::Certificate_Expired, SSL::Certificate_Expires_Soon, SSL::Certificate_Not_Valid_Yet.
load "lib/text.lua"

-- Only servers of local_nets (lib/text.lua); false: all.
local local_servers_only = true
-- Oldest version that is fine; 0x0301 is TLS 1.0.
local oldest = 0x0301
-- Seconds before a certificate expires in which that is told.
local soon = 30 * 86400
-- Certificates that are remembered, until nobody has shown them for a day.
local most = 10000
-- Shortest prime of a Diffie-Hellman exchange, and key of RSA or DSA in a certificate, that is fine, bits.
local shortest_key = 2048
-- A server's notices are suppressed for so long, seconds.
local suppress = 86400

local versions = { [0x0002] = "SSLv20", [0x0300] = "SSLv30", [0x0301] = "TLSv10", [0x0302] = "TLSv11", [0x0303] = "TLSv12" }

-- Cipher suites with RC4 (RFC 7465) or made short for export, by their code points; the first two are of SSL 2.0.
local weak = { [0x010080] = "SSLv20_CK_RC4_128_WITH_MD5", [0x020080] = "SSLv20_CK_RC4_128_EXPORT40_WITH_MD5" }
for code, name in ([[
  0003 RSA_EXPORT_WITH_RC4_40_MD5        0004 RSA_WITH_RC4_128_MD5               0005 RSA_WITH_RC4_128_SHA
  0006 RSA_EXPORT_WITH_RC2_CBC_40_MD5    0008 RSA_EXPORT_WITH_DES40_CBC_SHA      000b DH_DSS_EXPORT_WITH_DES40_CBC_SHA
  000e DH_RSA_EXPORT_WITH_DES40_CBC_SHA  0011 DHE_DSS_EXPORT_WITH_DES40_CBC_SHA  0014 DHE_RSA_EXPORT_WITH_DES40_CBC_SHA
  0017 DH_ANON_EXPORT_WITH_RC4_40_MD5    0018 DH_ANON_WITH_RC4_128_MD5           0019 DH_ANON_EXPORT_WITH_DES40_CBC_SHA
  0020 KRB5_WITH_RC4_128_SHA             0024 KRB5_WITH_RC4_128_MD5              0026 KRB5_EXPORT_WITH_DES_CBC_40_SHA
  0027 KRB5_EXPORT_WITH_RC2_CBC_40_SHA   0028 KRB5_EXPORT_WITH_RC4_40_SHA        0029 KRB5_EXPORT_WITH_DES_CBC_40_MD5
  002a KRB5_EXPORT_WITH_RC2_CBC_40_MD5   002b KRB5_EXPORT_WITH_RC4_40_MD5        0060 RSA_EXPORT1024_WITH_RC4_56_MD5
  0061 RSA_EXPORT1024_WITH_RC2_CBC_56_MD5 0062 RSA_EXPORT1024_WITH_DES_CBC_SHA   0063 DHE_DSS_EXPORT1024_WITH_DES_CBC_SHA
  0064 RSA_EXPORT1024_WITH_RC4_56_SHA    0065 DHE_DSS_EXPORT1024_WITH_RC4_56_SHA 0066 DHE_DSS_WITH_RC4_128_SHA
  008a PSK_WITH_RC4_128_SHA              008e DHE_PSK_WITH_RC4_128_SHA           0092 RSA_PSK_WITH_RC4_128_SHA
  c002 ECDH_ECDSA_WITH_RC4_128_SHA       c007 ECDHE_ECDSA_WITH_RC4_128_SHA       c00c ECDH_RSA_WITH_RC4_128_SHA
  c011 ECDHE_RSA_WITH_RC4_128_SHA        c016 ECDH_ANON_WITH_RC4_128_SHA         c033 ECDHE_PSK_WITH_RC4_128_SHA
]]):gmatch "(%x%x%x%x) (%S+)" do
  weak[tonumber(code, 16)] = "TLS_" .. name
end

local function is_watched(c) return not local_servers_only or local_nets:has(c.resp_h) end

local function weakness(c, note, what, msg)
  notice { note = note, c = c, suppress_for = suppress, msg = msg, identifier = host_and_port(c.resp_h, c.resp_p) .. " " .. what }
end

on("ssl_server_hello", function(c, version, _, _, _, cipher)
  if not is_watched(c) then return end
  if version < oldest then
    local name = versions[version] or string.format("0x%04x", version)
    weakness(c, "SSL::Old_Version", "",
      string.format("Host uses protocol version %s which is lower than the safe minimum %s", name, versions[oldest]))
  end
  if weak[cipher] then
    weakness(c, "SSL::Weak_Cipher", weak[cipher], "Host established connection using unsafe cipher suite " .. weak[cipher])
  end
end)

on("ssl_dh_server_params", function(c, p)
  local bits = #p * 8
  if is_watched(c) and bits < shortest_key then
    weakness(c, "SSL::Weak_Key", bits, string.format("Host uses weak DH parameters with %d key bits", bits))
  end
end)

-- Certificates by their fingerprints, which ssl.log names; their rows come before those of their connections.
local certs = expiring { read = 86400, max = most }

on_row("x509", function(row)
  certs:set(row.fingerprint, {
    subject = row["certificate.subject"] or "", from = row["certificate.not_valid_before"], to = row["certificate.not_valid_after"],
    key = row["certificate.key_type"], bits = row["certificate.key_length"],
  })
end)

on_row("ssl", function(row)
  local first = row.cert_chain_fps and row.cert_chain_fps[1]
  local cert = first and row.established and certs:get(first)
  local c = conn_of(row)
  if not cert or not is_watched(c) then return end
  local at = now()
  if cert.from and cert.from > at then
    weakness(c, "SSL::Certificate_Not_Valid_Yet", first, "Certificate " .. cert.subject .. " isn't valid until " .. day(cert.from))
  elseif cert.to and cert.to < at then
    weakness(c, "SSL::Certificate_Expired", first, "Certificate " .. cert.subject .. " expired at " .. day(cert.to))
  elseif cert.to and cert.to - soon < at then
    weakness(c, "SSL::Certificate_Expires_Soon", first, "Certificate " .. cert.subject .. " is going to expire at " .. day(cert.to))
  end
  if (cert.key == "rsa" or cert.key == "dsa") and cert.bits and cert.bits < shortest_key then
    weakness(c, "SSL::Weak_Key", first .. cert.bits, string.format("Host uses weak certificate with %d bit key", cert.bits))
  end
end)
