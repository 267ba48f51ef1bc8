-- One request again and again; with COOKIES or BODIES, files of one Cookie header or body a line, each line in turn.
local here = debug.getinfo(1, "S").source:match("@(.*/)")
dofile(here .. "steps.lua")

local method, path, body = os.getenv("METHOD") or "GET", os.getenv("TARGET"), os.getenv("BODY")
local expected, right = os.getenv("EXPECTED") or "", tonumber(os.getenv("STATUS") or "200")
local headers, cookies, bodies, turn = {}, {}, {}, 0
if os.getenv("BASIC") then headers["Authorization"] = os.getenv("BASIC") end
if body or os.getenv("BODIES") then headers["Content-Type"] = "application/x-www-form-urlencoded" end

local function read(name, lines)
  if not os.getenv(name) then return end
  for line in io.lines(os.getenv(name)) do table.insert(lines, line) end
end

function init()
  read("COOKIES", cookies)
  read("BODIES", bodies)
  turn = number * 61
end

function request()
  turn = turn + 1
  if #cookies > 0 then headers["Cookie"] = cookies[turn % #cookies + 1] end
  if #bodies > 0 then body = bodies[turn % #bodies + 1] end
  return wrk.format(method, path, headers, body)
end

function response(status, _, said)
  if status == right and said:find(expected, 1, true) then complete() else fail(status .. " " .. said:sub(1, 300)) end
end
