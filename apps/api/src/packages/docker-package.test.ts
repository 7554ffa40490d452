import { aBuild, aDestination, aDroplet, aRoute } from '@cupola/store/fixtures';
import { describe, expect, test } from 'vitest';
import { startTestApi, type TestApi } from '../fixtures.ts';
import { aResult, callInternal } from '../internal/fixtures.ts';

const IMAGE = 'registry.example/team/app:1';
const LAYER = { digest: 'b'.repeat(64), sizeBytes: 3, kind: 'image', mountPath: '/' };
const CONFIG = {
  entrypoint: ['/app'],
  command: ['serve'],
  environment: { A: '1' },
  folder: '/',
  user: '1000',
  ports: [9000],
};

async function anImageApp(test: TestApi, name = 'img'): Promise<{ guid: string }> {
  const { body } = await test.api('POST', '/v3/apps', {
    token: test.admin,
    body: {
      name,
      lifecycle: { type: 'docker', data: {} },
      relationships: { space: { data: { guid: test.home.spaceGuid } } },
    },
  });
  return body;
}

async function aDockerPackage(test: TestApi, appGuid: string, data: Record<string, unknown> = {}) {
  return test.api('POST', '/v3/packages', {
    token: test.admin,
    body: {
      type: 'docker',
      data: { image: IMAGE, username: 'me', password: 'geheim', ...data },
      relationships: { app: { data: { guid: appGuid } } },
    },
  });
}
const detailOf = (answer: { status: number; body: { errors: Array<{ detail: string }> } }) => [
  answer.status,
  answer.body.errors[0]?.detail,
];

describe('an app whose lifecycle is docker', () => {
  test('is shown as such, has packages that are images, and never its password', async () => {
    await using test = await startTestApi();
    const app = await anImageApp(test);
    expect(app).toMatchObject({ lifecycle: { type: 'docker', data: {} } });
    const made = await aDockerPackage(test, app.guid);
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({
      type: 'docker',
      state: 'READY',
      data: { image: IMAGE, username: 'me', password: '***' },
    });
    expect(Object.keys(made.body.links)).toEqual(['self', 'app']);
    const row = await test.deps.store.read.selectFrom('packages').selectAll().executeTakeFirstOrThrow();
    expect(JSON.stringify(row)).not.toContain('geheim');
    const events = await test.api('GET', `/v3/audit_events?target_guids=${app.guid}`, { token: test.admin });
    expect(JSON.stringify(events.body)).not.toContain('geheim');
  });

  test.each([
    [{ image: '' }, 'Data Image required'],
    [{ image: 'UPPER' }, /^Data Image "UPPER" is no name of an image/],
    [{ tag: '1' }, /tag/],
  ])('refuses a package of %j', async (data, text) => {
    await using test = await startTestApi();
    const refused = detailOf(await aDockerPackage(test, (await anImageApp(test)).guid, data));
    expect(refused).toEqual([422, typeof text === 'string' ? text : expect.stringMatching(text)]);
  });

  test('takes neither bits nor buildpacks, and stays what it is', async () => {
    await using test = await startTestApi();
    const app = await anImageApp(test);
    const relationships = { app: { data: { guid: app.guid } } };
    const { admin: token } = test;
    const bits = await test.api('POST', '/v3/packages', { token, body: { type: 'bits', relationships } });
    expect(detailOf(bits)).toEqual([422, 'Cannot create bits package for a Docker app.']);
    const droplet = await test.api('POST', '/v3/droplets', { token, body: { relationships } });
    expect(detailOf(droplet)).toEqual([422, 'Droplet creation is not available for apps with docker lifecycles.']);
    const lifecycle = { type: 'buildpack', data: {} };
    const changed = await test.api('PATCH', `/v3/apps/${app.guid}`, { token, body: { lifecycle } });
    expect(detailOf(changed)).toEqual([422, 'Lifecycle type cannot be changed from docker to buildpack']);
  });

  test('is refused once the flag diego_docker is off', async () => {
    await using test = await startTestApi();
    await test.api('PATCH', '/v3/feature_flags/diego_docker', { token: test.admin, body: { enabled: false } });
    const answer = await test.api('POST', '/v3/apps', {
      token: test.admin,
      body: {
        name: 'x',
        lifecycle: { type: 'docker', data: {} },
        relationships: { space: { data: { guid: test.home.spaceGuid } } },
      },
    });
    expect(detailOf(answer)).toEqual([403, 'Feature Disabled: diego_docker']);
  });

  test('a build of it hands the login to who claims it, and only layers of its own organization as known', async () => {
    await using test = await startTestApi();
    const { store } = test.deps;
    const app = await anImageApp(test);
    const { body: pack } = await aDockerPackage(test, app.guid);
    await test.api('PATCH', `/v3/packages/${pack.guid}`, { token: test.admin, body: { password: 'newer' } });
    const layers_json = JSON.stringify([LAYER]);
    await aDroplet(store, { app_guid: app.guid, state: 'STAGED', docker_image: `${IMAGE}@sha256:1`, layers_json });
    await aDroplet(store, {
      state: 'STAGED',
      docker_image: 'x@sha256:2',
      layers_json: layers_json.replaceAll('b', 'c'),
    });
    const build = await aBuild(store, { app_guid: app.guid, package_guid: pack.guid, created_at: test.clock.now() });
    const path = `/internal/builds/${build.guid}`;
    const order = await callInternal(test.socketPath, 'POST', `${path}/claim`, { stager: 's' });
    expect(order.body).toMatchObject({
      packageDigest: null,
      image: { name: IMAGE, login: { username: 'me', password: 'newer' }, known: [LAYER.digest] },
    });

    const port = async (): Promise<number> =>
      (await test.api('GET', `/v3/routes/${route.guid}/destinations`, { token: test.admin })).body.destinations[0].port;
    const route = await aRoute(store, { space_guid: test.home.spaceGuid, domain_guid: test.home.domainGuid });
    await aDestination(store, { app_guid: app.guid, route_guid: route.guid });
    expect(await port()).toBe(8080);

    const result = { ...aResult(), layers: [], image: { name: `${IMAGE}@sha256:3`, config: CONFIG } };
    await callInternal(test.socketPath, 'POST', `${path}/finish`, { outcome: 'staged', fence: 1, result });
    const shown = await test.api('GET', `/v3/builds/${build.guid}`, { token: test.admin });
    expect(shown.body).toMatchObject({ state: 'STAGED', lifecycle: { type: 'docker', data: {} } });
    const droplet = `/v3/droplets/${shown.body.droplet.guid}`;
    expect((await test.api('GET', droplet, { token: test.admin })).body).toMatchObject({
      lifecycle: { type: 'docker', data: {} },
      image: `${IMAGE}@sha256:3`,
      stack: null,
      buildpacks: null,
    });
    const assign = { token: test.admin, body: { data: { guid: shown.body.droplet.guid } } };
    await test.api('PATCH', `/v3/apps/${app.guid}/relationships/current_droplet`, assign);
    expect(await port()).toBe(9000);
    const listed = await test.api('GET', `/v3/routes?guids=${route.guid}`, { token: test.admin });
    expect(listed.body.resources[0].destinations[0].port).toBe(9000);
    await test.api('PATCH', '/v3/feature_flags/diego_docker', { token: test.admin, body: { enabled: false } });
    const started = await test.api('POST', `/v3/apps/${app.guid}/actions/start`, { token: test.admin });
    expect(detailOf(started)).toEqual([403, 'Feature Disabled: diego_docker']);
    const download = await test.api('GET', `${droplet}/download`, { token: test.admin });
    expect(detailOf(download)).toEqual([422, "Cannot download droplets with 'docker' lifecycle."]);
    const manifest = await test.api('GET', `/v3/apps/${app.guid}/manifest`, { token: test.admin });
    expect(manifest.status).toBe(200);
  });
});
