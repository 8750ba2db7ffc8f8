-- Arguments are paths, of which each request takes one at random; without any the URL's is asked for. After POST comes the
-- body, JSON, of each request to that.
function init(args)
  if #args == 0 then return end
  if args[1] == 'POST' then
    wrk.method, wrk.body, wrk.headers['Content-Type'] = 'POST', args[2], 'application/json'
    return
  end
  math.randomseed(1)
  request = function() return wrk.format('GET', args[math.random(#args)]) end
end

-- wrk calls this once, at the end: its figures as one line of JSON, latencies in microseconds.
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\nRESULT {"requests":%d,"seconds":%f,"p50":%f,"p99":%f,"max":%f,"errors":%d,"timeouts":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99), latency.max,
    errors.connect + errors.read + errors.write + errors.status, errors.timeout))
end
