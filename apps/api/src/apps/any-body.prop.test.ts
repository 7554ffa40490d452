/** Whatever is sent to apps, processes, routes and manifests is judged: it is never a bug of ours, and never an answer without words. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { startTestApi, type TestAnswer, type TestApi } from '../fixtures.ts';
import { makeStartedApp } from './fixtures.ts';

let api: TestApi;
/** What bodies name. */
let world: { app: string; route: string; droplet: string };
const logged: string[] = [];

beforeAll(async () => {
  api = await startTestApi({ log: line => logged.push(line) });
  const app = await makeStartedApp(api);
  const relationships = {
    space: { data: { guid: api.home.spaceGuid } },
    domain: { data: { guid: api.home.domainGuid } },
  };
  const { body: route } = await api.api('POST', '/v3/routes', { token: api.admin, body: { host: 'r', relationships } });
  const droplet = app.relationships.current_droplet.data.guid;
  world = { app: app.guid, route: route.guid, droplet };
});
afterAll(() => api[Symbol.asyncDispose]());

const key = fc.constantFrom('name', 'guid', 'data', 'type', 'a b', '', '__proto__', 'example.com/team');
const leaf = fc.oneof(
  fc.string(),
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
  fc.constantFrom('web', 'http', 'buildpack', 'host', '/', '*', '\0', '\ud800', 'a'.repeat(5_000)),
);
const { value: anything } = fc.letrec<{ value: unknown }>(tie => ({
  value: fc.oneof(
    { maxDepth: 4 },
    leaf,
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(key, tie('value'), { maxKeys: 4 }),
  ),
}));

/** Mostly as it should be: so that more than the door is tried. */
const or = (good: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 6, arbitrary: good }, { weight: 1, arbitrary: anything });
const some = (shape: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<Record<string, unknown>> => {
  const loose = Object.fromEntries(Object.entries(shape).map(([name, good]) => [name, or(good)]));
  return fc.oneof(
    { weight: 4, arbitrary: fc.record(loose) },
    { weight: 1, arbitrary: fc.record(loose, { requiredKeys: [] }) },
  );
};
const text = fc.constantFrom('a', 'B-1', 'c', 'web', 'ä', ' ', 'a'.repeat(300));
const count = fc.constantFrom(null, 0, 1, 64, 2_048, 2 ** 31, 1.5);
/** Stands for the guids of the world, which is not there yet. */
const guidOf = (name: string): fc.Arbitrary<string> => fc.constantFrom(name, name, 'ROUTE', 'nobody');
const toOne = (name: string): fc.Arbitrary<unknown> => some({ data: some({ guid: guidOf(name) }) });
const texts = fc.dictionary(key, fc.oneof(text, fc.constant(null)), { maxKeys: 3 });
const metadata = some({ labels: texts, annotations: texts });
const lifecycle = some({
  type: fc.constantFrom('buildpack', 'docker'),
  data: some({
    buildpacks: fc.array(or(fc.constantFrom('nodejs_buildpack', 'x'))),
    stack: fc.constantFrom('host', null),
  }),
});
const check = some({
  type: fc.constantFrom('port', 'http', 'process'),
  data: some({
    endpoint: fc.constantFrom('/', '/a', null),
    timeout: count,
    invocation_timeout: count,
    interval: count,
  }),
});
const options = fc.dictionary(fc.constantFrom('loadbalancing', 'x'), fc.constantFrom('round-robin', null, 'y'));
const destination = some({
  app: some({ guid: guidOf('APP'), process: some({ type: text }) }),
  port: fc.constantFrom(null, 8_080, 9_000),
  protocol: fc.constantFrom('http1', 'http2', null),
});
const BODIES: Record<string, fc.Arbitrary<unknown>> = {
  'POST /v3/apps': some({
    name: text,
    relationships: some({ space: toOne('SPACE') }),
    lifecycle,
    environment_variables: texts,
    metadata,
  }),
  'PATCH /v3/apps/APP': some({ name: text, lifecycle, metadata }),
  'PATCH /v3/apps/APP/environment_variables': some({ var: texts }),
  'PATCH /v3/apps/APP/relationships/current_droplet': toOne('DROPLET'),
  'PATCH /v3/apps/APP/features/ssh': some({ enabled: fc.boolean() }),
  'PATCH /v3/processes/APP': some({ command: text, health_check: check, readiness_health_check: check, metadata }),
  'POST /v3/processes/APP/actions/scale': some({
    instances: count,
    memory_in_mb: count,
    disk_in_mb: count,
    log_rate_limit_in_bytes_per_second: count,
  }),
  'POST /v3/routes': some({
    host: text,
    path: fc.constantFrom('', '/', '/a', '/%zz', null),
    port: fc.constantFrom(null, 0, 80),
    relationships: some({ space: toOne('SPACE'), domain: toOne('DOMAIN') }),
    options,
    metadata,
  }),
  'PATCH /v3/routes/ROUTE': some({ options, metadata }),
  'POST /v3/routes/ROUTE/destinations': some({ destinations: fc.array(or(destination), { maxLength: 3 }) }),
  'PATCH /v3/routes/ROUTE/destinations': some({ destinations: fc.array(or(destination), { maxLength: 3 }) }),
};

function inWorld(given: string): string {
  const { spaceGuid, domainGuid } = api.home;
  const { app, route, droplet } = world;
  const guids: Record<string, string> = {
    APP: app,
    ROUTE: route,
    DROPLET: droplet,
    SPACE: spaceGuid,
    DOMAIN: domainGuid,
  };
  return given.replace(/APP|ROUTE|DROPLET|SPACE|DOMAIN/g, name => guids[name] ?? name);
}

/** Of a refusal: that it says what is wrong. Of anything: that it is no failure of ours. */
function judge({ status, body }: TestAnswer): void {
  expect(status, logged.filter(line => line.includes('"err"')).at(-1)).toBeLessThan(500);
  const refusals = status < 400 ? [] : body.errors;
  expect(
    refusals.filter(({ detail, code }: { detail: string; code: number }) => !(detail.length > 5 && code > 0)),
  ).toEqual([]);
}

test.each(Object.keys(BODIES))('any JSON body of %s is taken or refused with words', async call => {
  const [method = '', path = ''] = call.split(' ');
  await fc.assert(
    fc.asyncProperty(BODIES[call] ?? fc.constant({}), async body => {
      const headers = { 'content-type': 'application/json' };
      const sent = inWorld(JSON.stringify(body) ?? '');
      judge(await api.api(method, inWorld(path), { token: api.admin, body: sent, headers }));
    }),
    { numRuns: 150 },
  );
});

const manifestKey = fc.constantFrom(
  ...'name buildpack buildpacks stack env features routes route options protocol processes type command instances memory disk_quota timeout'.split(
    ' ',
  ),
  ...'health-check-type no-route random-route default-route metadata labels annotations lifecycle docker services sidecars path'.split(
    ' ',
  ),
);
const { value: manifestValue } = fc.letrec<{ value: unknown }>(tie => ({
  value: fc.oneof(
    { maxDepth: 3 },
    leaf,
    fc.constantFrom('1G', '-1', 'x.localhost', 'http://y.localhost/z', [], {}),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(manifestKey, tie('value'), { maxKeys: 4 }),
  ),
}));

test.each(['actions/apply_manifest', 'manifest_diff'])(
  'any YAML for %s is taken or refused with words',
  async action => {
    const path = `/v3/spaces/${api.home.spaceGuid}/${action}`;
    const application = fc
      .dictionary(manifestKey, manifestValue, { maxKeys: 6 })
      .map(given => ({ name: 'a', ...given }));
    await fc.assert(
      fc.asyncProperty(fc.array(application, { minLength: 1, maxLength: 2 }), async applications => {
        judge(await api.api('POST', path, { token: api.admin, yaml: stringify({ applications }) }));
      }),
      { numRuns: 150 },
    );
  },
);

test.each(['apps', 'processes', 'routes'])('any query of GET /v3/%s is taken or refused with words', async list => {
  const name = fc.constantFrom(
    ...'names guids space_guids hosts paths ports types label_selector order_by page per_page after include embed created_ats created_ats[gt]'.split(
      ' ',
    ),
  );
  const text = fc.oneof(
    fc.string(),
    fc.constantFrom(
      'name',
      '-created_at',
      '0',
      '1',
      '99999999999',
      'a=b',
      '!a',
      'a in (b)',
      '%',
      '2026-01-01T00:00:00Z',
    ),
  );
  await fc.assert(
    fc.asyncProperty(fc.dictionary(name, text, { maxKeys: 4 }), async query => {
      judge(await api.api('GET', `/v3/${list}?${new URLSearchParams(query)}`, { token: api.admin }));
    }),
    { numRuns: 100 },
  );
});
