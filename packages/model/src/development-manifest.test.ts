import fc from 'fast-check';
import { expect, test } from 'vitest';
import { developmentManifest } from './development-manifest.ts';

const VARIABLES = { NODE_ENV: 'development' };

test('developmentManifest() keeps how the app is built, started and told, for one instance that nobody else needs', () => {
  const entry = {
    ...{ name: 'shop', memory: '128M', disk_quota: '1G', buildpacks: ['nodejs_buildpack'], env: { A: '1' } },
    ...{ command: 'npm start', instances: 4, routes: [{ route: 'shop.example.com' }], 'random-route': true },
    ...{ services: ['db', { name: 'mail' }], sidecars: [{ name: 's' }], 'health-check-type': 'http', stack: 'host' },
  };
  expect(developmentManifest(entry, { variables: VARIABLES })).toEqual({
    entry: {
      ...{ name: 'shop', memory: '128M', 'disk-quota': '1G', buildpacks: ['nodejs_buildpack'], stack: 'host' },
      ...{
        env: { NODE_ENV: 'development', A: '1' },
        command: 'npm start',
        instances: 1,
        'health-check-type': 'process',
      },
    },
    services: ['db', 'mail'],
    leftOut: ['routes', 'sidecars'],
  });
});

test('developmentManifest() takes what its web process says of itself, and no other process', () => {
  const processes = [
    { type: 'web', command: 'node a.js', memory: '64M', disk_quota: '2G', instances: 3 },
    { type: 'worker', command: 'node b.js' },
  ];
  expect(developmentManifest({ name: 'shop', env: { NODE_ENV: 'test' }, processes }, { variables: VARIABLES })).toEqual(
    {
      entry: {
        ...{ name: 'shop', command: 'node a.js', memory: '64M', 'disk-quota': '2G' },
        ...{ env: { NODE_ENV: 'test' }, instances: 1, 'health-check-type': 'process' },
      },
      services: [],
      leftOut: ['process worker'],
    },
  );
});

test('developmentManifest() never serves where the app does, nor with its data, whatever the manifest says', () => {
  const key = fc.oneof(
    fc.constantFrom('routes', 'services', 'instances', 'processes', 'docker', 'no_route', 'domains'),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.dictionary(key, fc.anything()), given => {
      const { entry } = developmentManifest(given, { variables: {} });
      const names = Object.keys(entry).map(name => name.replaceAll('_', '-'));
      expect(names.filter(name => /route|service|domain|host|docker|sidecar|process(?!es)/.test(name))).toEqual([]);
      expect([entry.instances, entry['health-check-type']]).toEqual([1, 'process']);
    }),
  );
});
