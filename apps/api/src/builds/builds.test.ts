import { buildAnswer } from '@cupola/contract/v3/build';
import { aBuild, aDroplet, aPackage, aSpace } from '@cupola/store/fixtures';
import type { BuildsTable } from '@cupola/store/schema';
import { describe, expect, test } from 'vitest';
import { cliHeaders } from '../apps/fixtures.ts';
import { startTestApi, type TestApi } from '../fixtures.ts';
import { aResult, callInternal } from '../internal/fixtures.ts';
import { anAppWithWeb, pushed } from '../packages/fixtures.ts';

const stage = (test: TestApi, packageGuid: string, more: Record<string, unknown> = {}, token = test.admin) =>
  test.api('POST', '/v3/builds', { token, body: { package: { guid: packageGuid }, ...more } });

const rows = (test: TestApi) => test.deps.store.read.selectFrom('builds').selectAll().orderBy('created_at').execute();

/** A package with bits, and the build that its upload began. */
async function uploaded(test: TestApi): Promise<{ appGuid: string; packageGuid: string; ahead: BuildsTable }> {
  const app = await anAppWithWeb(test);
  const { body } = await pushed(test, app.guid, { bits: [{ name: 'index.js', content: '1' }] });
  const [ahead] = await rows(test);
  return { appGuid: app.guid, packageGuid: body.guid, ahead: ahead as BuildsTable };
}

async function finish(test: TestApi, buildGuid: string): Promise<void> {
  const path = `/internal/builds/${buildGuid}`;
  const { body } = await callInternal(test.socketPath, 'POST', `${path}/claim`, { stager: 's1' });
  await callInternal(test.socketPath, 'POST', `${path}/finish`, {
    outcome: 'staged',
    fence: body.fence,
    result: { ...aResult(), layers: [] },
  });
}

describe('staging ahead', () => {
  test('begins with the upload, and nobody sees it', async () => {
    await using test = await startTestApi();
    const { appGuid, packageGuid, ahead } = await uploaded(test);
    expect(ahead).toMatchObject({ app_guid: appGuid, package_guid: packageGuid, state: 'STAGING', adopted: 0 });
    const get = async (path: string) => (await test.api('GET', path, { token: test.admin })).body;
    expect((await test.api('GET', `/v3/builds/${ahead.guid}`, { token: test.admin })).status).toBe(404);
    expect((await get('/v3/builds')).resources).toEqual([]);
    await finish(test, ahead.guid);
    expect((await get('/v3/droplets')).resources).toEqual([]);
    expect((await get(`/v3/packages/${packageGuid}/droplets`)).resources).toEqual([]);
    expect((await get(`/v3/apps/${appGuid}/droplets`)).resources).toEqual([]);
  });

  test('is adopted by POST /v3/builds: same build, now its asker’s', async () => {
    await using test = await startTestApi();
    const { packageGuid, ahead } = await uploaded(test);
    const { status, body } = await stage(test, packageGuid);
    expect(status).toBe(201);
    expect(buildAnswer.parse(body)).toEqual(body);
    expect(body).toMatchObject({ guid: ahead.guid, state: 'STAGING', package: { guid: packageGuid }, droplet: null });
    expect(await rows(test)).toMatchObject([{ adopted: 1, created_by_name: 'admin' }]);
  });

  test('that has ended before is adopted as it ended, with its droplet', async () => {
    await using test = await startTestApi();
    const { packageGuid, ahead } = await uploaded(test);
    await finish(test, ahead.guid);
    const { body } = await stage(test, packageGuid);
    expect(body).toMatchObject({ guid: ahead.guid, state: 'STAGED', droplet: { guid: expect.any(String) } });
    const droplet = await test.api('GET', `/v3/droplets/${body.droplet.guid}`, { token: test.admin });
    expect(droplet.body).toMatchObject({ state: 'STAGED' });
    const again = await stage(test, packageGuid);
    expect(again.body.guid).not.toBe(ahead.guid);
  });

  test.each<[what: string, change: (test: TestApi, appGuid: string) => Promise<unknown>, more?: object]>([
    [
      'environment',
      (test, appGuid) =>
        test.api('PATCH', `/v3/apps/${appGuid}/environment_variables`, {
          token: test.admin,
          body: { var: { NODE_ENV: 'test' } },
        }),
    ],
    [
      'staging environment group',
      test =>
        test.api('PATCH', '/v3/environment_variable_groups/staging', { token: test.admin, body: { var: { A: '1' } } }),
    ],
    [
      'buildpacks',
      (test, appGuid) =>
        test.api('PATCH', `/v3/apps/${appGuid}`, {
          token: test.admin,
          body: { lifecycle: { type: 'buildpack', data: { buildpacks: ['binary_buildpack'] } } },
        }),
    ],
    ['memory', async () => undefined, { staging_memory_in_mb: 2_048 }],
    [
      'lifecycle of the build',
      async () => undefined,
      { lifecycle: { type: 'buildpack', data: { buildpacks: ['staticfile_buildpack'] } } },
    ],
  ])('is not adopted after a change of %s: it is cancelled, and another begins', async (_what, change, more = {}) => {
    await using test = await startTestApi();
    const { appGuid, packageGuid, ahead } = await uploaded(test);
    await change(test, appGuid);
    const { status, body } = await stage(test, packageGuid, more as Record<string, unknown>);
    expect([status, body.state]).toEqual([201, 'STAGING']);
    expect(body.guid).not.toBe(ahead.guid);
    const old = (await rows(test)).find(({ guid }) => guid === ahead.guid);
    expect(old).toMatchObject({ adopted: 0, cancelled: 1 });
  });

  test('of the same settings again is adopted: a change that was taken back is none', async () => {
    await using test = await startTestApi();
    const { appGuid, packageGuid, ahead } = await uploaded(test);
    const set = (value: string | null) =>
      test.api('PATCH', `/v3/apps/${appGuid}/environment_variables`, {
        token: test.admin,
        body: { var: { A: value } },
      });
    await set('1');
    await set(null);
    expect((await stage(test, packageGuid)).body.guid).toBe(ahead.guid);
  });

  test('that failed by our own fault is not adopted; one that failed by the app’s is', async () => {
    await using test = await startTestApi();
    const failed = async (error_title: string) => {
      const { packageGuid, ahead } = await uploaded(test);
      await test.deps.store.mutate(({ db }) =>
        db
          .updateTable('builds')
          .set({ state: 'FAILED', error_title, error: 'why' })
          .where('package_guid', '=', packageGuid)
          .execute(),
      );
      return { ahead, answer: await stage(test, packageGuid) };
    };
    const ours = await failed('StagerError');
    expect(ours.answer.body.state).toBe('STAGING');
    const theirs = await failed('NoAppDetectedError');
    expect(theirs.answer.body).toMatchObject({ state: 'FAILED', error: 'NoAppDetectedError - why' });
  });

  test('of an older upload is cancelled by a newer one, and by a build of another package', async () => {
    await using test = await startTestApi();
    const { appGuid, packageGuid, ahead } = await uploaded(test);
    test.clock.pass(1_000);
    await pushed(test, appGuid, { bits: [{ name: 'index.js', content: '2' }] });
    const [first, second] = await rows(test);
    expect([first?.guid, first?.cancelled, second?.cancelled]).toEqual([ahead.guid, 1, 0]);
    const { body } = await stage(test, packageGuid);
    expect(body.guid).not.toBe(ahead.guid);
    expect((await rows(test)).filter(({ cancelled }) => cancelled === 1)).toHaveLength(2);
  });
});

describe('POST /v3/builds', () => {
  test('refuses a second build of an app while one is STAGING, with CF’s code', async () => {
    await using test = await startTestApi();
    const { packageGuid } = await uploaded(test);
    await stage(test, packageGuid);
    const { status, body } = await stage(test, packageGuid);
    expect(status).toBe(422);
    expect(body.errors).toEqual([
      {
        code: 170017,
        title: 'CF-StagingInProgress',
        detail: expect.stringContaining('Only one build can be STAGING at a time per application.'),
      },
    ]);
  });

  test('fifty at once give one build', async () => {
    await using test = await startTestApi();
    const { packageGuid } = await uploaded(test);
    const answers = await Promise.all(Array.from({ length: 50 }, () => stage(test, packageGuid)));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 422)).toHaveLength(49);
    expect(await rows(test)).toHaveLength(1);
  });

  test('refuses a package that is not ready in the words the CLI looks for, and one that is not there', async () => {
    await using test = await startTestApi();
    const app = await anAppWithWeb(test);
    const waiting = await aPackage(test.deps.store, { app_guid: app.guid });
    const early = await stage(test, waiting.guid);
    expect([early.status, early.body.errors[0].detail]).toEqual([
      400,
      'Bad request: Cannot stage package whose state is not ready.',
    ]);
    const nowhere = await stage(test, 'nowhere');
    expect([nowhere.status, nowhere.body.errors[0].detail]).toEqual([
      422,
      'Unable to use package. Ensure that the package exists and you have access to it.',
    ]);
    const stranger = await test.userWith({ space_developer: (await aSpace(test.deps.store)).guid });
    expect((await stage(test, waiting.guid, {}, stranger.token)).body).toEqual(nowhere.body);
  });

  test('warns of a stack that stands for ours', async () => {
    await using test = await startTestApi();
    const { packageGuid } = await uploaded(test);
    const answer = await stage(test, packageGuid, {
      lifecycle: { type: 'buildpack', data: { stack: 'cflinuxfs4' } },
    });
    expect(answer.status).toBe(201);
    expect(decodeURIComponent(answer.headers.get('x-cf-warnings') ?? '')).toContain('cflinuxfs4');
  });

  test('gives the build as much memory as the web process has, and no less than a build needs', async () => {
    await using test = await startTestApi();
    const { appGuid, packageGuid } = await uploaded(test);
    const scale = (memory: number) =>
      test.api('POST', `/v3/apps/${appGuid}/processes/web/actions/scale`, {
        token: test.admin,
        body: { memory_in_mb: memory },
      });
    const staged = async (memory: number) => {
      await scale(memory);
      const { body } = await stage(test, packageGuid, {});
      await test.deps.store.mutate(({ db }) =>
        db.updateTable('builds').set({ state: 'FAILED' }).where('guid', '=', String(body.guid)).execute(),
      );
      return body.staging_memory_in_mb;
    };
    expect([await staged(2_048), await staged(64)]).toEqual([2_048, 1_024]);
  });

  test('gives the build what staging needs: both environments, CF’s own variables last', async () => {
    await using test = await startTestApi();
    const { appGuid, packageGuid } = await uploaded(test);
    const patch = (path: string, variables: object) =>
      test.api('PATCH', path, { token: test.admin, body: { var: variables } });
    await patch('/v3/environment_variable_groups/staging', { FROM: 'group', GROUP: '1' });
    await patch(`/v3/apps/${appGuid}/environment_variables`, { FROM: 'app', MEMORY_LIMIT: 'no' });
    const { body } = await stage(test, packageGuid, { staging_memory_in_mb: 512 });
    const build = (await rows(test)).find(({ guid }) => guid === body.guid);
    const environment = JSON.parse(test.deps.sealer.open(build?.environment_sealed ?? '')) as Record<string, string>;
    expect(environment).toMatchObject({ FROM: 'app', GROUP: '1', MEMORY_LIMIT: '512m', VCAP_SERVICES: '{}' });
    expect(JSON.parse(environment.VCAP_APPLICATION ?? '')).toMatchObject({ application_id: appGuid });
    expect(body).toMatchObject({ staging_memory_in_mb: 512, staging_disk_in_mb: 6_144 });
  });
});

describe('GET /v3/builds/:guid while the build is STAGING', () => {
  const poll = (test: TestApi, guid: string, headers: Record<string, string>) =>
    test.api('GET', `/v3/builds/${guid}`, { token: test.admin, headers });

  test('is held for the invocation that asked for it, until it is known how it ended', async () => {
    await using test = await startTestApi();
    const { packageGuid } = await uploaded(test);
    const headers = cliHeaders();
    const { body } = await test.api('POST', '/v3/builds', {
      token: test.admin,
      headers,
      body: { package: { guid: packageGuid } },
    });
    const answers: string[] = [];
    const polls = [poll(test, body.guid, headers), poll(test, body.guid, { ...headers, prefer: 'wait=20' })].map(
      async answer => answers.push((await answer).body.state),
    );
    const curl = { ...headers, 'user-agent': 'curl/8.5.0' };
    expect((await poll(test, body.guid, cliHeaders())).body.state).toBe('STAGING');
    expect((await poll(test, body.guid, curl)).body.state).toBe('STAGING');
    expect(answers).toEqual([]);
    await finish(test, body.guid);
    await Promise.all(polls);
    expect(answers).toEqual(['STAGED', 'STAGED']);
  });

  test('is answered when the server drains', async () => {
    const test = await startTestApi();
    const { packageGuid } = await uploaded(test);
    const headers = cliHeaders();
    const { body } = await test.api('POST', '/v3/builds', {
      token: test.admin,
      headers,
      body: { package: { guid: packageGuid } },
    });
    const answer = poll(test, body.guid, headers);
    await poll(test, body.guid, cliHeaders());
    await test[Symbol.asyncDispose]();
    expect((await answer).body.state).toBe('STAGING');
  });
});

describe('GET /v3/builds', () => {
  test('shows an error as CF prints it, and the droplet of a staged build alone', async () => {
    await using test = await startTestApi();
    const { store } = test.deps;
    const app = await anAppWithWeb(test);
    const droplet = await aDroplet(store, { app_guid: app.guid });
    const given = { app_guid: app.guid } as const;
    const failed = await aBuild(store, {
      ...given,
      state: 'FAILED',
      error_title: 'NoAppDetectedError',
      error: 'An app was not successfully detected by any available buildpack',
    });
    const staged = await aBuild(store, { ...given, state: 'STAGED', droplet_guid: droplet.guid });
    const get = async (guid: string) => (await test.api('GET', `/v3/builds/${guid}`, { token: test.admin })).body;
    expect(await get(failed.guid)).toMatchObject({
      state: 'FAILED',
      error: 'NoAppDetectedError - An app was not successfully detected by any available buildpack',
      droplet: null,
    });
    expect(await get(staged.guid)).toMatchObject({ error: null, droplet: { guid: droplet.guid } });
  });

  test('filters by state, app and package, within what one may see', async () => {
    await using test = await startTestApi();
    const { store } = test.deps;
    const [one, two] = [await anAppWithWeb(test), await anAppWithWeb(test)];
    const first = await aBuild(store, { app_guid: one.guid, state: 'STAGED', created_at: 1_000 });
    const second = await aBuild(store, { app_guid: two.guid, created_at: 2_000 });
    const guids = async (path: string, token = test.admin) =>
      (await test.api('GET', path, { token })).body.resources.map(({ guid }: { guid: string }) => guid);
    expect(await guids('/v3/builds?order_by=-created_at')).toEqual([second.guid, first.guid]);
    expect(await guids('/v3/builds?states=STAGED')).toEqual([first.guid]);
    expect(await guids(`/v3/builds?app_guids=${two.guid}`)).toEqual([second.guid]);
    expect(await guids(`/v3/builds?package_guids=${first.package_guid}`)).toEqual([first.guid]);
    expect(await guids(`/v3/apps/${one.guid}/builds`)).toEqual([first.guid]);
    const stranger = await test.userWith({ space_developer: (await aSpace(store)).guid });
    expect(await guids('/v3/builds', stranger.token)).toEqual([]);
    expect((await test.api('GET', `/v3/builds/${first.guid}`, { token: stranger.token })).status).toBe(404);
  });

  test('PATCH labels a build; label_selector finds it', async () => {
    await using test = await startTestApi();
    const build = await aBuild(test.deps.store, { app_guid: (await anAppWithWeb(test)).guid });
    const patched = await test.api('PATCH', `/v3/builds/${build.guid}`, {
      token: test.admin,
      body: { metadata: { labels: { env: 'test' } } },
    });
    expect([patched.status, patched.body.metadata.labels]).toEqual([200, { env: 'test' }]);
    const found = await test.api('GET', '/v3/builds?label_selector=env%3Dtest', { token: test.admin });
    expect(found.body.resources).toMatchObject([{ guid: build.guid }]);
  });
});
