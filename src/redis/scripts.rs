//! What the reading end has Redis do at one instant, in Lua.

/// Drops the jobs up to ARGV[1], but none after the last flight, counted from the base that holds
/// at this very instant, so that a trim that comes late or twice drops nothing else; and the
/// pending counts behind the further keys. The event ids of the dropped jobs, ARGV[3] and up, go to
/// the list of ids; what that has from before ARGV[2], in ms, goes.
pub(super) const TRIM: &str = r"
local base = tonumber(redis.call('HGET', KEYS[2], 'base') or '1')
local last = tonumber(redis.call('HGET', KEYS[3], 'seq') or '0')
local upto = math.min(tonumber(ARGV[1]), last)
for i = 3, #ARGV do
  if struct.unpack('<I8', ARGV[i]) >= base then redis.call('RPUSH', KEYS[4], ARGV[i]) end
end
local oldest = redis.call('LRANGE', KEYS[4], 0, 0)[1]
while oldest and (#oldest < 16 or struct.unpack('<i8', oldest, 9) < tonumber(ARGV[2])) do
  redis.call('LTRIM', KEYS[4], 1, -1)
  oldest = redis.call('LRANGE', KEYS[4], 0, 0)[1]
end
if upto >= base then
  redis.call('LTRIM', KEYS[1], upto - base + 1, -1)
  redis.call('HSET', KEYS[2], 'base', string.format('%.0f', upto + 1))
end
for i = 5, #KEYS do redis.call('UNLINK', KEYS[i]) end
return 1
";

/// Jobs from number ARGV[1] on, at most ARGV[2] and no further one once ARGV[3] bytes are reached,
/// and the base they were counted from: at one instant, because a predecessor that is not fenced
/// yet may trim. Few at a time, so that the script holds no more than it gives.
pub(super) const PAGE: &str = r"
local base = tonumber(redis.call('HGET', KEYS[2], 'base') or '1')
local first = math.max(tonumber(ARGV[1]) - base, 0)
local last = first + tonumber(ARGV[2]) - 1
local jobs, bytes, step = {}, 0, 1
while first <= last and bytes < tonumber(ARGV[3]) do
  local more = redis.call('LRANGE', KEYS[1], first, math.min(first + step - 1, last))
  if #more == 0 then break end
  local grown = 0
  for _, job in ipairs(more) do
    if bytes < tonumber(ARGV[3]) then
      jobs[#jobs + 1] = job
      bytes = bytes + #job
      grown = grown + #job
    end
  end
  first = first + #more
  step = grown < 65536 and math.min(step * 2, 256) or math.max(math.floor(step / 2), 1)
end
return {base, jobs}
";

/// Adds to pending counts, unless another writer has taken the shard.
pub(super) const ADD_PENDING: &str = r"
if redis.call('HGET', KEYS[1], 'term') ~= ARGV[1] then return 0 end
for i = 2, #ARGV, 2 do redis.call('HINCRBY', KEYS[2], ARGV[i], ARGV[i + 1]) end
return 1
";

/// Puts ARGV[2] in the place of flight ARGV[3], and ARGV[4] in those of the flights that follow, if
/// term ARGV[1] holds the shard and the list has all of them; they ascend.
pub(super) const MERGE: &str = r"
if redis.call('HGET', KEYS[3], 'term') ~= ARGV[1] then return 0 end
local base = tonumber(redis.call('HGET', KEYS[2], 'base') or '1')
local last = base + redis.call('LLEN', KEYS[1]) - 1
if tonumber(ARGV[5]) < base or tonumber(ARGV[3]) > last then return 0 end
redis.call('LSET', KEYS[1], tonumber(ARGV[3]) - base, ARGV[2])
for i = 5, #ARGV do redis.call('LSET', KEYS[1], tonumber(ARGV[i]) - base, ARGV[4]) end
return 1
";
