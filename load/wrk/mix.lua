-- The predecessor's mix for wrk: 70 % of the events from 5 errors, 30 % that come once; or another
-- share.
--
-- The 5 are written before the clock starts; a unique one costs the generator one substitution, and
-- the same against errsift and against the limit server.
--
-- Environment: ERRORS_PATH (default /api/v1/errors/log), ERRORS_COMMON (tenths from the 5 errors, 7).
-- Its last line is that of errors.lua.

local path = os.getenv("ERRORS_PATH") or "/api/v1/errors/log"
local share = tonumber(os.getenv("ERRORS_COMMON") or "7")
local headers = { ["Content-Type"] = "application/json" }

local threads = 0
function setup(thread)
   thread:set("number", threads)
   threads = threads + 1
end

local stack = '"stackTrace":"Error: ECONNREFUSED\\n    at Socket.connect (/app/db/pool.js:121:17)'
   .. '\\n    at Pool.acquire (/app/db/pool.js:88:9)\\n    at handle (/app/api.js:41:5)"}'

local common, before, after = {}, nil, nil
local sent, unique = 0, 0
function init(args)
   for n = 1, 5 do
      local body = string.format('{"message":"Connection to replica %d refused",%s', n, stack)
      common[n] = wrk.format("POST", path, headers, body)
   end
   -- twelve digits: the length stays the same
   local body = '{"message":"Order 000000000000 was not found",' .. stack
   local request = wrk.format("POST", path, headers, body)
   local from, to = string.find(request, "000000000000", 1, true)
   before, after = string.sub(request, 1, from - 1), string.sub(request, to + 1)
   -- runs must not repeat each other's
   unique = (os.time() % 100000) * 10000000 + number * 5000000
end

function request()
   sent = sent + 1
   if sent % 10 < share then
      return common[sent % 5 + 1]
   end
   unique = unique + 1
   return before .. string.format("%012d", unique) .. after
end

function done(summary, latency, _)
   local e = summary.errors
   io.write(string.format(
      "RESULT requests=%d non2xx=%d connect=%d read=%d write=%d timeout=%d duration_us=%d p50_us=%d p99_us=%d\n",
      summary.requests, e.status, e.connect, e.read, e.write, e.timeout, summary.duration,
      latency:percentile(50), latency:percentile(99)))
end
