-- Refresh rotation: each connection signs in once and from then on redeems the newest refresh token that it was given; a
-- completion is one redemption, with its ID token.
local here = debug.getinfo(1, "S").source:match("@(.*/)")
dofile(here .. "steps.lua")

local authorize, token = os.getenv("AUTHORIZE"), os.getenv("TOKEN")
local cookie, redirect = os.getenv("COOKIE"), os.getenv("REDIRECT")
local headers = { ["Authorization"] = os.getenv("BASIC"), ["Content-Type"] = "application/x-www-form-urlencoded" }
-- The one of RFC 7636, appendix B.
local verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
local code, refresh = nil, nil

function request()
  if refresh then
    return wrk.format("POST", token, headers, "grant_type=refresh_token&refresh_token=" .. refresh)
  elseif code then
    local body = "grant_type=authorization_code&code=" .. code .. "&redirect_uri=" .. redirect .. "&code_verifier=" .. verifier
    return wrk.format("POST", token, headers, body)
  end
  return wrk.format("GET", authorize, { ["Cookie"] = cookie })
end

function response(status, headers, body)
  if not refresh and not code then
    local place = headers["location"] or headers["Location"] or ""
    code = place:match("[?&]code=([^&]+)")
    if not code then fail("authorize " .. status .. " " .. place .. body:sub(1, 200)) end
    return
  end
  local was, new = refresh, body:match('"refresh_token":"([^"]+)"')
  if not new or new == was or not body:find('"id_token"', 1, true) then
    code, refresh = nil, nil
    fail("token " .. status .. " " .. body:sub(1, 300))
    return
  end
  if was then complete() end
  refresh = new
end
