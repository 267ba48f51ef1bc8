-- What the scripts share: counting whole completions, not single replies, and saying so at the end.
local threads = {}

function setup(thread)
  thread:set("completed", 0)
  thread:set("failed", 0)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

function complete() completed = completed + 1 end

function fail(why)
  failed = failed + 1
  if failed == 1 then io.stderr:write("first failure: " .. why .. "\n") end
end

function done(summary, latency)
  local completions, failures = 0, 0
  for _, thread in ipairs(threads) do
    completions = completions + thread:get("completed")
    failures = failures + thread:get("failed")
  end
  local counts = string.format("completions=%d failures=%d microseconds=%d", completions, failures, summary.duration)
  print(counts .. string.format(" median=%d p99=%d", latency:percentile(50), latency:percentile(99)))
end
