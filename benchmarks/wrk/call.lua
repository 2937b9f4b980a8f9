-- One request again and again: POST $BODY_FILE, and at the end one line of JSON for the benchmark to read.
-- It says when each answer was complete, in milliseconds of the monotonic clock that Python reads, too.
local ffi = require("ffi")
ffi.cdef([[
  typedef struct { long seconds; long nanoseconds; } moment;
  int clock_gettime(int clock, moment *now);
]])
local threads = {}
local file = assert(io.open(os.getenv("BODY_FILE"), "rb"))
wrk.method = "POST"
wrk.body = file:read("*a")
wrk.headers["Content-Type"] = "application/json"
file:close()
answered = {}

function now()
  local read = ffi.new("moment")
  ffi.C.clock_gettime(1, read)
  return tonumber(read.seconds) * 1000 + tonumber(read.nanoseconds) / 1e6
end

function setup(thread)
  thread:set("place", #threads)
  table.insert(threads, thread)
end

function response()
  answered[#answered + 1] = now()
end

function all(name) -- the lists of this name of all threads, in one
  local found = {}
  for _, thread in ipairs(threads) do
    for _, value in ipairs(thread:get(name)) do found[#found + 1] = value end
  end
  return found
end

function result(summary, p50, p99)
  local failed, times = summary.errors, all("answered")
  for place, time in ipairs(times) do times[place] = string.format("%.1f", time) end
  io.write(string.format(
    '\nRESULT {"p50": %.3f, "p99": %.3f, "errors": %d, "answered": [%s]}\n', p50, p99,
    failed.connect + failed.read + failed.write + failed.status + failed.timeout, table.concat(times, ",")))
end

function done(summary, latency)
  result(summary, latency:percentile(50) / 1000, latency:percentile(99) / 1000)
end
