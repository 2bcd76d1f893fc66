-- Load for one question, driven by wrk: METHOD PATH BODY_BYTES after "--". Prints its figures as one line of JSON.
function init(args)
  wrk.method = args[1]
  wrk.path = args[2]
  local bytes = tonumber(args[3])
  if bytes > 0 then
    wrk.body = string.rep("x", bytes)
    wrk.headers["Content-Type"] = "application/octet-stream"
  end
  -- built once: what the generator costs comes off the core that the backend needs
  local bytesOfRequest = wrk.format()
  request = function() return bytesOfRequest end
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"seconds":%.6f,"p50Ms":%.3f,"p99Ms":%.3f,"errors":%d}\n',
    summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.timeout + errors.status))
end
