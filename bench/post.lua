-- Posts the file that is named on the command line, and ends with one line of JSON.

function init(arguments)
  local file = assert(io.open(arguments[1]))
  local headers = { ["content-type"] = "application/json" }
  request_text = wrk.format("POST", nil, headers, file:read("*a"))
  file:close()
end

function request()
  return request_text
end

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format(
    '{"requests":%d,"seconds":%f,"errors":%d,"p50":%d,"p99":%d}\n',
    summary.requests, summary.duration / 1e6, failed,
    latency:percentile(50), latency:percentile(99)
  ))
end
