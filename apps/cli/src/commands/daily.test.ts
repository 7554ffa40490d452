/** The commands of every day, against a fake Cloud Foundry: what they ask of it, and what they say. */
import { describe, expect, test } from 'vitest';
import { fakeCf, loggedIn, type Recorded } from '../fixtures.ts';

const page = (...resources: unknown[]) => ({ body: { pagination: { total_results: resources.length }, resources } });
const json = (request: Recorded | undefined): unknown => JSON.parse(request?.body.toString() || 'null');
const TIME = '2026-11-24T10:00:00Z';
const route = {
  guid: 'route-1',
  host: 'web1',
  path: '',
  url: 'web1.localhost',
  destinations: [{ guid: 'destination-1', app: { guid: 'app-1' } }],
};
const SERVICE = { guid: 'service-1', name: 'db', type: 'user-provided', tags: ['pg'], syslog_drain_url: null };
const BINDING = {
  guid: 'binding-1',
  relationships: { app: { data: { guid: 'app-1' } }, service_instance: { data: { guid: 'service-1' } } },
};
const TASK = {
  guid: 'task-1',
  sequence_id: 1,
  name: 'migrate',
  command: 'npm run up',
  state: 'RUNNING',
  created_at: TIME,
};
const REVISIONS = [
  { guid: 'revision-2', version: 2, description: 'New droplet deployed.', deployable: true, created_at: TIME },
  { guid: 'revision-1', version: 1, description: 'Initial revision.', deployable: true, created_at: TIME },
];

/** What the fake says beside its usual answers. */
async function aPlatform() {
  const cf = await fakeCf();
  for (const [call, ...answers] of [
    ['GET /v3/domains', page({ guid: 'domain-1', name: 'localhost', internal: false })],
    ['GET /v3/routes', page(route)],
    ['POST /v3/routes', { status: 201, body: { ...route, guid: 'route-2' } }],
    ['POST /v3/routes/*/destinations', { body: { destinations: [] } }],
    ['DELETE /v3/routes/*/destinations/*', { status: 204 }],
    ['PATCH /v3/apps/*', { body: { guid: 'app-1', name: 'web2', state: 'STARTED' } }],
    ['GET /v3/buildpacks', page({ guid: 'b', name: 'nodejs_buildpack', position: 1, enabled: true, locked: false })],
    ['GET /v3/apps/*/revisions', page(...REVISIONS)],
    ['GET /v3/apps/*/revisions/deployed', page(REVISIONS[0])],
    ['GET /v3/deployments', page({ guid: 'deployment-1', status: { value: 'ACTIVE', reason: 'PAUSED' } })],
    ['POST /v3/deployments/*/actions/cancel', { body: {} }],
    ['POST /v3/deployments/*/actions/continue', { body: {} }],
    ['POST /v3/apps/*/tasks', { status: 202, body: TASK }],
    ['GET /v3/apps/*/tasks', page(TASK)],
    ['POST /v3/tasks/*/actions/cancel', { status: 202, body: TASK }],
    ['GET /v3/service_instances', page(SERVICE)],
    ['POST /v3/service_instances', { status: 201, body: SERVICE }],
    ['DELETE /v3/service_instances/*', { status: 204 }],
    ['GET /v3/service_credential_bindings', page(BINDING)],
    ['POST /v3/service_credential_bindings', { status: 201, body: BINDING }],
    ['DELETE /v3/service_credential_bindings/*', { status: 204 }],
    ['POST /v3/organizations', { status: 201, body: { guid: 'org-2', name: 'new' } }],
    ['DELETE /v3/organizations/*', { status: 202 }],
    ['DELETE /v3/spaces/*', { status: 202 }],
    ['GET /v3/security_groups', page(GROUP)],
    ['POST /v3/security_groups', { status: 201, body: GROUP }],
    ['PATCH /v3/security_groups/*', { body: GROUP }],
    ['DELETE /v3/security_groups/*', { status: 202 }],
    ['POST /v3/security_groups/*/relationships/running_spaces', { body: {} }],
    ['POST /v3/security_groups/*/relationships/staging_spaces', { body: {} }],
    ['DELETE /v3/security_groups/*/relationships/running_spaces/*', { status: 204 }],
    ['GET /networking/v1/external/policies', { body: { total_policies: 1, policies: [POLICY] } }],
    ['POST /networking/v1/external/policies', { body: {} }],
    ['POST /networking/v1/external/policies/delete', { body: {} }],
    ['GET /v3/users', page({ guid: 'user-2', username: 'bob', origin: 'uaa' })],
    ['POST /v3/users', { status: 201, body: { guid: 'user-2' } }],
    ['POST /Users', { status: 201, body: { id: 'user-2' } }],
    ['PUT /Users/*/password', { body: { status: 'ok' } }],
    ['GET /v3/roles', page({ guid: 'role-1', type: 'space_developer' })],
    ['DELETE /v3/roles/*', { status: 202 }],
    [
      'GET /v3/audit_events',
      page({
        type: 'audit.app.process.crash',
        created_at: TIME,
        actor: { name: 'web' },
        data: { exit_description: 'Exited with status 1 [crash]' },
      }),
    ],
  ] as const)
    cf.answer(call, ...answers);
  return cf;
}

test.each([
  [['domains'], /localhost/],
  [['routes'], /http:\/\/web1\.localhost:8080 +web1/],
  [['events', 'web1'], /app\.process\.crash +web +Exited with status 1\n/],
  [['buildpacks'], /1 +nodejs_buildpack +- +yes +no/],
  [['revisions', 'web1'], /2 \(runs\).*New droplet deployed\.[\s\S]*1 .*Initial/],
  [['tasks', 'web1'], /1 +migrate +running/],
  [['services'], /db +user-provided +web1/],
  [['service', 'db'], /tags +pg/],
  [['service', 'db', '--guid'], /^service-1\n$/],
  [['security-groups'], /db +tcp 10\.0\.5\.7 5432 +running +1/],
  [['network-policies'], /web1 +web1 +tcp +8080 +dev +cupola$/m],
  [['network-policies', '--source', 'web1'], /web1 +web1 +tcp +8080/],
  [['users'], /bob +user-2 +uaa/],
])('%j shows it to people, and as one object to programs', async (args, text) => {
  await using cf = await aPlatform();
  using user = await loggedIn(cf);
  const plain = await user.run(args);
  expect([plain.code, plain.stderr]).toEqual([0, '']);
  expect(plain.stdout).toMatch(text);
  expect(typeof JSON.parse((await user.run([...args, '--json'])).stdout)).toBe('object');
});

const POLICY = {
  source: { id: 'app-1' },
  destination: { id: 'app-1', protocol: 'tcp', ports: { start: 8080, end: 8080 } },
};
const RULES = [{ protocol: 'tcp', destination: '10.0.5.7', ports: '5432' }];
const GROUP = {
  guid: 'group-1',
  name: 'db',
  rules: RULES,
  globally_enabled: { running: true, staging: false },
  relationships: { running_spaces: { data: [{ guid: 'space-1' }] }, staging_spaces: { data: [] } },
};
const toOne = (guid: string) => ({ data: { guid } });

test.each<[string[], string, unknown]>([
  [
    ['create-route', 'localhost', '--hostname', 'new', '--path', 'x'],
    'POST /v3/routes',
    { host: 'new', path: '/x', relationships: { space: toOne('space-1'), domain: toOne('domain-1') } },
  ],
  [
    ['map-route', 'web1', 'localhost', '-n', 'web1'],
    'POST /v3/routes/route-1/destinations',
    { destinations: [{ app: { guid: 'app-1' } }] },
  ],
  [['unmap-route', 'web1', 'localhost', '-n', 'web1'], 'DELETE /v3/routes/route-1/destinations/destination-1', null],
  [['delete-route', 'localhost', '-n', 'web1', '-f'], 'DELETE /v3/routes/route-1', null],
  [['rename', 'web1', 'web2'], 'PATCH /v3/apps/app-1', { name: 'web2' }],
  [['restage', 'web1'], 'POST /v3/builds', { package: { guid: 'package-1' } }],
  [
    ['rollback', 'web1', '-f'],
    'POST /v3/deployments',
    { revision: { guid: 'revision-1' }, strategy: 'rolling', relationships: { app: toOne('app-1') } },
  ],
  [['cancel-deployment', 'web1'], 'POST /v3/deployments/deployment-1/actions/cancel', null],
  [['continue-deployment', 'web1'], 'POST /v3/deployments/deployment-1/actions/continue', null],
  [
    ['run-task', 'web1', '--command', 'npm run up', '-m', '64M', '--name', 'migrate'],
    'POST /v3/apps/app-1/tasks',
    { command: 'npm run up', name: 'migrate', memory_in_mb: 64 },
  ],
  [['terminate-task', 'web1', '1'], 'POST /v3/tasks/task-1/actions/cancel', null],
  [
    ['cups', 'db', '-p', '{"uri":"x"}', '-t', 'a, b', '-l', 'syslog://h:1'],
    'POST /v3/service_instances',
    {
      type: 'user-provided',
      name: 'db',
      credentials: { uri: 'x' },
      tags: ['a', 'b'],
      syslog_drain_url: 'syslog://h:1',
      relationships: { space: toOne('space-1') },
    },
  ],
  [
    ['bind-service', 'web1', 'db', '--binding-name', 'main'],
    'POST /v3/service_credential_bindings',
    { type: 'app', name: 'main', relationships: { app: toOne('app-1'), service_instance: toOne('service-1') } },
  ],
  [['unbind-service', 'web1', 'db'], 'DELETE /v3/service_credential_bindings/binding-1', null],
  [
    ['scale', 'web1', '--process', 'worker', '-i', '2'],
    'POST /v3/apps/app-1/processes/worker/actions/scale',
    { instances: 2 },
  ],
  [
    ['create-security-group', 'db', 'rules.json'],
    'POST /v3/security_groups',
    { name: 'db', rules: [{ protocol: 'tcp', destination: '10.0.5.7', ports: '5432' }] },
  ],
  [['update-security-group', 'db', 'rules.json'], 'PATCH /v3/security_groups/group-1', { rules: RULES }],
  [
    ['bind-security-group', 'db', 'cupola', '--space', 'dev'],
    'POST /v3/security_groups/group-1/relationships/running_spaces',
    { data: [{ guid: 'space-1' }] },
  ],
  [
    ['bind-security-group', 'db', 'cupola', '--lifecycle', 'staging'],
    'POST /v3/security_groups/group-1/relationships/staging_spaces',
    { data: [{ guid: 'space-1' }] },
  ],
  [
    ['unbind-security-group', 'db', 'cupola', 'dev'],
    'DELETE /v3/security_groups/group-1/relationships/running_spaces/space-1',
    null,
  ],
  [['delete-security-group', 'db', '-f'], 'DELETE /v3/security_groups/group-1', null],
  [['add-network-policy', 'web1', 'web1'], 'POST /networking/v1/external/policies', { policies: [POLICY] }],
  [
    ['add-network-policy', 'web1', 'web1', '-s', 'dev', '-o', 'cupola', '--protocol', 'UDP', '--port', '53-54'],
    'POST /networking/v1/external/policies',
    {
      policies: [
        { source: { id: 'app-1' }, destination: { id: 'app-1', protocol: 'udp', ports: { start: 53, end: 54 } } },
      ],
    },
  ],
  [['remove-network-policy', 'web1', 'web1'], 'POST /networking/v1/external/policies/delete', { policies: [POLICY] }],
  [['create-org', 'new'], 'POST /v3/organizations', { name: 'new' }],
  [['delete-org', 'cupola', '-f'], 'DELETE /v3/organizations/org-1', null],
  [['delete-space', 'dev', '-f'], 'DELETE /v3/spaces/space-1', null],
  [['create-user', 'bob', 'long-enough'], 'POST /v3/users', { guid: 'user-2' }],
  [['delete-user', 'bob', '-f'], 'DELETE /v3/users/user-2', null],
  [['unset-role', 'bob', 'SpaceDeveloper'], 'DELETE /v3/roles/role-1', null],
])('%j asks %s', async (args, call, body) => {
  await using cf = await aPlatform();
  cf.answer('DELETE /v3/users/*', { status: 202 });
  cf.answer('DELETE /Users/*', { status: 200, body: {} });
  using user = await loggedIn(cf);
  user.write({ 'rules.json': JSON.stringify(RULES) });
  const { code, stderr } = await user.run(args);
  expect([code, stderr]).toEqual([0, '']);
  const asked = cf.requests.find(({ method, url }) => `${method} ${url}` === call);
  expect([cf.log().includes(call), json(asked)]).toEqual([true, body]);
});

test('rollback goes back to what served, not to a deployment that was cancelled', async () => {
  await using cf = await aPlatform();
  const revision = (version: number) => ({ guid: `revision-${version}`, version, created_at: TIME });
  cf.answer('GET /v3/apps/*/revisions', page(revision(4), revision(3), revision(2), revision(1)));
  cf.answer('GET /v3/apps/*/revisions/deployed', page(revision(3)));
  cf.answer(
    'GET /v3/deployments',
    page({
      guid: 'd',
      status: { value: 'FINALIZED', reason: 'CANCELED' },
      revision: { guid: 'revision-2', version: 2 },
    }),
  );
  using user = await loggedIn(cf);
  expect((await user.run(['rollback', 'web1', '-f'])).code).toBe(0);
  const made = cf.requests.find(({ method, url }) => `${method} ${url}` === 'POST /v3/deployments');
  expect(json(made)).toMatchObject({ revision: { guid: 'revision-1' } });
});

describe('with words for what goes wrong', () => {
  test('set-role gives the role in the organization first, and knows both names of a role', async () => {
    await using cf = await aPlatform();
    using user = await loggedIn(cf);
    expect((await user.run(['set-role', 'bob', 'space_developer'])).code).toBe(0);
    const given = cf.requests.filter(({ method, url }) => `${method} ${url}` === 'POST /v3/roles').map(json);
    expect(given).toMatchObject([{ type: 'organization_user' }, { type: 'space_developer' }]);
    const wrong = await user.run(['set-role', 'bob', 'SpaceDevelper']);
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('Did you mean SpaceDeveloper?')]);
  });

  test('run-task --wait exits 1 with the reason when the task fails', async () => {
    await using cf = await aPlatform();
    cf.answer('GET /v3/tasks/*', { body: { ...TASK, state: 'FAILED', result: { failure_reason: 'exited with 7' } } });
    using user = await loggedIn(cf);
    const { code, stderr } = await user.run(['run-task', 'web1', 'npm run up', '--wait']);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/failed: exited with 7\n.*logs web1 --recent/)]);
  });

  test('set-env --file sends every line of it in one call', async () => {
    await using cf = await aPlatform();
    using user = await loggedIn(cf);
    user.write({ '.env': '# both\nA=1\nB="two words"\n' });
    expect((await user.run(['set-env', 'web1', '--file', '.env'])).code).toBe(0);
    const sent = cf.requests.find(({ method }) => method === 'PATCH');
    expect(json(sent)).toEqual({ var: { A: '1', B: 'two words' } });
    expect((await user.run(['set-env', 'web1', 'A'])).code).toBe(2);
  });

  test('passwd sends the old and the new one to the login server', async () => {
    await using cf = await aPlatform();
    using user = await loggedIn(cf);
    const { code } = await user.run(['passwd'], { CUPOLA_PASSWORD: 'secret', CUPOLA_NEW_PASSWORD: 'other' });
    expect(code).toBe(0);
    expect(json(cf.requests.find(({ url }) => url === '/Users/user-1/password'))).toEqual({
      oldPassword: 'secret',
      password: 'other',
    });
  });

  test.each([
    ['delete-route', 'localhost', '-n', 'web1'],
    ['delete-service', 'free'],
    ['delete-org', 'cupola'],
    ['delete-space', 'dev'],
    ['delete-user', 'bob'],
    ['rollback', 'web1'],
  ])('%s asks nothing without a terminal: it wants -f', async (...args) => {
    await using cf = await aPlatform();
    cf.answer('GET /v3/service_credential_bindings', page());
    using user = await loggedIn(cf);
    expect(await user.run(args)).toMatchObject({ code: 2, stderr: expect.stringContaining('-f') });
    expect(cf.log().filter(call => call.startsWith('DELETE') || call.startsWith('POST'))).toEqual([]);
  });

  test('a name that is nearly right is answered with what is near', async () => {
    await using cf = await aPlatform();
    cf.answer('GET /v3/apps', page(), page({ guid: 'app-1', name: 'web1', state: 'STARTED' }));
    using user = await loggedIn(cf);
    expect((await user.run(['app', 'wbe1'])).stderr).toContain('Did you mean web1?');
    expect((await user.run(['psuh', 'web1'])).stderr).toContain('Did you mean push?');
  });
});

test('app says why no instance runs, and what to do', async () => {
  await using cf = await aPlatform();
  cf.answer('GET /v3/processes/*/stats', {
    body: { resources: [{ index: 0, state: 'CRASHED', details: 'out of memory: limit 64 MB [out-of-memory]' }] },
  });
  using user = await loggedIn(cf);
  const { code, stdout } = await user.run(['app', 'web1']);
  expect([code, stdout]).toEqual([
    0,
    expect.stringMatching(/it does not run: it needs more memory than it has\.\n.*\nNext: cupola scale web1 -m 256M/),
  ]);
});

describe('doctor APP', () => {
  test('of an app that runs says so, with its address', async () => {
    await using cf = await aPlatform();
    cf.answer('GET /v3/apps', page({ guid: 'app-1', name: 'web1', state: 'STARTED' }));
    cf.answer('GET /v3/builds', page({ guid: 'build-1', state: 'STAGED' }));
    using user = await loggedIn(cf);
    const { code, stdout } = await user.run(['doctor', 'web1']);
    expect([code, stdout]).toEqual([0, 'web1 runs, and nothing is wrong with it.\nhttp://web1.localhost:8080\n']);
  });

  test('of an app that does not run names cause, evidence and next command, and exits 1', async () => {
    await using cf = await aPlatform();
    cf.answer('GET /v3/apps', page({ guid: 'app-1', name: 'web1', state: 'STARTED' }));
    cf.answer('GET /v3/builds', page({ guid: 'build-1', state: 'STAGED' }));
    cf.answer('GET /v3/processes/*/stats', {
      body: {
        resources: [
          { index: 0, state: 'CRASHED', details: 'health check failed: no (it listens on 3000) [wrong-port]' },
        ],
      },
    });
    cf.answer('GET /v3/apps/*/routes', page());
    using user = await loggedIn(cf);
    const { code, stdout } = await user.run(['doctor', 'web1', '--json']);
    expect(code).toBe(1);
    expect(JSON.parse(stdout.split('\n')[0] ?? '')).toMatchObject({
      findings: [
        { about: 'web, 0 of 1 running', cause: { code: 'wrong-port', next: 'cupola push web1' } },
        { about: 'routes', next: 'cupola map-route web1 DOMAIN --hostname web1' },
      ],
    });
  });
});

test('push --strategy rolling cancels a version that never gets healthy, and says why', async () => {
  await using cf = await aPlatform();
  using user = await loggedIn(cf);
  user.write({ a: 'x' });
  cf.answer('POST /v3/deployments', {
    status: 201,
    body: {
      guid: 'deployment-1',
      status: { value: 'ACTIVE', reason: 'DEPLOYING' },
      new_processes: [{ guid: 'process-2', type: 'web' }],
    },
  });
  cf.answer('GET /v3/deployments/*', {
    body: { guid: 'deployment-1', status: { value: 'ACTIVE', reason: 'DEPLOYING' } },
  });
  cf.answer('POST /v3/deployments/*/actions/cancel', { body: {} });
  cf.answer('GET /v3/processes/*', {
    body: { guid: 'process-2', type: 'web', instances: 1, memory_in_mb: 64, disk_in_mb: 64 },
  });
  cf.answer('GET /v3/processes/*/stats', {
    body: { resources: [{ index: 0, state: 'CRASHED', details: 'Exited with status 1 [crash]' }] },
  });
  const { code, stderr } = await user.run(['push', 'web1', '--strategy', 'rolling']);
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /new version of web1 \(web\) does not run: it crashes with an error.*cancelled.*former version/,
  );
  expect(cf.log()).toContain('POST /v3/deployments/deployment-1/actions/cancel');
});

describe('a canary', () => {
  const paused = (current: number) => ({
    guid: 'deployment-1',
    status: { value: 'ACTIVE', reason: 'PAUSED', canary: { steps: { current, total: 2 } } },
  });

  test('push --strategy canary ends at the pause, and names both ways on', async () => {
    await using cf = await aPlatform();
    using user = await loggedIn(cf);
    user.write({ a: 'x' });
    cf.answer('GET /v3/deployments/*', { body: paused(1) });
    const args = ['push', 'web1', '--strategy', 'canary', '--instance-steps', '50,100', '--max-in-flight', '2'];
    const { code, stdout } = await user.run(args);
    expect(code).toBe(0);
    expect(stdout).toMatch(/web1 has a canary: done.*cupola continue-deployment web1.*cupola cancel-deployment web1/s);
    expect(json(cf.requests.find(({ method, url }) => method === 'POST' && url === '/v3/deployments'))).toMatchObject({
      strategy: 'canary',
      options: { max_in_flight: 2, canary: { steps: [{ instance_weight: 50 }, { instance_weight: 100 }] } },
    });
  });

  test('app shows that it has paused; continue-deployment goes to the next pause, or to the end', async () => {
    await using cf = await aPlatform();
    using user = await loggedIn(cf);
    cf.answer('GET /v3/deployments', page({ ...paused(1), new_processes: [{ guid: 'process-1', type: 'web' }] }));
    expect((await user.run(['app', 'web1'])).stdout).toMatch(/deployment +paused.*web, new version: .*step 1 of 2/s);
    cf.answer('GET /v3/deployments/*', { body: paused(2) });
    expect((await user.run(['continue-deployment', 'web1'])).stdout).toContain('(step 2 of 2)');
    cf.answer('GET /v3/deployments/*', {
      body: { guid: 'deployment-1', status: { value: 'FINALIZED', reason: 'DEPLOYED' } },
    });
    expect((await user.run(['continue-deployment', 'web1'])).stdout).toContain('web1 runs its new version');
  });

  test('without one, or without a pause, both commands say what to do', async () => {
    await using cf = await aPlatform();
    using user = await loggedIn(cf);
    cf.answer('GET /v3/deployments', page());
    expect(await user.run(['cancel-deployment', 'web1'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/No deployment of web1 is under way.*cupola push web1 --strategy canary/s),
    });
    cf.answer('GET /v3/deployments', page({ guid: 'd', status: { value: 'ACTIVE', reason: 'DEPLOYING' } }));
    expect((await user.run(['continue-deployment', 'web1'])).stderr).toContain('cupola app web1');
    expect((await user.run(['push', 'web1', '--max-in-flight', '2'])).stderr).toContain('--strategy canary');
  });
});

test('scale names the processes that there are, run-task what to push first, and a rules file what it should hold', async () => {
  await using cf = await aPlatform();
  using user = await loggedIn(cf);
  cf.answer('POST /v3/apps/*/processes/*/actions/scale', {
    status: 404,
    body: { errors: [{ detail: 'Process not found' }] },
  });
  expect(await user.run(['scale', 'web1', '--process', 'wrker', '-i', '1'])).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/no process "wrker": it has web\.\n.*Procfile/),
  });
  cf.answer('POST /v3/apps/*/tasks', { status: 422, body: { errors: [{ detail: 'Task must have a droplet.' }] } });
  cf.answer('GET /v3/apps/*/droplets/current', { status: 404, body: { errors: [{ detail: 'Droplet not found' }] } });
  expect((await user.run(['run-task', 'web1', 'npm run up'])).stderr).toContain('cupola push web1 --task');
  user.write({ 'rules.json': 'tcp 10.0.5.7' });
  expect(await user.run(['create-security-group', 'db', 'rules.json'])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('"destination":"10.0.5.7"'),
  });
});

test.each([
  [['--port', '80'], 2, /--protocol and --port go together\.\n.*--protocol tcp --port 8080/],
  [['-o', 'cupola'], 2, /-o needs the space too\.\n.*-s SPACE -o cupola/],
  [['--protocol', 'icmp', '--port', '1'], 2, /no protocol icmp\.\n.*udp/],
  [['--protocol', 'tcp', '--port', 'http'], 2, /--port http is no port\.\n.*8080-8090/],
  [
    ['--protocol', 'tcp', '--port', '81'],
    1,
    /No policy says that web1 may reach web1 by tcp on 81\.\n.*network-policies/,
  ],
] as const)('remove-network-policy web1 web1 %j ends with %i and what to do', async (flags, code, words) => {
  await using cf = await aPlatform();
  using user = await loggedIn(cf);
  expect(await user.run(['remove-network-policy', 'web1', 'web1', ...flags])).toMatchObject({
    code,
    stderr: expect.stringMatching(words),
  });
});

test("a route on an internal domain is shown with the instances' port, behind those that a browser reaches", async () => {
  await using cf = await aPlatform();
  using user = await loggedIn(cf);
  const domain = (guid: string) => ({
    relationships: { domain: toOne(guid) },
    destinations: [{ app: { guid: 'app-1' } }],
  });
  const inside = { guid: 'route-2', host: 'web1', url: 'web1.apps.internal', ...domain('domain-2') };
  const outside = { guid: 'route-1', host: 'web1', url: 'web1.localhost:9000', ...domain('domain-1') };
  const internal = { guid: 'domain-2', name: 'apps.internal', internal: true };
  cf.answer('GET /v3/domains', page({ guid: 'domain-1', name: 'localhost' }, internal));
  cf.answer('GET /v3/apps/*/routes', page(inside, outside));
  cf.answer('GET /v3/routes', page(inside, outside));
  for (const args of [['app', 'web1'], ['routes'], ['apps']])
    expect((await user.run(args)).stdout).toContain('http://web1.apps.internal:8080');
  expect(JSON.parse((await user.run(['app', 'web1', '--json'])).stdout)).toMatchObject({
    urls: ['http://web1.localhost:9000', 'http://web1.apps.internal:8080'],
  });
  cf.answer('GET /v3/domains', page(internal));
  const mapped = await user.run(['map-route', 'web1', 'apps.internal', '--hostname', 'web1']);
  expect(mapped.stdout).toMatch(/add-network-policy SOURCE web1\) at\nhttp:\/\/web1\.apps\.internal:8080\n$/);
});

test('push --task stages and starts nothing, and says how a task is run', async () => {
  await using cf = await aPlatform();
  using user = await loggedIn(cf);
  user.write({ a: 'x' });
  const { code, stdout } = await user.run(['push', 'web1', '--task']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/web1 is staged, not started.*cupola run-task web1 "COMMAND" --wait/);
  expect(cf.log()).toContain('PATCH /v3/apps/app-1/relationships/current_droplet');
  expect(cf.log()).not.toContain('POST /v3/apps/app-1/actions/restart');
});

test('push names the processes that have no instance yet', async () => {
  await using cf = await aPlatform();
  using user = await loggedIn(cf);
  user.write({ a: 'x' });
  const process = (type: string, instances: number) => ({
    guid: `process-${type}`,
    type,
    instances,
    memory_in_mb: 64,
    disk_in_mb: 64,
  });
  cf.answer('GET /v3/apps/*/processes', page(process('web', 1), process('worker', 0)));
  expect((await user.run(['push', 'web1'])).stdout).toMatch(
    /worker has no instance.*cupola scale web1 --process worker -i 1\n/,
  );
});
