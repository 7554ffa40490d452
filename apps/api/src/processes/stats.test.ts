import { processInstances, processStats } from '@cupola/contract/v3/process';
import { HOLD_LIMITS } from '@cupola/model/limits';
import type { CopiesTable } from '@cupola/store/schema';
import { describe, expect, test, vi } from 'vitest';
import { cliHeaders, makeApp, makeStartedApp, placeCopy } from '../apps/fixtures.ts';
import { type Json, startTestApi, type TestApi } from '../fixtures.ts';

const MIB = 1024 * 1024;
const stats = async (test: TestApi, guid: string, headers: Record<string, string> = {}): Promise<Json[]> =>
  (await test.api('GET', `/v3/processes/${guid}/stats`, { token: test.admin, headers })).body.resources;

/** A change of a copy, as a cell's report makes it. */
async function report({ deps: { store } }: TestApi, guid: string, change: Partial<CopiesTable>): Promise<void> {
  await store.mutate(async ({ db, changed }) => {
    await db.updateTable('copies').set(change).where('guid', '=', guid).execute();
    changed('copy', guid);
  });
}

describe('GET stats', () => {
  test('a copy that runs: where, how long, what it may use and uses', async () => {
    await using test = await startTestApi();
    const app = await makeStartedApp(test);
    const copy = await placeCopy(test, app.guid, { since: test.clock.now() - 90_000 });
    const usage = { guid: copy.guid, cpu: 0.25, memoryBytes: 5 * MIB, diskBytes: 7, logBytesPerSecond: 9.25 };
    await test.deps.store.note(({ db }) =>
      db
        .insertInto('cell_heartbeats')
        .values({ cell_id: copy.cell_id, session: 's', counter: 1, usage_json: JSON.stringify([usage]), at: 0 })
        .execute(),
    );
    // Memory that counts from the next start on is not what this copy has.
    const size = { memory_in_mb: 64 };
    await test.api('POST', `/v3/processes/${app.guid}/actions/scale`, { token: test.admin, body: size });
    const { body } = await test.api('GET', `/v3/apps/${app.guid}/processes/web/stats`, { token: test.admin });
    expect(body.resources).toEqual([
      {
        type: 'web',
        index: 0,
        state: 'RUNNING',
        routable: true,
        isolation_segment: null,
        details: null,
        instance_guid: copy.guid,
        host: '127.0.0.1',
        instance_internal_ip: '127.0.0.1',
        uptime: 90,
        mem_quota: 1_024 * MIB,
        disk_quota: 1_024 * MIB,
        log_rate_limit: MIB,
        fds_quota: 16_384,
        instance_ports: [
          { external: 61_001, internal: 8_080, external_tls_proxy_port: null, internal_tls_proxy_port: null },
        ],
        usage: { time: '2026-01-02T03:04:05Z', cpu: 0.25, cpu_entitlement: null, mem: 5 * MIB, disk: 7, log_rate: 9 },
      },
    ]);
    expect(processStats.parse(body)).toEqual(body);
  });

  test('an index that waits says why', async () => {
    await using test = await startTestApi();
    const app = await makeStartedApp(test);
    const reason = 'instance 0 waits: needs 1024M, 300M of 4096M free on the cell.';
    await test.deps.store.mutate(({ db }) =>
      db
        .insertInto('placement_errors')
        .values({ process_guid: app.guid, index_number: 0, reason, since: test.clock.now() })
        .execute(),
    );
    const { body } = await test.api('GET', `/v3/processes/${app.guid}/stats`, { token: test.admin });
    expect(body.resources).toEqual([
      {
        type: 'web',
        index: 0,
        state: 'DOWN',
        routable: null,
        isolation_segment: null,
        details: reason,
        uptime: 0,
      },
    ]);
    expect(processStats.parse(body)).toEqual(body);
  });

  test('a copy that crashed says why; that of the former run is not shown after a restart', async () => {
    await using test = await startTestApi();
    const app = await makeStartedApp(test);
    const exit_json = JSON.stringify({ reason: 'out of memory: limit 64 MB' });
    await placeCopy(test, app.guid, { state: 'CRASHED', restart_at: test.clock.now() + 30_000, exit_json });
    expect(await stats(test, app.guid)).toMatchObject([{ state: 'CRASHED', details: 'out of memory: limit 64 MB' }]);
    await test.api('POST', `/v3/apps/${app.guid}/actions/restart`, { token: test.admin });
    expect(await stats(test, app.guid)).toMatchObject([{ state: 'DOWN', details: null }]);
  });

  test('no instance wanted is an empty list', async () => {
    await using test = await startTestApi();
    const app = await makeStartedApp(test);
    await test.api('POST', `/v3/processes/${app.guid}/actions/scale`, { token: test.admin, body: { instances: 0 } });
    expect(await stats(test, app.guid)).toEqual([]);
  });
});

test('GET process_instances has states and ages', async () => {
  await using test = await startTestApi();
  const app = await makeStartedApp(test);
  await placeCopy(test, app.guid, { state: 'STARTING', since: test.clock.now() - 2_000 });
  const { body } = await test.api('GET', `/v3/processes/${app.guid}/process_instances`, { token: test.admin });
  expect(body).toMatchObject({
    resources: [{ index: 0, state: 'STARTING', since: 2 }],
    links: { process: { href: `${test.url}/v3/processes/${app.guid}` } },
  });
  expect(processInstances.parse(body)).toEqual(body);
});

describe('held stats', () => {
  /** What a poll is answered that something releases: by nothing it would be at its bound. */
  async function released<T>(poll: Promise<T>, beganMs: number): Promise<T> {
    const answer = await poll;
    expect(performance.now() - beganMs).toBeLessThan(HOLD_LIMITS.statsMs);
    return answer;
  }

  /** One command of the cf CLI that starts an app, with its poll under way. */
  async function aHeldPoll(test: TestApi) {
    const app = await makeStartedApp(test);
    const headers = cliHeaders();
    await test.api('POST', `/v3/apps/${app.guid}/actions/restart`, { token: test.admin, headers });
    const answered = vi.fn();
    const poll = released(stats(test, app.guid, headers), performance.now());
    void poll.then(answered);
    return { app, headers, poll, answered };
  }

  test('wait for whoever started the app until one instance runs', async () => {
    await using test = await startTestApi();
    const { app, poll, answered } = await aHeldPoll(test);
    const copy = await placeCopy(test, app.guid, { state: 'STARTING' });
    expect(await stats(test, app.guid, cliHeaders())).toMatchObject([{ state: 'STARTING' }]);
    expect(answered).not.toHaveBeenCalled();
    await report(test, copy.guid, { state: 'RUNNING' });
    expect(await poll).toMatchObject([{ state: 'RUNNING' }]);
  });

  test('are answered when all have crashed', async () => {
    await using test = await startTestApi();
    const { app, poll } = await aHeldPoll(test);
    const copy = await placeCopy(test, app.guid, { state: 'STARTING' });
    await report(test, copy.guid, { state: 'CRASHED', restart_at: null });
    expect(await poll).toMatchObject([{ state: 'CRASHED' }]);
  });

  test('are answered when the app is stopped, or scaled to nothing', async () => {
    await using test = await startTestApi();
    const stopped = await aHeldPoll(test);
    await test.api('POST', `/v3/apps/${stopped.app.guid}/actions/stop`, { token: test.admin });
    expect(await stopped.poll).toMatchObject([{ state: 'DOWN' }]);
    const scaled = await aHeldPoll(test);
    const path = `/v3/processes/${scaled.app.guid}/actions/scale`;
    await test.api('POST', path, { token: test.admin, body: { instances: 0 } });
    expect(await scaled.poll).toEqual([]);
  });

  test('end with 404 when the app is deleted meanwhile', async () => {
    await using test = await startTestApi();
    const app = await makeStartedApp(test);
    const headers = cliHeaders();
    await test.api('POST', `/v3/apps/${app.guid}/actions/restart`, { token: test.admin, headers });
    const asked = test.api('GET', `/v3/processes/${app.guid}/stats`, { token: test.admin, headers });
    const poll = released(asked, performance.now());
    await test.api('DELETE', `/v3/apps/${app.guid}`, { token: test.admin });
    expect((await poll).status).toBe(404);
  });

  test('are at once for the summary of the same command', async () => {
    await using test = await startTestApi();
    const { app, headers, poll } = await aHeldPoll(test);
    await test.api('GET', `/v3/processes/${app.guid}/sidecars`, { token: test.admin, headers });
    expect(await stats(test, app.guid, headers)).toMatchObject([{ state: 'DOWN' }]);
    await placeCopy(test, app.guid);
    expect(await poll).toMatchObject([{ state: 'RUNNING' }]);
  });

  test('wait for whoever scaled the app, too', async () => {
    await using test = await startTestApi();
    const app = await makeStartedApp(test);
    const headers = cliHeaders();
    const path = `/v3/apps/${app.guid}/processes/web/actions/scale`;
    await test.api('POST', path, { token: test.admin, headers, body: { instances: 2 } });
    const poll = released(stats(test, app.guid, headers), performance.now());
    await placeCopy(test, app.guid, { index_number: 1 });
    expect((await poll).map(({ state }) => state)).toEqual(['DOWN', 'RUNNING']);
  });

  test('an app that was never started answers at once', async () => {
    await using test = await startTestApi();
    const app = await makeApp(test);
    const path = `/v3/processes/${app.guid}/actions/scale`;
    const headers = cliHeaders();
    await test.api('POST', path, { token: test.admin, headers, body: { instances: 2 } });
    expect((await stats(test, app.guid, headers)).map(({ state }) => state)).toEqual(['DOWN', 'DOWN']);
  });
});
