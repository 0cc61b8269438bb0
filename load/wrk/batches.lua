-- Request generator for wrk: POSTs of EVENTS events each, over MESSAGES distinct messages.
--
-- Every request is written once, before the clock starts. Each event has its own time, in
-- milliseconds, within the last seconds; a service, a level, and a stack trace of three frames.
--
-- Environment: BATCH_PATH (default /api/v1/errors/batch), BATCH_EVENTS (1000), BATCH_MESSAGES (200),
-- BATCH_FORMAT (ndjson or array).
-- The last line it prints is for programs, as that of errors.lua.

local path = os.getenv("BATCH_PATH") or "/api/v1/errors/batch"
local events = tonumber(os.getenv("BATCH_EVENTS") or "1000")
local messages = tonumber(os.getenv("BATCH_MESSAGES") or "200")
local format = os.getenv("BATCH_FORMAT") or "ndjson"
local variants = 8

local threads = 0
function setup(thread)
   thread:set("start", threads * 67)
   threads = threads + 1
end

local begun = os.time()
local function event(n)
   local message = n % messages
   local at = os.date("!%Y-%m-%dT%H:%M:%S", begun - n % 5)
   return string.format(
      '{"message":"Connection to replica %03d refused after 3 attempts","service":"api","level":"error",'
         .. '"timestamp":"%s.%03dZ",'
         .. '"stackTrace":"Error: ECONNREFUSED\\n    at Socket.connect (/app/db/pool.js:%d:17)'
         .. '\\n    at Pool.acquire (/app/db/pool.js:88:9)\\n    at handle (/app/api.js:41:5)"}',
      message, at, n * 7 % 1000, 100 + message)
end

local requests = {}
local at = 0
function init(args)
   local headers = { ["Content-Type"] = format == "array" and "application/json" or "application/x-ndjson" }
   for variant = 1, variants do
      local all = {}
      for n = 1, events do
         all[n] = event(start + variant * events + n)
      end
      local body = format == "array" and "[" .. table.concat(all, ",") .. "]" or table.concat(all, "\n") .. "\n"
      requests[variant] = wrk.format("POST", path, headers, body)
   end
end

function request()
   at = at % variants + 1
   return requests[at]
end

function done(summary, latency, _)
   local e = summary.errors
   io.write(string.format(
      "RESULT requests=%d non2xx=%d connect=%d read=%d write=%d timeout=%d duration_us=%d p50_us=%d p99_us=%d\n",
      summary.requests, e.status, e.connect, e.read, e.write, e.timeout, summary.duration,
      latency:percentile(50), latency:percentile(99)))
end
