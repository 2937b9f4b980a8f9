-- As call.lua, each request with a number of its own in place of @number@: what was sent before is not kept again.
dofile(os.getenv("WRK_FOLDER") .. "/call.lua")
local before, after = wrk.body:match("^(.*)@number@(.*)$")
local number = 0

function request()
  number = number + 1
  return wrk.format(nil, nil, nil, before .. os.getenv("RUN") .. "-" .. number .. after)
end
