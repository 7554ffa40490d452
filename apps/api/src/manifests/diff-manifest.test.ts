import { describe, expect, test } from 'vitest';
import { diffManifestApp } from './diff-manifest.ts';

const existing = {
  name: 'web1',
  env: { A: '1', KEPT: 'x' },
  lifecycle: 'buildpack',
  buildpacks: ['nodejs_buildpack', 'binary_buildpack'],
  stack: 'host',
  features: { ssh: true, revisions: false },
  routes: [{ route: 'web1.example.com', protocol: 'http1' }],
  processes: [
    {
      type: 'web',
      instances: 1,
      memory: '1024M',
      disk_quota: '1024M',
      'log-rate-limit-per-second': '1M',
      'health-check-type': 'port',
    },
  ],
};

describe('diffManifestApp()', () => {
  test('a new app is added key by key; what is no key of CF is left out', () => {
    expect(diffManifestApp(1, { name: 'new', memory: '64M', path: '.' }, null)).toEqual([
      { op: 'add', path: '/applications/1/name', value: 'new' },
      { op: 'add', path: '/applications/1/memory', value: '64M' },
    ]);
  });

  test('what is so already is no difference, in whatever unit and spelling', () => {
    const sent = {
      name: 'web1',
      memory: '1G',
      'disk-quota': '1G',
      instances: 1,
      env: { A: 1 },
      'health-check-type': 'port',
      routes: [{ route: 'https://WEB1.example.com/' }],
      processes: [{ type: 'web', memory: '1024M', disk_quota: '1G' }],
      features: { ssh: true },
      'log-rate-limit-per-second': '1024K',
    };
    expect(diffManifestApp(0, sent, existing)).toEqual([]);
  });

  test('what differs is replaced, with what it was', () => {
    expect(diffManifestApp(0, { name: 'web1', memory: '256M', instances: 3 }, existing)).toEqual([
      { op: 'replace', path: '/applications/0/memory', was: '1024M', value: '256M' },
      { op: 'replace', path: '/applications/0/instances', was: 1, value: 3 },
    ]);
  });

  test('merged things are added and changed, never removed', () => {
    const sent = { env: { A: '2', NEW: 'y' }, routes: [{ route: 'other.example.com' }] };
    expect(diffManifestApp(0, sent, existing)).toEqual([
      { op: 'replace', path: '/applications/0/env/A', was: '1', value: '2' },
      { op: 'add', path: '/applications/0/env/NEW', value: 'y' },
      { op: 'add', path: '/applications/0/routes/0', value: { route: 'other.example.com' } },
    ]);
  });

  test('processes are known by their type, their keys shown as the manifest writes them', () => {
    const sent = {
      processes: [
        { type: 'worker', instances: 1 },
        { type: 'web', disk_quota: '2G' },
      ],
    };
    expect(diffManifestApp(0, sent, existing)).toEqual([
      { op: 'add', path: '/applications/0/processes/0', value: { type: 'worker', instances: 1 } },
      { op: 'replace', path: '/applications/0/processes/1/disk_quota', was: '1024M', value: '2048M' },
    ]);
  });

  test('a list that is replaced as a whole loses what is beyond its end', () => {
    expect(diffManifestApp(0, { buildpacks: ['staticfile_buildpack'] }, existing)).toEqual([
      { op: 'replace', path: '/applications/0/buildpacks/0', was: 'nodejs_buildpack', value: 'staticfile_buildpack' },
      { op: 'remove', path: '/applications/0/buildpacks/1', was: 'binary_buildpack' },
    ]);
  });
});
