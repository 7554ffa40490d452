/** Lists ask the store the same number of times, however long they are. */
import { aBinding, anInstance } from '@cupola/store/fixtures';
import type { KyselyPlugin } from 'kysely';
import { expect, test } from 'vitest';
import { startTestApi, type TestApi } from '../fixtures.ts';
import { makeStartedApp, placeCopy } from './fixtures.ts';

/** Counts the statements that handlers send to the reading connection from now on. */
function countReads({ deps: { store } }: TestApi): { taken(): number } {
  let count = 0;
  const counting: KyselyPlugin = {
    transformQuery: ({ node }) => {
      count += 1;
      return node;
    },
    transformResult: async ({ result }) => result,
  };
  // The API has the same store, and asks it for its connection at each request.
  Object.defineProperty(store, 'read', { value: store.read.withPlugin(counting) });
  return {
    taken: () => {
      const taken = count;
      count = 0;
      return taken;
    },
  };
}

/** Apps that have all that a list shows: a route, a label, a copy, a service. */
async function addApps(test: TestApi, count: number): Promise<void> {
  const names = Array.from({ length: count }, (_, index) => `app-${index}`);
  const entries = names.map(name => `- {name: ${name}, default-route: true, metadata: {labels: {a: b}}}\n`);
  const yaml = `applications:\n${entries.join('')}`;
  const path = `/v3/spaces/${test.home.spaceGuid}/actions/apply_manifest`;
  await test.api('POST', path, { token: test.admin, yaml });
  const { store } = test.deps;
  const apps = await store.read.selectFrom('apps').select('guid').execute();
  for (const { guid } of apps) {
    const instance = await anInstance(store, { space_guid: test.home.spaceGuid });
    await aBinding(store, { app_guid: guid, service_instance_guid: instance.guid });
  }
}

test.each([
  '/v3/apps?include=space,space.organization&per_page=5000',
  '/v3/processes?embed=process_instances&per_page=5000',
  '/v3/routes?include=domain,space,space.organization&per_page=5000',
  '/v3/service_credential_bindings?include=app,service_instance&per_page=5000',
  '/v3/service_instances?fields[space]=guid,name&fields[space.organization]=name&per_page=5000',
])('GET %s asks as often for 33 as for 3', async path => {
  await using test = await startTestApi();
  await addApps(test, 2);
  const started = await makeStartedApp(test);
  await placeCopy(test, started.guid);
  const reads = countReads(test);
  const few = await test.api('GET', path, { token: test.admin });
  const forFew = reads.taken();
  await addApps(test, 32);
  reads.taken();
  const many = await test.api('GET', path, { token: test.admin });
  expect(few.status).toBe(200);
  expect(many.body.resources.length).toBeGreaterThan(30);
  expect(forFew).toBeGreaterThan(3);
  expect(reads.taken()).toBe(forFew);
});

test('a manifest of many apps is compared with as many questions as one of few', async () => {
  await using test = await startTestApi();
  await addApps(test, 30);
  const reads = countReads(test);
  const compare = async (count: number): Promise<number> => {
    const names = Array.from({ length: count }, (_, index) => `- name: app-${index}\n`);
    const yaml = `applications:\n${names.join('')}`;
    const path = `/v3/spaces/${test.home.spaceGuid}/manifest_diff`;
    expect((await test.api('POST', path, { token: test.admin, yaml })).status).toBe(201);
    return reads.taken();
  };
  expect(await compare(30)).toBe(await compare(3));
});
