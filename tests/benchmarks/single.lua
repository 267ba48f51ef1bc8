-- One request again and again; with COOKIES, a file of one Cookie header a line, each in turn.
local here = debug.getinfo(1, "S").source:match("@(.*/)")
dofile(here .. "steps.lua")

local method, path, body = os.getenv("METHOD") or "GET", os.getenv("TARGET"), os.getenv("BODY")
local expected = os.getenv("EXPECTED") or ""
local headers, cookies, turn = {}, {}, 0
if os.getenv("BASIC") then headers["Authorization"] = os.getenv("BASIC") end
if body then headers["Content-Type"] = "application/x-www-form-urlencoded" end

function init()
  if not os.getenv("COOKIES") then return end
  for line in io.lines(os.getenv("COOKIES")) do table.insert(cookies, line) end
  turn = number * 61
end

function request()
  if #cookies > 0 then
    turn = turn % #cookies + 1
    headers["Cookie"] = cookies[turn]
  end
  return wrk.format(method, path, headers, body)
end

function response(status, _, said)
  if status == 200 and said:find(expected, 1, true) then complete() else fail(status .. " " .. said:sub(1, 300)) end
end
