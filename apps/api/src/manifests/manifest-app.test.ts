import { describe, expect, test } from 'vitest';
import { readManifestApp } from './manifest-app.ts';

const RULES = { byHash: false };
const errorsOf = (sent: unknown): string[] => readManifestApp(sent, RULES).errors;

describe('readManifestApp()', () => {
  test('reads every key, dashed or not', () => {
    const { app, errors } = readManifestApp(
      {
        name: 'web1',
        path: './ignored',
        memory: '64M',
        'disk-quota': '128M',
        'log-rate-limit-per-second': '1M',
        instances: 2,
        command: 'node server.js',
        'health-check-type': 'http',
        'health-check-http-endpoint': '/healthz',
        'health-check-invocation-timeout': 5,
        'health-check-interval': 20,
        timeout: 90,
        'readiness-health-check-type': 'http',
        'readiness-health-check-http-endpoint': '/ready',
        'readiness-health-check-invocation-timeout': 2,
        'readiness-health-check-interval': 7,
        buildpacks: ['nodejs_buildpack'],
        stack: 'cflinuxfs4',
        env: { A: 1, B: true, C: 'x', D: null },
        routes: [{ route: 'web1.example.com/shop', options: { loadbalancing: 'least-connection' } }],
        metadata: { labels: { tier: 'front' } },
        features: { ssh: false },
        'default-route': true,
      },
      RULES,
    );
    expect(errors).toEqual([]);
    expect(app).toMatchObject({
      name: 'web1',
      processes: [
        {
          type: 'web',
          size: { memoryMb: 64, diskMb: 128, logRateBytes: 1_048_576, instances: 2 },
          settings: {
            command: 'node server.js',
            healthCheckType: 'http',
            healthCheckEndpoint: '/healthz',
            healthCheckInvocationTimeoutS: 5,
            healthCheckIntervalS: 20,
            healthCheckTimeoutS: 90,
            readinessType: 'http',
            readinessEndpoint: '/ready',
            readinessInvocationTimeoutS: 2,
            readinessIntervalS: 7,
          },
        },
      ],
      buildpacks: ['nodejs_buildpack'],
      stack: 'cflinuxfs4',
      env: { A: '1', B: 'true', C: 'x', D: '' },
      features: { ssh: false },
      metadata: { labels: { tier: 'front' } },
      routes: {
        noRoute: false,
        defaultRoute: true,
        randomRoute: false,
        list: [
          {
            text: 'web1.example.com/shop',
            uri: { name: 'web1.example.com', path: '/shop', port: null },
            options: { loadbalancing: 'least-connection' },
          },
        ],
      },
      audit: { env: '[PRIVATE DATA HIDDEN]' },
    });
  });

  test('a web process of its own counts instead of what the app level says, as in CF', () => {
    const { app } = readManifestApp(
      {
        name: 'a',
        memory: '64M',
        command: 'top',
        processes: [
          { type: 'web', disk_quota: '99M' },
          { type: 'worker', instances: 1, command: null },
        ],
      },
      RULES,
    );
    expect(app.processes).toEqual([
      { type: 'web', size: { diskMb: 99 }, settings: {} },
      { type: 'worker', size: { instances: 1 }, settings: { command: null } },
    ]);
  });

  test('none is the old name of process, null and default reset a command', () => {
    const { app } = readManifestApp({ name: 'a', 'health-check-type': 'none', command: 'default' }, RULES);
    expect(app.processes[0]?.settings).toEqual({ healthCheckType: 'process', command: null });
  });

  test.each([
    [{}, 'Name must not be empty'],
    [{ name: 'a', memory: '64' }, 'Process "web": Memory must use a supported unit: B, K, KB, M, MB, G, GB, T, or TB'],
    [{ name: 'a', memory: 'much' }, 'Process "web": Memory is not a number'],
    [{ name: 'a', memory: '0M' }, 'Process "web": Memory must be greater than 0MB'],
    [{ name: 'a', disk_quota: '-1G' }, 'Process "web": Disk quota must be greater than 0MB'],
    [{ name: 'a', instances: -1 }, 'Process "web": Instances must be greater than or equal to 0'],
    [{ name: 'a', instances: 1.5 }, 'Process "web": Instances must be an integer'],
    [{ name: 'a', instances: 'two' }, 'Process "web": Instances is not a number'],
    [{ name: 'a', timeout: 0 }, 'Process "web": Timeout must be greater than or equal to 1'],
    [{ name: 'a', command: '' }, 'Process "web": Command must be between 1 and 4096 characters'],
    [
      { name: 'a', 'health-check-type': 'tcp' },
      'Process "web": Health check type must be "port", "process", or "http"',
    ],
    [
      { name: 'a', 'health-check-type': 'port', 'health-check-http-endpoint': '/x' },
      'Process "web": Health check type must be "http" to set a health check HTTP endpoint',
    ],
    [
      { name: 'a', 'health-check-http-endpoint': 'x' },
      'Process "web": Health check http endpoint must be a valid URI path',
    ],
    [{ name: 'a', processes: {} }, 'Processes must be an array of process configurations'],
    [{ name: 'a', processes: [{ memory: '1G' }] }, 'All Processes must specify a type'],
    [{ name: 'a', processes: [{ type: 'w' }, { type: 'w' }] }, 'Process "w" may only be present once'],
    [{ name: 'a', env: ['A'] }, 'Env must be an object of keys and values'],
    [{ name: 'a', env: { VCAP_X: '1' } }, 'Env cannot start with VCAP_'],
    [{ name: 'a', env: { PORT: 1 } }, 'Env cannot set PORT'],
    [{ name: 'a', buildpack: 'x', buildpacks: ['y'] }, 'Buildpack and Buildpacks fields cannot be used together.'],
    [{ name: 'a', buildpacks: 'x' }, 'Buildpacks must be an array'],
    [{ name: 'a', buildpacks: [1] }, 'Buildpacks can only contain strings'],
    [{ name: 'a', routes: [{ x: 1 }] }, 'Routes must be a list of route objects'],
    [{ name: 'a', routes: [{ route: 'a b' }] }, "The route 'a b' is not a properly formed URL"],
    [{ name: 'a', routes: [{ route: 'a.b', protocol: 'smtp' }] }, "Route protocol must be 'http1', 'http2' or 'tcp'."],
    [
      { name: 'a', routes: [{ route: 'a.b', options: { sticky: true } }] },
      "Route 'a.b' contains invalid route option 'sticky'. Valid keys: 'loadbalancing'",
    ],
    [
      { name: 'a', routes: [{ route: 'a.b', options: { loadbalancing: 'x' } }] },
      "Cannot use loadbalancing value 'x' for Route 'a.b'; Valid values are: 'round-robin, least-connection'",
    ],
    [{ name: 'a', 'no-route': 'yes' }, 'No-route must be a boolean'],
    [
      { name: 'a', 'random-route': true, 'default-route': true },
      'Random-route and default-route may not be used together',
    ],
    [
      { name: 'a', features: { teleport: true } },
      'Features must be a map of valid feature names to booleans (true = enabled, false = disabled)',
    ],
    [{ name: 'a', docker: { image: 'x' }, buildpack: 'b' }, 'Cannot specify both buildpack(s) and docker keys'],
    [{ name: 'a', services: [{ parameters: {} }] }, 'Services must be a list of service instances'],
    [{ name: 'a', services: 'db' }, 'Services must be a list of service instances'],
    [{ name: 'a', metadata: { notes: {} } }, "Metadata has unexpected field(s): 'notes'"],
  ])('%j is refused in the words of CF', (sent, error) => {
    expect(errorsOf(sent)).toEqual([error]);
  });

  test.each([
    [{ name: 'a', lifecycle: 'cnb' }, /^Cloud Native Buildpacks are not supported yet/],
    [{ name: 'a', routes: [{ route: 'a.b', protocol: 'http2' }] }, /http2 is not supported yet/],
  ])('%j is refused with what to do instead', (sent, error) => {
    expect(errorsOf(sent)).toEqual([expect.stringMatching(error)]);
  });

  test('says everything that is wrong at once', () => {
    expect(errorsOf({ memory: 'x', instances: -1, routes: 1 })).toHaveLength(4);
  });

  test('asks for nothing where keys are null or lists empty', () => {
    const { app, errors } = readManifestApp(
      {
        name: 'a',
        services: [],
        sidecars: null,
        env: null,
        routes: null,
        processes: null,
      },
      RULES,
    );
    expect(errors).toEqual([]);
    expect(app).toMatchObject({ env: null, processes: [], routes: { list: null } });
  });
});
