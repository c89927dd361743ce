-- What signatures match (`--signatures`), beyond the rows of signatures.log: a notice for each match, and those of hosts that match
-- much. Notices, actions and thresholds are those of Zeek's base/frameworks/signatures.

-- What becomes of a match, by the signature's name, in Zeek's words:
--   SIG_IGNORE            nothing, and no row
--   SIG_QUIET             no notice and no row, but it is counted
--   SIG_LOG               a row
--   SIG_FILE_BUT_NO_SCAN  a row, and it is not counted
--   SIG_ALARM             a row and a notice (Signatures::Sensitive_Signature)
--   SIG_ALARM_PER_ORIG    a row, and a notice once an originator
--   SIG_ALARM_ONCE        a row, and one notice
--   SIG_COUNT_PER_RESP    no row; a notice when so many have matched on a responder (Signatures::Count_Signature)
--   SIG_SUMMARY           a row, and a notice of how many there were of an originator (Signatures::Signature_Summary)
local actions = {
  -- ["http-shell"] = "SIG_ALARM_PER_ORIG",
}
-- Of all others.
local default = "SIG_ALARM"

-- On so many hosts the same signature of the same originator is a notice (Signatures::Multiple_Sig_Responders).
local horiz_thresholds = { 5, 10, 50, 100, 500, 1000 }
-- So many different signatures of the same pair of hosts are (Signatures::Multiple_Signatures).
local vert_thresholds = { 5, 10, 50, 100, 500, 1000 }
local count_thresholds = { 5, 10, 50, 100, 500, 1000, 10000, 1000000 }
local summary_interval = 86400
-- What was not seen for so many seconds is not counted any more.
local interval = 3600
-- Most of each that are remembered: signatures of originators, pairs of hosts, and so on.
local most = 20000
-- Most hosts of all signatures together, and signatures of all pairs.
local most_members = 50000

local function set_of(list)
  local set = {}
  for _, n in ipairs(list) do set[n] = true end
  return set
end

-- Members of many sets. `add` puts one into a set; the set's size, if it was not in there.
local function sets(thresholds)
  local sizes = expiring { read = interval, max = most }
  local members = expiring {
    read = interval, max = most_members, on_expire = function(_, of)
      local size = sizes:get(of)
      if size and size > 0 then sizes:set(of, size - 1) end
    end,
  }
  local is_threshold = set_of(thresholds)
  return function(of, member)
    local key = of .. " " .. member
    if members:get(key) then return nil end
    members:set(key, of)
    local size = sizes:increment(of)
    return is_threshold[size] and size
  end
end

local responders = sets(horiz_thresholds)
local signatures = sets(vert_thresholds)
local is_count = set_of(count_thresholds)
local counts = expiring { read = interval, max = most }
local told = expiring { read = interval, max = most }

local summaries = expiring {
  create = summary_interval, max = most, on_expire = function(_, s)
    notice { note = "Signatures::Signature_Summary", src = s.orig, msg = s.orig .. ": " .. s.msg, n = s.n }
  end,
}

on("signature_match", function(state, msg, data)
  local id, c = state.sig_id, state.conn
  local action = actions[id] or default
  if action == "SIG_IGNORE" then return end
  local orig, resp = c.orig_h, c.resp_h
  local of_orig = orig .. " " .. id
  local alarm = action == "SIG_ALARM"
  if action == "SIG_COUNT_PER_RESP" then
    local n = counts:increment(resp .. " " .. id)
    if is_count[n] then
      notice {
        note = "Signatures::Count_Signature", c = c, msg = msg, n = n,
        sub = string.format("%d matches of signature %s on host %s", n, id, resp),
      }
    end
  elseif action == "SIG_ALARM_PER_ORIG" then
    alarm = told:add(of_orig)
  elseif action == "SIG_ALARM_ONCE" then
    alarm = told:add(id)
  elseif action == "SIG_SUMMARY" then
    local s = summaries:get(of_orig)
    if s then s.n = s.n + 1 else summaries:set(of_orig, { orig = orig, msg = msg, n = 1 }) end
  end
  if alarm then
    local src, dst = orig, resp
    if not state.is_orig then src, dst = resp, orig end
    if #data > 140 then data = data:sub(1, 140) .. "..." end
    notice {
      note = "Signatures::Sensitive_Signature", c = c, src = src, dst = dst, msg = src .. ": " .. msg, sub = data,
    }
  end
  if action == "SIG_FILE_BUT_NO_SCAN" or action == "SIG_SUMMARY" then return end
  local n = responders(of_orig, resp)
  if n then
    notice {
      note = "Signatures::Multiple_Sig_Responders", src = orig, msg = msg, n = n,
      sub = string.format("%s has triggered signature %s on %d hosts", orig, id, n),
    }
  end
  n = signatures(orig .. " " .. resp, id)
  if n then
    notice {
      note = "Signatures::Multiple_Signatures", src = orig, dst = resp, msg = n .. " different signatures triggered", n = n,
      sub = string.format("%s has triggered %d different signatures on host %s", orig, n, resp),
    }
  end
end)

-- Rows of signatures.log are only looked at if some of them are to go.
local no_row = { SIG_IGNORE = true, SIG_QUIET = true, SIG_COUNT_PER_RESP = true }
local drops = no_row[default]
for _, action in pairs(actions) do drops = drops or no_row[action] end
if drops then
  log.filter("signatures", { where = function(row) return not no_row[actions[row.sig_id] or default] end })
end
