/** What a user does in an app's folder beside push: open, diff, the plan of a push, the tab key. Processes, against a fake Cloud Foundry. */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { type Bench, CLI, type FakeCf, fakeCf, loggedIn } from '../fixtures.ts';

describe('open', () => {
  test('without a screen prints the address, of the app that the manifest names', async () => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    expect((await user.run(['open'])).stderr).toMatch(/Which app\?[\s\S]*cupola open APP/);
    user.write({ 'manifest.yml': 'applications:\n- name: web1\n' });
    const { code, stdout, stderr } = await user.run(['open'], { BROWSER: 'false' });
    expect([code, stdout, stderr]).toEqual([
      0,
      'http://web1.localhost:8080\n',
      expect.stringMatching(/cupola start web1/),
    ]);
    const json = await user.run(['open', 'web1', '--json']);
    expect(JSON.parse(json.stdout)).toEqual({ app: 'web1', url: 'http://web1.localhost:8080', opened: false });
  });

  test('says what to do for an app without a route', async () => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    cf.answer('GET /v3/apps/*/routes', { body: { pagination: {}, resources: [] } });
    expect(await user.run(['open', 'web1'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/cupola map-route web1/),
    });
  });
});

describe('diff', () => {
  const same = (cf: FakeCf): void => cf.answer('POST /v3/spaces/*/manifest_diff', { status: 201, body: { diff: [] } });
  /** The app runs what was pushed from here last. */
  async function pushed(cf: FakeCf, user: Bench): Promise<void> {
    user.write({ 'server.js': 'x', 'lib/a.js': 'y', 'old.txt': 'z' });
    expect((await user.run(['push', 'web1'])).code).toBe(0);
    cf.answer('GET /v3/apps/*/droplets/current', {
      body: { guid: 'droplet-1', links: { package: { href: `${cf.origin}/v3/packages/package-1` } } },
    });
  }

  test('of an untouched folder says so, and ends with 0', async () => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    same(cf);
    user.write({ 'server.js': 'x' });
    cf.known.add('11f6ad8ec52a2984abaafd7c3b516503785c2072');
    const { code, stdout } = await user.run(['diff', 'web1']);
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^web1: a push would change nothing/)]);
    expect(cf.log().filter(call => /^(PATCH|PUT|DELETE)|apply_manifest|packages/.test(call))).toEqual([]);
  });

  test('names files by content where the app was pushed from elsewhere, and settings; ends with 1', async () => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    cf.answer('POST /v3/spaces/*/manifest_diff', {
      status: 201,
      body: {
        diff: [
          { op: 'replace', path: '/applications/0/memory', was: '64M', value: '128M' },
          { op: 'add', path: '/applications/0/env/KEY', value: 'v' },
          { op: 'remove', path: '/applications/0/buildpacks/1', was: 'old' },
          { op: 'add', path: '/applications/0/default-route', value: true },
        ],
      },
    });
    await pushed(cf, user);
    cf.answer('GET /v3/apps/*/droplets/current', { body: { guid: 'droplet-2' } });
    cf.known.add('11f6ad8ec52a2984abaafd7c3b516503785c2072');
    const { code, stdout } = await user.run(['diff', 'web1', '-m', '128M']);
    expect(code).toBe(1);
    expect(stdout.replace(user.folder, 'FOLDER')).toBe(`web1:
  ~ memory: 64M -> 128M
  + env.KEY: v
  - buildpacks.1: old
  files of FOLDER (by content: it was not pushed from here last, so what is gone cannot be told)
  ? lib/a.js
  ? old.txt
`);
  });

  test('an app that is not there is one difference; a refusal is 2, no space 3', async () => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    same(cf);
    user.write({ 'server.js': 'x' });
    cf.answer('GET /v3/apps', { body: { pagination: {}, resources: [] } });
    const { code, stdout } = await user.run(['diff', 'shop', '--json']);
    expect([code, JSON.parse(stdout)]).toMatchObject([1, { changed: true, apps: [{ name: 'shop', isNew: true }] }]);
    cf.answer('POST /v3/spaces/*/manifest_diff', {
      status: 403,
      body: { errors: [{ code: 10003, title: 'CF-NotAuthorized', detail: 'You are not authorized' }] },
    });
    expect((await user.run(['diff', 'shop'])).code).toBe(2);
    expect((await user.run(['diff', 'shop'], { CUPOLA_HOME: join(user.home, 'none') })).code).toBe(3);
  });
});

describe('the plan of a push', () => {
  test('without a manifest each value is told with where it comes from; the folder gives the name', async () => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    user.write({ 'package.json': '{"scripts":{"start":"node a.js"}}' });
    const none = { body: { pagination: {}, resources: [] } };
    const made = { body: { pagination: {}, resources: [{ guid: 'app-1', name: 'app', state: 'STOPPED' }] } };
    cf.answer('GET /v3/apps', none, made);
    const { code, stdout, stderr } = await user.run(['push', '-i', '1']);
    expect([code, stderr]).toEqual([0, '']);
    expect(
      stdout
        .replace(user.folder, 'F')
        .split('\n')
        .slice(0, 9)
        .map(line => line.split(/ {3,}/)),
    ).toEqual([
      ['Pushing app to cupola / dev'],
      ['name', 'app', 'name of the folder'],
      ['files', expect.any(String), 'this folder'],
      ['language', 'Node.js', 'there is a package.json'],
      ['start', 'npm start', 'scripts.start: node a.js'],
      ['memory', '64M', "the platform's default"],
      ['disk', '1024M', "the platform's default"],
      ['instances', '1', '-i'],
      ['route', 'http://web1.localhost:8080', 'its name and the first domain'],
    ]);
  });

  test('an app that only shares the name of the folder is not pushed over', async () => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    user.write({ 'package.json': '{}' });
    expect(await user.run(['push'])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/not pushed from this folder[\s\S]*cupola push app/),
    });
    expect(cf.log()).toEqual(['GET /v3/apps']);
  });
});

test('git:remote says what to type next: with a first commit where there is none, and the branch that is checked out', async () => {
  await using cf = await fakeCf();
  using user = await loggedIn(cf);
  await promisify(execFile)('git', ['init', '--quiet', '--initial-branch', 'trunk', user.folder]);
  expect((await user.run(['git:remote', 'web1'])).stdout).toMatch(
    /Deploy: git add \. && git commit -m first && git push cupola trunk\n$/,
  );
});

describe('completion', () => {
  /** What bash makes of a line whose end is completed. */
  function complete(user: Bench, line: string): Promise<string[]> {
    const cupola = join(user.home, 'cupola');
    writeFileSync(cupola, `#!/bin/sh\nexec '${process.execPath}' '${CLI}' "$@"\n`, { mode: 0o755 });
    const script =
      'source <("$1" completion bash); COMP_LINE=$2; COMP_POINT=$3; _cupola; printf "%s\\n" "$' + '{COMPREPLY[@]}"';
    const typed = line.replace('cupola', cupola);
    const env = { PATH: process.env.PATH ?? '', HOME: user.home, CUPOLA_HOME: user.home };
    return new Promise(resolve =>
      execFile('bash', ['-c', script, 'bash', cupola, typed, String(typed.length)], { env }, (_, stdout) =>
        resolve(stdout.trim().split('\n').toSorted()),
      ),
    );
  }

  test('in bash: commands, what stands behind a colon, and names, also those that were heard before', async () => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    const named = (...names: string[]) => ({
      body: { pagination: {}, resources: names.map(name => ({ guid: name, name })) },
    });
    cf.answer('GET /v3/apps', named('my shop', 'mill', 'web'));
    cf.answer('GET /v3/service_instances', named('db'));
    expect(await complete(user, 'cupola comp')).toEqual(['completion']);
    expect(await complete(user, 'cupola git:re')).toEqual(['remote']);
    // On a machine that is slow the first press of the key is over before the names are there.
    const names = async (line: string): Promise<string[]> => {
      const found = await complete(user, line);
      return found[0] === '' ? names(line) : found;
    };
    expect(await names('cupola logs m')).toEqual(['mill', 'my\\ shop']);
    await cf[Symbol.asyncDispose]();
    expect(await complete(user, 'cupola bind-service web ')).toEqual(['db']);
  });

  test('of a platform that does not answer: nothing, and the shell goes on', async () => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    cf.answer('GET /v3/apps', { hang: true });
    expect(await complete(user, 'cupola logs m')).toEqual(['']);
  });
});
