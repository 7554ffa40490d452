/**
 * What Redis does with a batch, all at once: gives it times, keeps the books of both budgets, tells followers. Keys (all in one slot):
 *
 *     cupola:{logs}:lines:APP    stream: one entry a batch, f floor, n number of lines, r rows
 *     cupola:{logs}:newest       hash: APP -> id of its newest entry
 *     cupola:{logs}:dropped      hash: APP -> number of dropped lines, and the id of the newest of them
 *     cupola:{logs}:sizes        sorted set: APP by bytes
 *     cupola:{logs}:total        bytes of all
 */
const PREFIX = 'cupola:{logs}';
const STREAMS = `${PREFIX}:lines:`;
/** What an entry takes beside its rows, about (ours). */
const ENTRY_COST = 60;
/** No more are dropped for one append, should a budget have become much smaller. */
const DROPS_MAX = 100;

export const streamOf = (appGuid: string): string => `${STREAMS}${appGuid}`;
/** Of pub/sub: `ID FLOOR`, a line's end, and the rows; or `REMOVED`. */
export const channelOf = (appGuid: string): string => `${PREFIX}:told:${appGuid}`;
export const REMOVED = 'removed';
export const appOfChannel = (channel: string): string => channel.slice(channelOf('').length);
export const NEWEST = `${PREFIX}:newest`;
export const DROPPED = `${PREFIX}:dropped`;
const SIZES = `${PREFIX}:sizes`;
const TOTAL = `${PREFIX}:total`;
export const BOOKS = [NEWEST, DROPPED, SIZES, TOTAL] as const;

/** KEYS: the books. ARGV: app, id that the batch claims, number of lines, rows, budget of an app, budget of all. */
export const APPEND = `
local app, claimed, count, rows = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local appMax, allMax = tonumber(ARGV[5]), tonumber(ARGV[6])

local function parts(id)
  local ms, ns = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(ns)
end
local function plus(ms, ns, more)
  ns = ns + more
  return ms + math.floor(ns / 1000000), ns % 1000000
end
local function id(ms, ns)
  return string.format('%.0f-%.0f', ms, ns)
end

local ms, ns = parts(redis.call('HGET', KEYS[1], app) or '0-0')
local floorMs, floorNs = plus(ms, ns, 1)
local lastMs, lastNs = plus(floorMs, floorNs, count - 1)
local claimedMs, claimedNs = parts(claimed)
if claimedMs > lastMs or (claimedMs == lastMs and claimedNs > lastNs) then
  lastMs, lastNs = claimedMs, claimedNs
end
local floor, last = id(floorMs, floorNs), id(lastMs, lastNs)
redis.call('XADD', '${STREAMS}' .. app, last, 'f', floor, 'n', count, 'r', rows)
redis.call('HSET', KEYS[1], app, last)
local cost = #rows + ${ENTRY_COST}
local size = tonumber(redis.call('ZINCRBY', KEYS[3], cost, app))
local total = redis.call('INCRBY', KEYS[4], cost)

local drops = 0
local function dropOldest(of)
  drops = drops + 1
  local oldest = redis.call('XRANGE', '${STREAMS}' .. of, '-', '+', 'COUNT', 1)[1]
  if not oldest then
    redis.call('ZREM', KEYS[3], of)
    return 0
  end
  local before = redis.call('HGET', KEYS[2], of)
  local dropped = before and tonumber(string.match(before, '^%d+')) or 0
  redis.call('HSET', KEYS[2], of, (dropped + oldest[2][4]) .. ' ' .. oldest[1])
  redis.call('XDEL', '${STREAMS}' .. of, oldest[1])
  local freed = #oldest[2][6] + ${ENTRY_COST}
  redis.call('ZINCRBY', KEYS[3], -freed, of)
  redis.call('DECRBY', KEYS[4], freed)
  return freed
end
while size > appMax and drops < ${DROPS_MAX} and redis.call('XLEN', '${STREAMS}' .. app) > 1 do
  local freed = dropOldest(app)
  size, total = size - freed, total - freed
end
while total > allMax and drops < ${DROPS_MAX} do
  local most = redis.call('ZREVRANGE', KEYS[3], 0, 0)[1]
  if not most then break end
  total = total - dropOldest(most)
end
redis.call('PUBLISH', '${channelOf('')}' .. app, last .. ' ' .. floor .. '\\n' .. rows)
return last
`;

/** KEYS: the books. ARGV: app. */
export const REMOVE = `
local app = ARGV[1]
redis.call('DEL', '${STREAMS}' .. app)
redis.call('HDEL', KEYS[1], app)
redis.call('HDEL', KEYS[2], app)
local size = redis.call('ZSCORE', KEYS[3], app)
redis.call('ZREM', KEYS[3], app)
if size then redis.call('DECRBY', KEYS[4], size) end
redis.call('PUBLISH', '${channelOf('')}' .. app, '${REMOVED}')
return 1
`;
