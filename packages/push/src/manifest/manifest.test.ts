import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type PushFlags, planManifest } from './manifest.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cupola-manifest-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(files: Record<string, string>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
}
/** The applications that would be sent. */
function sent(name?: string, flags: PushFlags = {}): Record<string, unknown>[] {
  return (JSON.parse(planManifest(name, flags, folder).body) as { applications: Record<string, unknown>[] })
    .applications;
}
const ONE =
  'applications:\n- name: one\n  memory: 64M\n  disk_quota: 1G\n  env:\n    A: yes\n    B: "yes"\n    C: 1:30\n    D: 2026-01-01\n    E: 0644\n  unknown: [1, {a: b}]\n';

describe('planManifest() without a manifest', () => {
  test('pushes this folder under the name given, with a default route', () => {
    const plan = planManifest('web', {}, folder);
    expect(plan.apps).toEqual([{ name: 'web', folder, image: null }]);
    expect(JSON.parse(plan.body)).toEqual({ applications: [{ name: 'web', 'default-route': true }] });
  });
  test('wants a name', () => {
    expect(() => planManifest(undefined, {}, folder)).toThrow(/name/);
  });
  test('takes every flag', () => {
    const flags: PushFlags = {
      memory: '1G',
      disk: '2G',
      instances: 0,
      command: 'run',
      healthCheckType: 'http',
      endpoint: '/h',
      startTimeout: 90,
      stack: 's',
      buildpack: ['a', 'b'],
    };
    expect(sent('web', flags)).toEqual([
      {
        name: 'web',
        memory: '1G',
        'disk-quota': '2G',
        instances: 0,
        command: 'run',
        'health-check-type': 'http',
        'health-check-http-endpoint': '/h',
        timeout: 90,
        stack: 's',
        buildpacks: ['a', 'b'],
        'default-route': true,
      },
    ]);
  });
});

describe('planManifest() with a manifest', () => {
  test('sends it as it is, unknown keys too, read as YAML 1.1 like cf', () => {
    write({ 'manifest.yml': ONE });
    expect(sent()).toEqual([
      {
        name: 'one',
        memory: '64M',
        env: { A: true, B: 'yes', C: '1:30', D: '2026-01-01', E: 420 },
        unknown: [1, { a: 'b' }],
        'disk-quota': '1G',
        'default-route': true,
      },
    ]);
  });
  test('a name renames the only app, and picks one of several', () => {
    write({ 'manifest.yml': ONE, 'two.yml': 'applications:\n- name: a\n- name: b\n' });
    expect(sent('other')[0]?.name).toBe('other');
    expect(sent('b', { manifest: 'two.yml' }).map(({ name }) => name)).toEqual(['b']);
    expect(() => sent('c', { manifest: 'two.yml' })).toThrow(/no app "c"; it has a, b/);
  });
  test('flags change one app only', () => {
    write({ 'manifest.yml': 'applications:\n- name: a\n- name: b\n' });
    expect(() => sent(undefined, { memory: '1G' })).toThrow(/several apps/);
    expect(sent('b', { memory: '1G' })).toEqual([{ name: 'b', memory: '1G', 'default-route': true }]);
    expect(sent()).toHaveLength(2);
  });
  test('flags go to the web process where there is one, and replace either spelling', () => {
    write({
      'manifest.yml':
        'applications:\n- name: a\n  health_check_type: http\n  processes:\n  - type: worker\n  - type: web\n    disk-quota: 1G\n    health_check_http_endpoint: /old\n',
    });
    expect(sent(undefined, { disk: '2G', instances: 3, healthCheckType: 'process' })).toEqual([
      {
        name: 'a',
        health_check_type: 'http',
        processes: [
          { type: 'worker' },
          { type: 'web', disk_quota: '2G', instances: 3, 'health-check-type': 'process' },
        ],
        'default-route': true,
      },
    ]);
  });
  test('an image is named by the manifest or by flags, and needs no folder', () => {
    write({
      'manifest.yml': 'applications:\n- name: a\n  path: nowhere\n  docker: {image: r.example/a:1, username: me}\n',
    });
    const plan = planManifest('a', { dockerImage: 'r.example/a:2' }, folder);
    expect(plan.apps).toEqual([{ name: 'a', folder, image: { name: 'r.example/a:2', username: 'me' } }]);
    expect(JSON.parse(plan.body).applications[0].docker).toEqual({ image: 'r.example/a:2', username: 'me' });
    expect(() => sent('a', { dockerImage: 'x', buildpack: ['b'] })).toThrow(/neither with -p nor with -b/);
  });
  test('"null" and "default" go back to what the platform would do', () => {
    write({ 'manifest.yml': 'applications:\n- name: a\n  command: old\n  buildpacks: [x]\n' });
    expect(sent(undefined, { command: 'null', buildpack: ['default'] })).toEqual([
      { name: 'a', command: null, buildpacks: [], 'default-route': true },
    ]);
  });
  test.each([
    ['no-route: true', {}, { 'no-route': true }],
    ['random_route: true', {}, { random_route: true }],
    ['routes: [{route: a.b}]', {}, { routes: [{ route: 'a.b' }], 'default-route': true }],
    ['memory: 1G', { noRoute: true }, { memory: '1G', 'no-route': true }],
    ['memory: 1G', { randomRoute: true }, { memory: '1G', 'random-route': true }],
  ])('routes: %s with %j', (yaml, flags, expected) => {
    write({ 'manifest.yml': `applications:\n- name: a\n  ${yaml}\n` });
    expect(sent(undefined, flags)).toEqual([{ name: 'a', ...expected }]);
  });
  test('anchors and merges', () => {
    write({
      'manifest.yml':
        'defaults: &d\n  memory: 1G\n  instances: 2\napplications:\n- name: a\n  <<: *d\n  instances: 1\n',
    });
    expect(sent()).toEqual([{ name: 'a', memory: '1G', instances: 1, 'default-route': true }]);
  });
  test('folders: of the manifest, of -p, of the place where one stands', () => {
    write({ 'deploy/m.yml': 'applications:\n- name: a\n  path: ../src\n- name: b\n', 'src/x': '', 'other/x': '' });
    expect(planManifest(undefined, { manifest: 'deploy/m.yml' }, folder).apps).toEqual([
      { name: 'a', folder: join(folder, 'src'), image: null },
      { name: 'b', folder, image: null },
    ]);
    expect(planManifest('a', { manifest: 'deploy/m.yml', path: 'other' }, folder).apps).toEqual([
      { name: 'a', folder: join(folder, 'other'), image: null },
    ]);
  });
  test('manifest.yaml is found too, -f takes a folder, --no-manifest none', () => {
    write({ 'x/manifest.yaml': ONE });
    expect(sent(undefined, { manifest: 'x' })[0]?.name).toBe('one');
    write({ 'manifest.yml': ONE });
    expect(sent('web', { noManifest: true })).toEqual([{ name: 'web', 'default-route': true }]);
  });
});

describe('planManifest() refuses', () => {
  test.each([
    [
      'both spellings',
      'applications:\n- name: a\n  disk_quota: 1G\n  disk-quota: 2G\n',
      /both disk_quota and disk-quota/,
    ],
    ['no applications', 'memory: 1G\n', /names no app/],
    ['an empty list', 'applications: []\n', /names no app/],
    ['an app without a name among several', 'applications:\n- name: a\n- memory: 1G\n', /without a name/],
    ['a nameless app', 'applications:\n- memory: 1G\n', /gives the app no name/],
    ['broken YAML', 'applications: [\n', /not valid YAML/],
    ['a custom tag', 'applications: !ruby/object {}\n', /not valid YAML/],
    ['a duplicate key', 'applications:\n- name: a\n  name: b\n', /not valid YAML/],
    ['a list', '- a\n', /not a map/],
    ['inherit', 'inherit: base.yml\napplications:\n- name: a\n', /inherit/],
    ['an app that is text', 'applications: [a]\n', /not a map/],
    ['a missing folder', 'applications:\n- name: a\n  path: nowhere\n', /There is no .*nowhere/],
    ['too deep a nest', `applications:\n- name: a\n  x: ${'['.repeat(40)}${']'.repeat(40)}\n`, /nested deeper/],
    [
      'billion laughs',
      `a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\napplications:\n- name: a\n`,
      /aliases/,
    ],
  ])('%s', (_name, yaml, message) => {
    write({ 'manifest.yml': yaml });
    expect(() => sent()).toThrow(message);
  });
  test('a manifest of more than 1 MiB, and one that is not there', () => {
    write({ 'big.yml': `# ${'x'.repeat(1024 * 1024)}\n` });
    expect(() => sent('a', { manifest: 'big.yml' })).toThrow(/larger than 1 MiB/);
    expect(() => sent('a', { manifest: 'none.yml' })).toThrow(/There is no/);
    expect(() => sent('a', { manifest: '.' })).toThrow(/no manifest.yml/);
  });
});

describe('variables', () => {
  test('come from files and --var, the later wins, with their own types', () => {
    write({
      'manifest.yml':
        'applications:\n- name: ((name))\n  instances: ((count))\n  env:\n    URL: http://((host)).example/((db.path))\n    ((key)): ((list))\n',
      'a.yml': 'name: from-a\ncount: 1\nhost: a\nkey: K\n',
      'b.yml': 'name: from-b\ndb:\n  path: x\nlist: [1, 2]\n',
    });
    expect(
      sent(undefined, { varsFile: ['a.yml', 'b.yml'].map(file => join(folder, file)), var: ['count=3', 'host=h'] }),
    ).toEqual([{ name: 'from-b', instances: 3, env: { URL: 'http://h.example/x', K: [1, 2] }, 'default-route': true }]);
  });
  test('that are missing are all named', () => {
    write({ 'manifest.yml': 'applications:\n- name: ((b))\n  env: {X: "((a)) ((b))"}\n' });
    expect(() => sent()).toThrow(/no value: a, b/);
  });
  test('of the wrong form are refused', () => {
    write({ 'manifest.yml': 'applications:\n- name: a-((x))\n' });
    expect(() => sent(undefined, { var: ['x'] })).toThrow(/NAME=VALUE/);
    expect(() => sent(undefined, { var: ['x=[1]'] })).toThrow(/list or a map/);
    expect(() => sent(undefined, { varsFile: [join(folder, 'none.yml')] })).toThrow(/cannot be read/);
  });
});
