import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { CELL_LIMITS } from '@cupola/model/limits';
import { localeOf } from '@cupola/sandbox/locale';
import type { Sandboxes } from '@cupola/sandbox/sandbox';
import { expect, test } from 'vitest';
import {
  aPlacement,
  aRunSpec,
  ask,
  healthCheck,
  isRoot,
  makeLayer,
  serverLayer,
  testCell,
  until,
  waitingClock,
} from './fixtures.ts';

test('the agent starts a placed copy, which answers at the address that it reports', async () => {
  await using cell = await testCell();
  const agent = await cell.startAgent();
  await agent.ready;
  const placement = aPlacement(aRunSpec([cell.add(await serverLayer())]));
  const running = await cell.run(placement);
  expect(await ask(running)).toBe('hello');
  expect(running).toMatchObject({ attempt: 1, crashCount: 0, routable: true, exit: null, placementError: null });
});

test('the agent gives a copy the environment of Cloud Foundry, and what its profile scripts add', async () => {
  await using cell = await testCell();
  await cell.startAgent();
  const app = await serverLayer({
    'app/.profile.d/10.sh': 'export FROM_APP=profile.d PATH=/toolchains/t/bin:$PATH\n',
    'profile.d/00.sh': 'export FROM_BUILDPACK="$HOME"\n',
    'app/.profile': 'export LAST="$FROM_APP"\n',
  });
  const tool = await makeLayer(
    { 'bin/greet': '#!/bin/sh\necho hi\n' },
    { mountPath: '/toolchains/t', kind: 'toolchain' },
  );
  const runSpec = aRunSpec([cell.add(tool), cell.add(app)], { command: 'greet && exec perl server.pl' });
  const running = await cell.run(aPlacement(runSpec, { guid: 'copy-7', index: 7 }));
  const environment = Object.fromEntries((await ask(running, '/env')).split('\n').map(line => line.split(/=(.*)/s)));
  expect(environment).toMatchObject({
    HOME: '/home/vcap/app',
    USER: 'vcap',
    TMPDIR: '/home/vcap/tmp',
    CF_INSTANCE_INDEX: '7',
    CF_INSTANCE_GUID: 'copy-7',
    INSTANCE_INDEX: '7',
    CF_INSTANCE_ADDR: `127.0.0.1:${running.address?.port}`,
    PORT: String(running.address?.port),
    VCAP_APP_HOST: '0.0.0.0',
    VCAP_APP_PORT: String(running.address?.port),
    LANG: localeOf('/'),
    FROM_APP: 'profile.d',
    FROM_BUILDPACK: '/home/vcap/app',
    LAST: 'profile.d',
  });
  expect(JSON.parse(environment.VCAP_APPLICATION ?? '')).toMatchObject({
    application_name: 'hello',
    instance_id: 'copy-7',
    instance_index: 7,
    port: running.address?.port,
  });
  await until('the toolchain has run', () => cell.api.lines('APP/PROC/WEB').includes('hi'));
});

test.each([
  ['greet --loud', 'the program: --loud'],
  ['greet  "a  b"; :', 'the program: a  b'],
  ['wave', 'a function: wave'],
  ['echo $((1 + 1)) -n', '2 -n'],
  ['type greet', 'greet is /home/vcap/deps/bin/greet'],
  ['no-such-program', '/bin/bash: line 1: no-such-program: command not found'],
])('the agent runs a command as a shell would: %s', async (command, said) => {
  await using cell = await testCell();
  await cell.startAgent();
  const app = await serverLayer({
    'deps/bin/greet': '#!/bin/sh\necho "the program: $*"\n',
    'deps/bin/wave': '#!/bin/sh\necho "no function"\n',
    'app/.profile': 'PATH=/home/vcap/deps/bin:$PATH\nwave() { echo "a function: wave"; }\nexport -f wave\n',
  });
  cell.api.place(aPlacement(aRunSpec([cell.add(app)], { command })));
  await until('it has said so', () => cell.api.lines('APP/PROC/WEB').includes(said));
});

test.each([
  ['greet --loud', 'the program: --loud'],
  ['printf %s%s two words', 'twowords'],
  ['no-such-program', '/bin/bash: line 1: no-such-program: command not found'],
])('the agent runs a command as a shell would where no script is: %s', async (command, said) => {
  await using cell = await testCell();
  await cell.startAgent();
  const app = await serverLayer({ 'deps/bin/greet': '#!/bin/sh\necho "the program: $*"\n' });
  const environment = { PATH: '/home/vcap/deps/bin:/usr/bin:/bin' };
  cell.api.place(aPlacement(aRunSpec([cell.add(app)], { command, environment })));
  await until('it has said so', () => cell.api.lines('APP/PROC/WEB').includes(said));
});

test('the agent starts a crashed copy again at once, and reports the end with its last lines', async () => {
  await using cell = await testCell();
  await cell.startAgent();
  const placement = aPlacement(aRunSpec([cell.add(await serverLayer())]));
  const first = await cell.run(placement);
  await ask(first, '/exit/3').catch(() => undefined);
  const second = await until('RUNNING again', () => {
    const copy = cell.api.copy(placement.guid);
    return copy?.state === 'RUNNING' && copy.attempt === 2 && copy;
  });
  expect(await ask(second)).toBe('hello');
  expect(second).toMatchObject({ crashCount: 1, exit: { code: 3, signal: null, outOfMemory: false } });
  expect(second.exit?.reason).toBe('APP/PROC/WEB: Exited with status 3');
  expect(second.exit?.lastLines.at(-1)).toBe('ending with 3');
});

test('the agent reports each crash as CRASHED, though it starts the copy again at once', async () => {
  await using cell = await testCell();
  await cell.startAgent();
  const placement = aPlacement(aRunSpec([cell.add(await serverLayer())], { command: 'exit 5' }));
  cell.api.place(placement);
  await until('the third crash', () => cell.api.copy(placement.guid)?.crashCount === 3);
  const crashes = cell.api.reports.filter(({ state }) => state === 'CRASHED');
  expect(crashes.map(({ attempt, crashCount }) => [attempt, crashCount])).toEqual([
    [1, 1],
    [2, 2],
    [3, 3],
  ]);
});

test('the agent runs sidecars beside the command, in one sandbox, and tells their lines apart', async () => {
  await using cell = await testCell();
  await cell.startAgent();
  const sidecars = [
    { name: 'helper', command: 'echo "with $MEMORY_LIMIT as $USER"; echo oops >&2; exec sleep 600', memoryMb: 16 },
    { name: 'other', command: 'sleep 600', memoryMb: null },
  ];
  const environment = { VCAP_APPLICATION: '{}', MEMORY_LIMIT: '48m' };
  const runSpec = aRunSpec([cell.add(await serverLayer())], { sidecars, environment });
  const placement = aPlacement(runSpec);
  const running = await cell.run(placement);
  expect(await ask(running)).toBe('hello');
  const source = 'APP/PROC/WEB/SIDECAR/HELPER';
  await until('both lines', () => cell.api.lines(source).length === 2);
  expect(cell.api.lines(source).toSorted()).toEqual(['oops', 'with 16m as vcap']);
  expect(await ask(running, '/env')).toContain('MEMORY_LIMIT=48m');
  cell.api.withdraw(placement.guid);
  await until('it is gone', () => cell.api.copy(placement.guid)?.state === 'GONE');
  await until('SIGTERM was seen', () => cell.api.lines('APP/PROC/WEB').includes('asked to end'));
});

test('a sidecar that ends ends its instance, with its status', async () => {
  await using cell = await testCell();
  await cell.startAgent();
  const sidecars = [{ name: 'weak', command: 'exit 9', memoryMb: null }];
  const placement = aPlacement(aRunSpec([cell.add(await serverLayer())], { sidecars }));
  cell.api.place(placement);
  const crashed = await until('a crash', () => cell.api.reports.find(({ state }) => state === 'CRASHED'));
  expect(crashed.exit).toMatchObject({ code: 9, reason: 'APP/PROC/WEB: Exited with status 9' });
});

test('the agent stops a copy whose health is its being alive', async () => {
  await using cell = await testCell();
  await cell.startAgent();
  const none = healthCheck({ type: 'process' });
  const placement = aPlacement(aRunSpec([cell.add(await serverLayer())], { healthCheck: none }));
  await cell.run(placement);
  await until('it listens', () => cell.api.lines('APP/PROC/WEB').some(line => line.startsWith('listening')));
  cell.api.withdraw(placement.guid);
  await until('it is gone', () => cell.api.copy(placement.guid)?.state === 'GONE');
  await until('SIGTERM was seen', () => cell.api.lines('APP/PROC/WEB').includes('asked to end'));
});

test.each([
  ['exit 0', 0],
  ['exit 7', 7],
])('the agent runs a task once, in its environment, and reports its end: %s', async (command, code) => {
  await using cell = await testCell();
  await cell.startAgent();
  const none = healthCheck({ type: 'process' });
  const runSpec = aRunSpec([cell.add(await serverLayer())], {
    taskName: 'migrate',
    command: `echo "for $VCAP_APPLICATION"; env | grep ^CF_INSTANCE_[AP] | sort; ${command}`,
    healthCheck: none,
  });
  const placement = aPlacement(runSpec);
  cell.api.place(placement);
  const end = await until('its end', () => {
    const copy = cell.api.copy(placement.guid);
    return copy?.state === 'CRASHED' && copy;
  });
  const reason = `APP/TASK/migrate: Exited with status ${code}`;
  expect(end).toMatchObject({ attempt: 1, crashCount: 0, restartAtMs: null, exit: { code, reason } });
  await until('its last line', () => cell.api.lines('APP/TASK/migrate').includes(`Exit status ${code}`));
  const [first, ...ports] = cell.api.lines('APP/TASK/migrate');
  expect(first).toMatch(/^for .*"application_name":"hello"/);
  expect(ports.slice(0, 3)).toEqual(['CF_INSTANCE_ADDR=', 'CF_INSTANCE_PORT=', 'CF_INSTANCE_PORTS=[]']);
  expect(cell.api.lines('CELL')).not.toContain('Container became healthy');
});

test('the agent does not run a task again that it stopped for its own end', async () => {
  await using cell = await testCell();
  const agent = await cell.startAgent();
  const none = healthCheck({ type: 'process' });
  const placement = aPlacement(
    aRunSpec([cell.add(await serverLayer())], { taskName: 't', command: 'sleep 60', healthCheck: none }),
  );
  await cell.run(placement);
  await agent.stopAll();
  const end = await until('its end', () => {
    const copy = cell.api.copy(placement.guid);
    return copy?.state === 'CRASHED' && copy;
  });
  expect(end.exit?.reason).toBe('stopped with its cell');
  await agent[Symbol.asyncDispose]();
  const next = await cell.startAgent();
  await next.ready;
  expect(cell.api.copy(placement.guid)).toMatchObject({ state: 'CRASHED', attempt: 1 });
});

test('the agent waits before the third restart in a row, by the table', async () => {
  await using cell = await testCell();
  await cell.startAgent();
  const placement = aPlacement(aRunSpec([cell.add(await serverLayer())], { command: 'echo no; exit 0' }));
  cell.api.place(placement);
  const waiting = await until('the third crash', () => {
    const copy = cell.api.copy(placement.guid);
    return copy?.state === 'CRASHED' && copy.crashCount === 3 && copy;
  });
  expect(waiting.attempt).toBe(3);
  // 30 s; the second pause would be 60. Between the two clocks a busy machine may stand still.
  expect(waiting.restartAtMs).toBeGreaterThanOrEqual(waiting.sinceMs + 20_000);
  expect(waiting.restartAtMs).toBeLessThanOrEqual(waiting.sinceMs + 40_000);
  expect(waiting.exit).toMatchObject({ code: 0, reason: 'APP/PROC/WEB: Exited with status 0', lastLines: ['no'] });
});

test('the agent stops a withdrawn copy gracefully, others stay', async () => {
  await using cell = await testCell();
  await cell.startAgent();
  const runSpec = aRunSpec([cell.add(await serverLayer())]);
  const [stays, goes] = [aPlacement(runSpec), aPlacement(runSpec, { index: 1 })];
  const [staying] = [await cell.run(stays), await cell.run(goes)];
  cell.api.withdraw(goes.guid);
  await until('GONE', () => cell.api.copy(goes.guid)?.state === 'GONE');
  const states = cell.api.reports
    .filter(({ guid }) => guid === goes.guid)
    .map(({ state, routable }) => [state, routable]);
  expect(states.slice(-2)).toEqual([
    ['STOPPING', false],
    ['GONE', false],
  ]);
  await until('SIGTERM was seen', () => cell.api.lines('APP/PROC/WEB').includes('asked to end'));
  expect(await ask(staying)).toBe('hello');
  const { folder } = cell;
  await until(
    'nothing is left',
    () => !readdirSync(join(folder, 'sandboxes')).some(name => name.startsWith(goes.guid)),
  );
  expect(readdirSync(join(folder, 'agent/copies')).some(name => name.startsWith(goes.guid))).toBe(false);
});

test('the agent kills what does not end at SIGTERM within its grace', async () => {
  await using cell = await testCell();
  await cell.startAgent();
  const layer = cell.add(await serverLayer());
  const placement = aPlacement(aRunSpec([layer], { environment: { DEAF: '1' } }));
  await cell.run(placement);
  cell.api.withdraw(placement.guid);
  await until('GONE', () => cell.api.copy(placement.guid)?.state === 'GONE');
  expect(cell.api.lines('APP/PROC/WEB')).not.toContain('asked to end');
});

test('the agent restarts a copy, crashes forgotten, when its start sequence grows', async () => {
  await using cell = await testCell();
  await cell.startAgent();
  const placement = aPlacement(aRunSpec([cell.add(await serverLayer())]));
  const first = await cell.run(placement);
  await ask(first, '/exit/1').catch(() => undefined);
  await until(
    'RUNNING again',
    () => cell.api.copy(placement.guid)?.attempt === 2 && cell.api.copy(placement.guid)?.state === 'RUNNING',
  );
  cell.api.place({ ...placement, startSequence: 1 });
  const third = await until('the third start', () => {
    const copy = cell.api.copy(placement.guid);
    return copy?.state === 'RUNNING' && copy.attempt === 3 && copy;
  });
  expect(third).toMatchObject({ crashCount: 0, exit: null });
  expect(await ask(third)).toBe('hello');
});

test.runIf(isRoot)('the agent names the memory limit when a copy runs out of it', async () => {
  await using cell = await testCell();
  await cell.startAgent();
  const placement = aPlacement(aRunSpec([cell.add(await serverLayer())], { memoryMb: 32 }));
  const running = await cell.run(placement);
  await ask(running, '/eat').catch(() => undefined);
  const crashed = await until('the crash', () => cell.api.reports.find(({ crashCount }) => crashCount === 1));
  expect(crashed.exit).toMatchObject({ signal: 9, outOfMemory: true, reason: 'out of memory: limit 32 MB' });
  await until('words', () => cell.api.lines('APP/PROC/WEB').includes('Exit status 137 (out of memory)'));
});

test.each([
  ['port', { LISTEN_PORT: '0' }, 'instead of'],
  ['http', {}, 'answered 503, not 200'],
] as const)('the agent crashes a copy that its %s check never finds healthy, and says why', async (type, env, why) => {
  await using cell = await testCell();
  // The time of a start is that of an app that is up.
  const clock = waitingClock();
  await cell.startAgent({ monotonic: clock.monotonic });
  const check = healthCheck({ type, endpoint: '/health', timeoutMs: 1_500 });
  const layer = cell.add(await serverLayer({ 'app/.profile': 'sed -i "s/status = 200/status = 503/" server.pl\n' }));
  const placement = aPlacement(aRunSpec([layer], { environment: { ...env }, healthCheck: check }));
  cell.api.place(placement);
  await until('it listens', () => cell.api.lines('APP/PROC/WEB').some(line => line.startsWith('listening')));
  clock.go();
  const crashed = await until('the crash', () => cell.api.reports.find(({ crashCount }) => crashCount === 1));
  expect(crashed.exit?.reason).toMatch(/^health check failed: /);
  expect(crashed.exit?.reason).toContain(why);
  expect(crashed.address).toBeNull();
  expect(cell.api.reports.filter(({ state }) => state === 'RUNNING')).toEqual([]);
  await until('words', () => cell.api.lines('CELL').includes('Timed out after 1.5s: health check never passed.'));
});

test('the agent crashes a copy whose liveness check fails once', async () => {
  await using cell = await testCell();
  await cell.startAgent();
  const check = healthCheck({ type: 'http', endpoint: '/health', intervalMs: 100 });
  const placement = aPlacement(aRunSpec([cell.add(await serverLayer())], { healthCheck: check }));
  const running = await cell.run(placement);
  await ask(running, '/status/500');
  const crashed = await until('the crash', () => cell.api.reports.find(({ crashCount }) => crashCount === 1));
  expect(crashed.exit?.reason).toContain('health check failed: GET /health');
  expect(crashed.exit?.reason).toContain('answered 500, not 200');
});

test('the agent takes a copy out of the routes, and lets it run, while its readiness check fails', async () => {
  await using cell = await testCell();
  await cell.startAgent();
  const check = healthCheck({ type: 'http', endpoint: '/health', intervalMs: 50 });
  const placement = aPlacement(aRunSpec([cell.add(await serverLayer())], { readinessHealthCheck: check }));
  const running = await cell.run(placement);
  await until('ready', () => cell.api.copy(placement.guid)?.routable);
  await ask(running, '/status/503');
  const unready = await until('unready', () => {
    const copy = cell.api.copy(placement.guid);
    return copy?.routable === false && copy;
  });
  expect(unready).toMatchObject({ state: 'RUNNING', crashCount: 0, sinceMs: running.sinceMs });
  await ask(running, '/status/200');
  await until('ready again', () => cell.api.copy(placement.guid)?.routable);
});

test('the agent reports what could not be started, and tries it again', async () => {
  await using cell = await testCell();
  await cell.startAgent();
  const { layer, tar } = await serverLayer();
  const placement = aPlacement(aRunSpec([layer]));
  cell.api.place(placement);
  const failed = await until('the error', () => cell.api.copy(placement.guid)?.placementError);
  expect(failed).toContain('the API answered 404');
  expect(cell.api.copy(placement.guid)).toMatchObject({ state: 'STARTING', crashCount: 0, exit: null });
  cell.api.layers.set(layer.digest, tar);
  await until('RUNNING', () => cell.api.copy(placement.guid)?.state === 'RUNNING');
  expect(cell.api.copy(placement.guid)).toMatchObject({ attempt: 2, placementError: null });
});

test.each(['cut', 'draining'] as const)(
  'a start waits while the API is away (%s): no error is counted, and it goes on as soon as the layer can be had',
  async layersAre => {
    await using cell = await testCell();
    await cell.startAgent();
    const layer = cell.add(await serverLayer());
    const placement = aPlacement(aRunSpec([layer]));
    cell.api.layersAre = layersAre;
    cell.api.place(placement);
    // More than the errors after which a cell is given nothing of an app for five minutes.
    await until('it asks again and again', () => cell.api.fetched.length > CELL_LIMITS.sandboxErrorsMax);
    cell.api.layersAre = 'sent';
    await until('RUNNING', () => cell.api.copy(placement.guid)?.state === 'RUNNING');
    expect(cell.api.reports.filter(({ placementError }) => placementError !== null)).toEqual([]);
    expect(cell.api.copy(placement.guid)).toMatchObject({ attempt: 1, crashCount: 0 });
  },
);

test('the agent gives up a sandbox that does not start in its time, and removes it when it comes up after all', async () => {
  await using cell = await testCell();
  const late = Promise.withResolvers<void>();
  const sandboxes: Sandboxes = {
    ...cell.sandboxes,
    start: async spec => {
      await late.promise;
      return cell.sandboxes.start(spec);
    },
  };
  await cell.startAgent({ sandboxes, sandboxStartMs: 50 });
  const placement = aPlacement(aRunSpec([cell.add(await serverLayer())]));
  cell.api.place(placement);
  const failed = await until('the error', () => cell.api.copy(placement.guid)?.placementError);
  expect(failed).toContain('the sandbox did not start within 0.05 s');
  expect(cell.api.copy(placement.guid)).toMatchObject({ state: 'STARTING', crashCount: 0, exit: null });
  const first = `${placement.guid}-1-1`;
  const isThere = (): boolean => readdirSync(join(cell.folder, 'sandboxes')).includes(first);
  late.resolve();
  await until('it has come up', isThere);
  await until('it is removed', () => !isThere());
});

test('the agent never starts a layer whose bytes are not what its digest says', async () => {
  await using cell = await testCell();
  await cell.startAgent();
  const { layer, tar } = await serverLayer();
  const flipped = Buffer.from(tar);
  flipped[tar.indexOf('hello')] = 0x48;
  cell.api.layers.set(layer.digest, flipped);
  const placement = aPlacement(aRunSpec([layer]));
  cell.api.place(placement);
  const failed = await until('the error', () => cell.api.copy(placement.guid)?.placementError);
  expect(failed).toContain('its bytes are not what its digest says');
  expect(readdirSync(join(cell.folder, 'agent/layers'))).toEqual([]);
});

test('the agent lays a layer out once for all copies, and fetches it once', async () => {
  await using cell = await testCell();
  await cell.startAgent();
  const runSpec = aRunSpec([cell.add(await serverLayer())]);
  await Promise.all([0, 1, 2].map(index => cell.run(aPlacement(runSpec, { index }))));
  expect(cell.api.fetched).toHaveLength(1);
});

test('the agent sends output and its own words as log lines, with rising times', async () => {
  await using cell = await testCell();
  await cell.startAgent();
  const placement = aPlacement(aRunSpec([cell.add(await serverLayer())]), { index: 2 });
  const running = await cell.run(placement);
  await ask(running, '/say/500');
  await until('the last line', () => cell.api.lines('APP/PROC/WEB').includes('line 500'));
  const own = cell.api.logs.filter(({ sourceType }) => sourceType === 'APP/PROC/WEB');
  expect(own.map(({ line }) => line).slice(-500)).toEqual(Array.from({ length: 500 }, (_, at) => `line ${at + 1}`));
  const times = own.map(({ timestampNs }) => BigInt(timestampNs));
  expect(new Set(times).size).toBe(times.length);
  expect(times.toSorted((a, b) => Number(a - b))).toEqual(times);
  expect(new Set(own.map(({ instanceId }) => instanceId))).toEqual(new Set(['2']));
  expect(cell.api.lines('CELL')).toEqual([
    `Cell cell-1 creating container for instance ${placement.guid}`,
    `Cell cell-1 successfully created container for instance ${placement.guid}`,
    'Starting health monitoring of container',
    'Container became healthy',
  ]);
});

test('the agent says when a copy prints more than its log rate', async () => {
  await using cell = await testCell();
  await cell.startAgent();
  const placement = aPlacement(aRunSpec([cell.add(await serverLayer())], { logRateBytesPerSecond: 1_000 }));
  const running = await cell.run(placement);
  await ask(running, '/say/5000');
  await until('the sentence', () =>
    cell.api.lines('APP/PROC/WEB').includes('app instance exceeded log rate limit (1000 bytes/sec)'),
  );
});

test.runIf(isRoot)('the agent sends heartbeats that carry what its copies use', async () => {
  await using cell = await testCell();
  await cell.startAgent();
  const placement = aPlacement(aRunSpec([cell.add(await serverLayer())]));
  await cell.run(placement);
  const beat = await until('usage', () => cell.api.heartbeats.find(({ usage }) => usage.length > 0));
  expect(beat.usage[0]?.guid).toBe(placement.guid);
  expect(beat.usage[0]?.memoryBytes).toBeGreaterThan(100_000);
  const counters = cell.api.heartbeats.map(({ counter }) => counter);
  expect(counters).toEqual(counters.map((_, at) => at + 1));
});
