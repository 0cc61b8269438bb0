-- Request generator for wrk: POSTs of about 200 bytes of body over MESSAGES distinct messages.
--
-- Every request is written once, before the clock starts: per request the generator only picks the
-- next one, so it costs the same against errsift and against the limit server.
--
-- Environment: ERRORS_PATH (default /api/v1/errors/log), ERRORS_MESSAGES (default 200).
-- The last line it prints is for programs:
--   RESULT requests=… non2xx=… connect=… read=… write=… timeout=… duration_us=… p50_us=… p99_us=…

local path = os.getenv("ERRORS_PATH") or "/api/v1/errors/log"
local messages = tonumber(os.getenv("ERRORS_MESSAGES") or "200")

local threads = 0
function setup(thread)
   thread:set("start", threads * 67)
   threads = threads + 1
end

local function body(n)
   return string.format(
      '{"message":"Connection to replica %03d refused after 3 attempts",'
         .. '"stackTrace":"Error: ECONNREFUSED\\n    at Socket.connect (/app/db/pool.js:%d:17)'
         .. '\\n    at Pool.acquire (/app/db/pool.js:88:9)\\n    at handle (/app/api.js:41:5)"}',
      n, 100 + n)
end

local requests = {}
local at = 0
function init(args)
   local headers = { ["Content-Type"] = "application/json" }
   for n = 1, messages do
      requests[n] = wrk.format("POST", path, headers, body(n))
   end
   at = start
end

function request()
   at = at % messages + 1
   return requests[at]
end

function done(summary, latency, _)
   local e = summary.errors
   io.write(string.format(
      "RESULT requests=%d non2xx=%d connect=%d read=%d write=%d timeout=%d duration_us=%d p50_us=%d p99_us=%d\n",
      summary.requests, e.status, e.connect, e.read, e.write, e.timeout, summary.duration,
      latency:percentile(50), latency:percentile(99)))
end
