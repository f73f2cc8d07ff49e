-- Posts the files that are named on the command line in turns, and ends with how many were answered.

local texts, next_text = {}, 0

function init(arguments)
  local headers = { ["content-type"] = "application/json" }
  for index, name in ipairs(arguments) do
    local file = assert(io.open(name))
    texts[index] = wrk.format("POST", nil, headers, file:read("*a"))
    file:close()
  end
end

function request()
  next_text = next_text % #texts + 1
  return texts[next_text]
end

function done(summary)
  local errors = summary.errors
  local lost = errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format('{"requests":%d,"lost":%d}\n', summary.requests, lost))
end
