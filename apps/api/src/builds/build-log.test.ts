import { LogsUnavailableError } from '@cupola/logs/errors';
import { describe, expect, test } from 'vitest';
import { startTestApi, type TestApi } from '../fixtures.ts';
import { callInternal } from '../internal/fixtures.ts';
import { anAppWithWeb, pushed } from '../packages/fixtures.ts';

/** An app with a package, whose upload has begun a build. */
async function uploaded(test: TestApi, content = '1') {
  const app = await anAppWithWeb(test);
  return { app, ...(await uploadAgain(test, app.guid, content)) };
}

async function uploadAgain(test: TestApi, appGuid: string, content: string) {
  const { body } = await pushed(test, appGuid, { bits: [{ name: 'index.js', content }] });
  const { guid } = await test.deps.store.read
    .selectFrom('builds')
    .select('guid')
    .where('package_guid', '=', body.guid)
    .executeTakeFirstOrThrow();
  return { packageGuid: body.guid as string, buildGuid: guid };
}

async function say(test: TestApi, { app, buildGuid }: { app: { guid: string }; buildGuid: string }, line: string) {
  const timestampNs = String(BigInt(test.clock.now()) * 1_000_000n);
  const envelope = { appGuid: app.guid, sourceType: 'STG', instanceId: '0', type: 'OUT', timestampNs, line };
  const path = `/internal/builds/${buildGuid}/logs`;
  const { status } = await callInternal(test.socketPath, 'POST', path, { envelopes: [envelope] });
  expect(status).toBe(204);
}

async function linesOf(test: TestApi, guid: string): Promise<string[]> {
  const lines = await test.deps.logs.read({ appGuid: guid, limit: 100, descending: false, sourceTypes: ['STG'] });
  return lines.map(({ line }) => line);
}

const stage = (test: TestApi, packageGuid: string) =>
  test.api('POST', '/v3/builds', { token: test.admin, body: { package: { guid: packageGuid } } });

describe('the log of a build that was staged ahead', () => {
  test('reaches the app with POST /v3/builds, in order, and what follows goes on at once', async () => {
    await using test = await startTestApi();
    const build = await uploaded(test);
    await say(test, build, 'detecting');
    await say(test, build, 'installing');
    expect(await linesOf(test, build.app.guid)).toEqual([]);
    expect((await stage(test, build.packageGuid)).body.guid).toBe(build.buildGuid);
    expect(await linesOf(test, build.app.guid)).toEqual(['detecting', 'installing']);
    await say(test, build, 'done');
    expect(await linesOf(test, build.app.guid)).toEqual(['detecting', 'installing', 'done']);
    expect(await linesOf(test, build.buildGuid)).toEqual([]);
  });

  test('comes after what the app has said meanwhile: a reader who has that asks for what is newer', async () => {
    await using test = await startTestApi();
    const build = await uploaded(test);
    await say(test, build, 'detecting');
    test.clock.pass(1_000);
    const timestampNs = BigInt(test.clock.now()) * 1_000_000n;
    const web = { appGuid: build.app.guid, sourceType: 'APP/PROC/WEB', instanceId: '0', type: 'OUT' as const };
    await test.deps.logs.append([{ ...web, timestampNs, line: 'a request' }]);
    await stage(test, build.packageGuid);
    const after = await test.deps.logs.read({
      appGuid: build.app.guid,
      startNs: timestampNs + 1n,
      limit: 10,
      descending: false,
    });
    expect(after.map(({ line }) => line)).toEqual([expect.stringMatching(/^Creating build/), 'detecting']);
  });

  test('is dropped when another upload takes its place, and so is what its stager still says', async () => {
    await using test = await startTestApi({ loops: true });
    const build = await uploaded(test);
    await say(test, build, 'detecting');
    const second = await uploadAgain(test, build.app.guid, '2');
    await say(test, build, 'installing');
    await stage(test, second.packageGuid);
    await expect.poll(() => linesOf(test, build.buildGuid)).toEqual([]);
    expect(await linesOf(test, build.app.guid)).toEqual([]);
  });
});

test('logs that cannot be read keep no build from being asked for, said and shown; reading them is a 503', async () => {
  const read = async () => {
    throw new LogsUnavailableError({ cause: 'Redis is away' });
  };
  await using test = await startTestApi({ wrapLogs: logs => ({ ...logs, read }) });
  const build = await uploaded(test);
  await say(test, build, 'detecting');
  expect((await stage(test, build.packageGuid)).status).toBe(201);
  await say(test, build, 'installing');
  expect((await test.api('GET', `/v3/builds/${build.buildGuid}`, { token: test.admin })).status).toBe(200);
  const answer = await test.api('GET', `/api/v1/read/${build.app.guid}`, { token: test.admin });
  expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '5']);
});
