-- As call.lua, each request with the next token of $TOKENS_FILE: a token is good for one call.
dofile(os.getenv("WRK_FOLDER") .. "/call.lua")
local tokens = io.lines(os.getenv("TOKENS_FILE"))

function request()
  wrk.headers["Authorization"] = "Bearer " .. (tokens() or "none-left")
  return wrk.format()
end
