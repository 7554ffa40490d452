import { describe, expect, test } from 'vitest';
import { startTestApi, type TestApi } from '../fixtures.ts';
import { anAppWithWeb } from '../packages/fixtures.ts';
import { cacheGeneration } from './cache-clearings.ts';

describe('clear_buildpack_cache', () => {
  const clear = (test: TestApi, path: string, token = test.admin) => test.api('POST', path, { token });

  test('of an app begins a new generation of its cache, and of no other', async () => {
    await using test = await startTestApi();
    const [app, other] = [await anAppWithWeb(test), await anAppWithWeb(test)];
    const { status, headers } = await clear(test, `/v3/apps/${app.guid}/actions/clear_buildpack_cache`);
    expect(status).toBe(202);
    const job = await test.api('GET', new URL(headers.get('location') ?? '').pathname, { token: test.admin });
    expect(job.body).toMatchObject({ state: 'COMPLETE' });
    await clear(test, `/v3/apps/${app.guid}/actions/clear_buildpack_cache`);
    expect(await cacheGeneration(test.deps.store.read, app.guid)).toBe(2);
    expect(await cacheGeneration(test.deps.store.read, other.guid)).toBe(0);
  });

  test('of the platform begins one for every app, and is for admins', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    const developer = await test.userWith({ space_developer: test.home.spaceGuid });
    const path = '/v3/admin/actions/clear_buildpack_cache';
    expect((await clear(test, path, developer.token)).status).toBe(403);
    expect((await clear(test, path)).status).toBe(202);
    expect(await cacheGeneration(test.deps.store.read, app.guid)).toBe(1);
  });
});
