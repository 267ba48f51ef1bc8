-- The whole code flow with PKCE: authorize with a session, token, userinfo; a completion is all three.
local here = debug.getinfo(1, "S").source:match("@(.*/)")
dofile(here .. "steps.lua")

local authorize, token, userinfo = os.getenv("AUTHORIZE"), os.getenv("TOKEN"), os.getenv("USERINFO")
local cookie, basic, redirect = os.getenv("COOKIE"), os.getenv("BASIC"), os.getenv("REDIRECT")
-- The pair of RFC 7636, appendix B.
local verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
local form = "application/x-www-form-urlencoded"
local step, code, access = "authorize", nil, nil

function request()
  if step == "authorize" then
    return wrk.format("GET", authorize, { ["Cookie"] = cookie })
  elseif step == "token" then
    local body = "grant_type=authorization_code&code=" .. code .. "&redirect_uri=" .. redirect .. "&code_verifier=" .. verifier
    return wrk.format("POST", token, { ["Authorization"] = basic, ["Content-Type"] = form }, body)
  end
  return wrk.format("GET", userinfo, { ["Authorization"] = "Bearer " .. access })
end

function response(status, headers, body)
  if step == "authorize" then
    local place = headers["location"] or headers["Location"] or ""
    code = place:match("[?&]code=([^&]+)")
    if code then step = "token" else fail("authorize " .. status .. " " .. place .. body:sub(1, 200)) end
  elseif step == "token" then
    access = body:match('"access_token":"([^"]+)"')
    if access and body:find('"id_token"', 1, true) then step = "userinfo" else step = "authorize" fail("token " .. status .. " " .. body) end
  else
    if status == 200 and body:find('"sub"', 1, true) then complete() else fail("userinfo " .. status .. " " .. body) end
    step = "authorize"
  end
end
