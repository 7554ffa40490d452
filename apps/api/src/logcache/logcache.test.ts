import type { LogLine } from '@cupola/logs/log-store';
import { aBuild, aPackage, aSpace } from '@cupola/store/fixtures';
import { describe, expect, test, vi } from 'vitest';
import { cliHeaders } from '../apps/fixtures.ts';
import { startTestApi, type TestApi } from '../fixtures.ts';
import { anAppWithWeb } from '../packages/fixtures.ts';

/** What the cf CLI asks from when it knows nothing: its zero time. */
const ZERO_TIME = '-6795364578871345152';
const MS = 1_000_000n;

async function log(test: TestApi, appGuid: string, ...lines: string[]): Promise<void> {
  const timestampNs = BigInt(test.clock.now()) * MS;
  await test.deps.logs.append(
    lines.map((line): LogLine => ({ appGuid, sourceType: 'STG', instanceId: '0', type: 'OUT', timestampNs, line })),
  );
}

interface Envelope {
  timestamp: string;
  tags: Record<string, string>;
  log: { payload: string; type: string };
}
const textOf = ({ log: { payload } }: Envelope): string => Buffer.from(payload, 'base64').toString();

function reader(test: TestApi, appGuid: string, headers: Record<string, string> = {}) {
  return async (query: Record<string, string>): Promise<Envelope[]> => {
    const path = `/api/v1/read/${appGuid}?${new URLSearchParams(query)}`;
    const { status, body } = await test.api('GET', path, { token: test.admin, headers });
    if (status !== 200) throw new Error(`${status} ${JSON.stringify(body)}`);
    return body.envelopes.batch;
  };
}

test('GET /api/v1/info gives a version that the CLI takes for a new one, to anyone', async () => {
  await using test = await startTestApi();
  const { status, body } = await test.api('GET', '/api/v1/info');
  expect([status, body]).toEqual([200, { version: '3.0.11', vm_uptime: expect.stringMatching(/^\d+$/) }]);
});

describe('GET /api/v1/read/:guid', () => {
  test('answers what strict protobuf JSON takes, and nothing else', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test, { name: 'web1' });
    await test.deps.logs.append([
      {
        appGuid: app.guid,
        sourceType: 'APP/PROC/WEB',
        instanceId: '3',
        type: 'ERR',
        timestampNs: 1_767_323_045_123_456_789n,
        line: 'über\u001b[0m',
      },
    ]);
    const [envelope, ...more] = await reader(test, app.guid)({ start_time: '0' });
    expect(more).toEqual([]);
    expect(Object.keys(envelope ?? {}).sort()).toEqual(
      ['deprecated_tags', 'instance_id', 'log', 'source_id', 'tags', 'timestamp'].sort(),
    );
    expect(envelope).toMatchObject({
      timestamp: '1767323045123456789',
      source_id: app.guid,
      instance_id: '3',
      deprecated_tags: {},
      tags: {
        origin: 'rep',
        source_type: 'APP/PROC/WEB',
        app_name: 'web1',
        space_name: 'dev',
        organization_name: 'cupola',
      },
      log: { payload: Buffer.from('über\u001b[0m').toString('base64'), type: 'ERR' },
    });
    expect(Object.values(envelope?.tags ?? {}).every(value => typeof value === 'string')).toBe(true);
  });

  test('answers `logs --recent`: newest first, at most as many as asked, with true times also while a build runs', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    await aBuild(test.deps.store, { app_guid: app.guid, created_at: test.clock.now() });
    await log(test, app.guid, 'one', 'two', 'three');
    const recent = await reader(
      test,
      app.guid,
      cliHeaders(),
    )({
      descending: 'true',
      envelope_types: 'LOG',
      limit: '2',
      start_time: ZERO_TIME,
    });
    expect(recent.map(textOf)).toEqual(['three', 'two']);
    expect(BigInt(recent[1]?.timestamp ?? 0) / MS).toBe(BigInt(test.clock.now()));
  });

  test('takes start and end in nanoseconds, to the last digit', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    await log(test, app.guid, 'one', 'two', 'three');
    const read = reader(test, app.guid);
    const times = (await read({})).map(({ timestamp }) => BigInt(timestamp));
    const from = String(times[1]);
    expect((await read({ start_time: from })).map(textOf)).toEqual(['two', 'three']);
    expect((await read({ start_time: from, end_time: String(times[2]) })).map(textOf)).toEqual(['two']);
    expect((await read({ start_time: String((times[2] ?? 0n) + 1n) })).map(textOf)).toEqual([]);
  });

  test('has log lines only: other types and names match nothing', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    await log(test, app.guid, 'one');
    const read = reader(test, app.guid);
    expect(await read({ envelope_types: 'GAUGE' })).toEqual([]);
    expect(await read({ name_filter: 'cpu' })).toEqual([]);
    const both = await test.api('GET', `/api/v1/read/${app.guid}?envelope_types=GAUGE&envelope_types=LOG`, {
      token: test.admin,
    });
    expect(both.body.envelopes.batch).toHaveLength(1);
  });

  test.each([
    ['limit=1001', 400],
    ['limit=x', 400],
    ['start_time=yesterday', 400],
    ['limit=1000&unknown=1', 200],
  ])('with %s is %i', async (query, status) => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    expect((await test.api('GET', `/api/v1/read/${app.guid}?${query}`, { token: test.admin })).status).toBe(status);
  });

  test('is for who may see the app; to others it is not there', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    const auditor = await test.userWith({ space_auditor: test.home.spaceGuid });
    const stranger = await test.userWith({ space_developer: (await aSpace(test.deps.store)).guid });
    const read = async (guid: string, token?: string) =>
      (await test.api('GET', `/api/v1/read/${guid}`, token === undefined ? {} : { token })).status;
    expect([
      await read(app.guid, auditor.token),
      await read(app.guid, stranger.token),
      await read('nowhere', test.admin),
      await read(app.guid),
    ]).toEqual([200, 404, 404, 401]);
  });
});

/**
 * The tail of the cf CLI (cf-api-contract.md 7), a step at a time: asks for any envelope, then for what came since, and drops what is younger than 2 s.
 */
function cliTail(test: TestApi, appGuid: string) {
  const read = reader(test, appGuid, cliHeaders());
  let startNs: bigint | null = null;
  return async (): Promise<string[]> => {
    if (startNs === null) {
      const [newest] = await read({ descending: 'true', limit: '1', start_time: ZERO_TIME });
      if (newest !== undefined) startNs = BigInt(newest.timestamp) - 1_000n * MS;
      return [];
    }
    const batch = await read({ envelope_types: 'LOG', start_time: String(startNs) });
    const oldEnough = batch.filter(({ timestamp }) => BigInt(timestamp) <= BigInt(test.clock.now() - 2_000) * MS);
    const last = oldEnough.at(-1);
    if (last !== undefined) startNs = BigInt(last.timestamp) + 1n;
    return oldEnough.map(textOf);
  };
}

describe("the cf CLI's tail while a build runs", () => {
  test('shows each line of the build at once, each once, whatever the log held before', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    await log(test, app.guid, 'of a former push');
    test.clock.pass(60_000);
    await aBuild(test.deps.store, { app_guid: app.guid, created_at: test.clock.now() });
    await log(test, app.guid, 'first', 'second');
    test.clock.pass(300);
    const tail = cliTail(test, app.guid);
    await tail();
    expect(await tail()).toEqual(['first', 'second']);
    await log(test, app.guid, 'third');
    expect(await tail()).toEqual(['third']);
    await log(test, app.guid, 'fourth', 'fifth');
    expect(await tail()).toEqual(['fourth', 'fifth']);
  });

  test('goes on where it was when the build has ended: no line twice, none left out', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    await aBuild(test.deps.store, { app_guid: app.guid, created_at: test.clock.now(), updated_at: test.clock.now() });
    await log(test, app.guid, 'first');
    const tail = cliTail(test, app.guid);
    await tail();
    expect(await tail()).toEqual(['first']);
    await test.deps.store.mutate(({ db, now }) =>
      db.updateTable('builds').set({ state: 'STAGED', finished_at: now, updated_at: now }).execute(),
    );
    test.clock.pass(10_000);
    await log(test, app.guid, 'second', 'third');
    expect(await tail()).toEqual(['second', 'third']);
  });

  test('that began before the build sees its lines too', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    await log(test, app.guid, 'before');
    test.clock.pass(5_000);
    const tail = cliTail(test, app.guid);
    await tail();
    expect(await tail()).toEqual(['before']);
    await aBuild(test.deps.store, { app_guid: app.guid, created_at: test.clock.now() });
    await log(test, app.guid, 'first');
    expect(await tail()).toEqual(['first']);
  });

  test('shows the lines of a build that was staged ahead and has ended before it was asked for', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    await aBuild(test.deps.store, {
      app_guid: app.guid,
      adopted: 0,
      state: 'STAGED',
      created_at: test.clock.now(),
      updated_at: test.clock.now() + 300,
    });
    await log(test, app.guid, 'first', 'last');
    test.clock.pass(1_300);
    const tail = cliTail(test, app.guid);
    await tail();
    expect(await tail()).toEqual(['first', 'last']);
  });

  test('shows the lines of one that was asked for much later', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    const pack = await aPackage(test.deps.store, { app_guid: app.guid, state: 'READY' });
    const created_at = test.clock.now();
    await aBuild(test.deps.store, {
      app_guid: app.guid,
      package_guid: pack.guid,
      state: 'STAGED',
      created_at,
      updated_at: created_at + 600_000,
    });
    await log(test, app.guid, 'first', 'last');
    test.clock.pass(600_100);
    const tail = cliTail(test, app.guid);
    await tail();
    expect(await tail()).toEqual(['first', 'last']);
  });
});

/** Whether a request is still under way when another one, sent later, has been answered. */
async function isHeld(test: TestApi, answer: Promise<unknown>): Promise<boolean> {
  let isDone = false;
  void answer.then(
    () => {
      isDone = true;
    },
    () => {
      isDone = true;
    },
  );
  await test.api('GET', '/v3/apps', { token: test.admin });
  await test.api('GET', '/v3/apps', { token: test.admin });
  return !isDone;
}

describe('held reads', () => {
  const TAIL = { envelope_types: 'LOG', start_time: '0' };

  test('the tail of the cf CLI waits for a line, and gets it as it comes', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    const answer = reader(test, app.guid, cliHeaders())(TAIL);
    expect(await isHeld(test, answer)).toBe(true);
    await log(test, app.guid, 'at last');
    expect((await answer).map(textOf)).toEqual(['at last']);
  });

  test('so does our own client, that says so', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    const answer = reader(test, app.guid, { prefer: 'wait=2' })({ ...TAIL, limit: '1000' });
    expect(await isHeld(test, answer)).toBe(true);
    await log(test, app.guid, 'at last');
    expect((await answer).map(textOf)).toEqual(['at last']);
  });

  test('a line of another app wakes nobody', async () => {
    await using test = await startTestApi();
    const [app, other] = [await anAppWithWeb(test), await anAppWithWeb(test)];
    const answer = reader(test, app.guid, cliHeaders())(TAIL);
    await log(test, other.guid, 'not mine');
    expect(await isHeld(test, answer)).toBe(true);
    await log(test, app.guid, 'mine');
    expect((await answer).map(textOf)).toEqual(['mine']);
  });

  test.each<[who: string, headers: Record<string, string>, query: Record<string, string>]>([
    ['--recent', cliHeaders(), { ...TAIL, descending: 'true', limit: '1000' }],
    ['another client', { 'user-agent': 'go-log-cache/1.0' }, TAIL],
    ['a read up to an end', cliHeaders(), { ...TAIL, end_time: '1' }],
  ])('%s is answered at once', async (_who, headers, query) => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    // Who is held follows the log.
    const follow = vi.spyOn(test.deps.logs, 'follow');
    expect(await reader(test, app.guid, headers)(query)).toEqual([]);
    expect(follow).not.toHaveBeenCalled();
  });
});

describe('GET /v3/builds/:guid of a build that has ended', () => {
  async function endedBuild(test: TestApi) {
    const app = await anAppWithWeb(test);
    const pack = await aPackage(test.deps.store, { app_guid: app.guid, state: 'READY' });
    const headers = cliHeaders();
    const { body } = await test.api('POST', '/v3/builds', {
      token: test.admin,
      headers,
      body: { package: { guid: pack.guid } },
    });
    await log(test, app.guid, 'staged');
    await test.deps.store.mutate(async ({ db, now, changed }) => {
      await db.updateTable('builds').set({ state: 'STAGED', finished_at: now, updated_at: now }).execute();
      changed('build', body.guid);
    });
    const get = (more: Record<string, string> = headers) =>
      test.api('GET', `/v3/builds/${body.guid}`, { token: test.admin, headers: more });
    return { app, get };
  }

  test('waits for the tail of who asked for it to have the last line', async () => {
    await using test = await startTestApi();
    const { app, get } = await endedBuild(test);
    const tail = cliTail(test, app.guid);
    const answer = get();
    await tail();
    expect(await tail()).toContain('staged');
    const asksPastIt = tail();
    expect((await answer).body.state).toBe('STAGED');
    await log(test, app.guid, 'end');
    await asksPastIt;
  });

  test('does not wait for ever, nor for anyone else', async () => {
    await using test = await startTestApi();
    const { get } = await endedBuild(test);
    expect((await get()).body.state).toBe('STAGED');
    expect((await get(cliHeaders())).body.state).toBe('STAGED');
    expect((await get({ prefer: 'wait=20' })).body.state).toBe('STAGED');
  });
});
