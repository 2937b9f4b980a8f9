-- As call.lua, at $RATE requests per second whether or not answers come in time. One connection for each thread.
-- A request's time counts from the moment at which it was due, so a stalled service is not spared the requests that
-- a patient client would not have sent. wrk waits in whole milliseconds, rounded up: at most 1 ms is its own.
dofile(os.getenv("WRK_FOLDER") .. "/call.lua")
local count = tonumber(os.getenv("THREADS"))
local interval = 1000 * count / tonumber(os.getenv("RATE"))

function init()
  due = now() + interval * (place / count - 1)
  times = {}
end

function delay()
  due = due + interval
  return math.max(0, math.ceil(due - now()))
end

function response()
  answered[#answered + 1] = now()
  times[#times + 1] = answered[#answered] - due
end

function done(summary)
  local sorted = all("times")
  table.sort(sorted)
  local function percentile(share) return sorted[math.max(1, math.ceil(#sorted * share))] or 0 end
  result(summary, percentile(0.50), percentile(0.99))
end
