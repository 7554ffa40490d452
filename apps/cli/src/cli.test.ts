/** The CLI as a user runs it: a process, against a fake Cloud Foundry that records every request. */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { bench, fakeCf, loggedIn, type Recorded } from './fixtures.ts';

const seen = (requests: Recorded[], call: string): Recorded[] =>
  requests.filter(({ method, url }) => `${method} ${url.split('?')[0]}` === call);

describe('login and target', () => {
  test('keeps tokens and target in a file that only the owner reads, in CUPOLA_HOME', async () => {
    await using cf = await fakeCf();
    using user = bench();
    const { code, stdout } = await user.run(['login', '-a', cf.origin, '-u', 'admin', '-o', 'cupola', '-s', 'dev'], {
      CUPOLA_PASSWORD: 'secret',
    });
    expect(code).toBe(0);
    expect(stdout).toMatch(/org +cupola\nspace +dev/);
    const file = join(user.home, 'config.json');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(user.home).mode & 0o777).toBe(0o700);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({
      organization: { name: 'cupola' },
      space: { name: 'dev' },
      endpoints: { api: cf.origin, appsScheme: 'http', appsPort: 8080 },
    });
    expect(existsSync(join(user.home, 'config.lock'))).toBe(false);
  });

  test('takes the password from stdin or a flag; never asks without a terminal', async () => {
    await using cf = await fakeCf();
    using user = bench();
    const login = ['login', '-a', cf.origin, '-u', 'admin'];
    expect((await user.run([...login, '--password-stdin'], {}, 'secret\n')).code).toBe(0);
    expect((await user.run([...login, '-p', 'secret'])).code).toBe(0);
    const none = await user.run(login);
    expect([none.code, none.stderr]).toEqual([2, expect.stringContaining('CUPOLA_PASSWORD')]);
    expect((await user.run(['login', '-a', cf.origin])).code).toBe(2);
    expect((await user.run(['login'])).code).toBe(2);
  });

  test('a wrong password is exit code 3, an address where nobody listens 4', async () => {
    await using cf = await fakeCf();
    using user = bench();
    const wrong = await user.run(['login', '-a', cf.origin, '-u', 'admin', '-p', 'wrong']);
    expect([wrong.code, wrong.stderr]).toEqual([3, expect.stringContaining('Bad credentials')]);
    const nobody = await user.run(['login', '-a', 'http://127.0.0.1:1', '-u', 'admin', '-p', 'x']);
    expect([nobody.code, nobody.stderr]).toEqual([4, expect.stringMatching(/nobody listens there[\s\S]*cupola up/)]);
  });

  test('without a login every command says how to log in', async () => {
    using user = bench();
    for (const args of [['apps'], ['push', 'x'], ['logs', 'x'], ['target'], ['orgs'], ['curl', '/v3/apps']]) {
      const { code, stderr } = await user.run(args);
      expect([args, code, stderr]).toEqual([args, 3, expect.stringContaining('cupola login')]);
    }
  });

  test('an old token is refreshed once, and the new refresh token kept', async () => {
    await using cf = await fakeCf();
    cf.tokenSeconds = 30;
    using user = await loggedIn(cf);
    cf.tokenSeconds = 600;
    expect((await user.run(['orgs'])).code).toBe(0);
    expect((await user.run(['orgs'])).code).toBe(0);
    expect(cf.log().filter(call => call === 'POST /oauth/token')).toHaveLength(1);
  });

  test('two commands at once refresh once: a rotating token is never used twice', async () => {
    await using cf = await fakeCf();
    cf.tokenSeconds = 30;
    using user = await loggedIn(cf);
    cf.tokenSeconds = 600;
    const ran = await Promise.all(Array.from({ length: 5 }, () => user.run(['orgs'])));
    expect(ran.map(({ code }) => code)).toEqual([0, 0, 0, 0, 0]);
    expect(cf.log().filter(call => call === 'POST /oauth/token')).toHaveLength(1);
  });

  test('a login that has ended is exit code 3', async () => {
    await using cf = await fakeCf();
    cf.tokenSeconds = 30;
    using user = await loggedIn(cf);
    cf.answer('POST /oauth/token', {
      status: 401,
      body: { error: 'invalid_token', error_description: 'The token has been used' },
    });
    const { code, stderr } = await user.run(['orgs']);
    expect([code, stderr]).toEqual([3, expect.stringContaining('cupola login')]);
  });

  test('target chooses, create-space makes, logout forgets', async () => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    expect(JSON.parse((await user.run(['target', '-o', 'cupola', '-s', 'dev', '--json'])).stdout)).toMatchObject({
      organization: { name: 'cupola' },
      space: { name: 'dev' },
      username: 'admin',
    });
    cf.answer('GET /v3/spaces', { body: { pagination: {}, resources: [] } });
    expect((await user.run(['target', '-s', 'none'])).stderr).toContain('cupola create-space none');
    expect((await user.run(['create-space', 'new'])).code).toBe(0);
    expect(
      seen(cf.requests, 'POST /v3/roles').map(({ body }) => (JSON.parse(body.toString()) as { type: string }).type),
    ).toEqual(['space_manager', 'space_developer']);
    expect((await user.run(['logout'])).code).toBe(0);
    expect((await user.run(['apps'])).code).toBe(3);
  });

  test('a damaged settings file is named, a lock that was left is taken over, CF_HOME is not looked at', async () => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    writeFileSync(join(user.home, 'config.lock'), '999999999');
    expect((await user.run(['target', '-s', 'dev'], { CF_HOME: '/nonexistent' })).code).toBe(0);
    writeFileSync(join(user.home, 'config.json'), '{');
    const { code, stderr } = await user.run(['apps']);
    expect([code, stderr]).toEqual([2, expect.stringContaining('log in again')]);
  });
});

describe('looking and changing', () => {
  test.each([
    [['apps'], /web1 +stopped +web:0\/1 +http:\/\/web1\.localhost:8080/],
    [
      ['app', 'web1'],
      /name +web1[\s\S]*buildpacks +nodejs_buildpack[\s\S]*web: 1 of 1 running[\s\S]*#0 +running +3 s +1\.0 %/,
    ],
    [['app', 'web1', '--guid'], /^app-1\n$/],
    [['env', 'web1'], /User-Provided:\nGREETING: hi/],
    [['orgs'], /^cupola\n$/],
    [['spaces'], /^dev\n$/],
    [['curl', '/v3/info'], /"name":"fake"/],
    [['scale', 'web1'], /1 of 1 running/],
    [['delete', 'web1', '-f', '-r'], /web1 is deleted, and web1\.localhost with it/],
    [['stop', 'web1'], /web1 is stopped/],
    [['start', 'web1'], /web: 1 of 1 running/],
    [['restart', 'web1'], /web: 1 of 1 running/],
  ])('%j', async (args, text) => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    const plain = await user.run(args);
    expect([plain.code, plain.stderr]).toEqual([0, '']);
    expect(plain.stdout).toMatch(text);
    if (args[0] === 'curl') return;
    const json = await user.run([...args, '--json']);
    expect(json.code).toBe(0);
    expect(typeof JSON.parse(json.stdout)).toBe('object');
  });

  test('set-env and unset-env send a value and a null', async () => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    await user.run(['set-env', 'web1', 'KEY', '-value with blanks']);
    await user.run(['unset-env', 'web1', 'KEY']);
    expect(
      seen(cf.requests, 'PATCH /v3/apps/app-1/environment_variables').map(({ body }) => JSON.parse(body.toString())),
    ).toEqual([{ var: { KEY: '-value with blanks' } }, { var: { KEY: null } }]);
  });

  test('scale sends what was given; memory needs a restart', async () => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    cf.answer('GET /v3/apps', {
      body: { pagination: {}, resources: [{ guid: 'app-1', name: 'web1', state: 'STARTED' }] },
    });
    await user.run(['scale', 'web1', '-i', '1']);
    expect(cf.log()).not.toContain('POST /v3/apps/app-1/actions/restart');
    await user.run(['scale', 'web1', '-m', '1G', '-k', '512M']);
    expect(cf.log()).toContain('POST /v3/apps/app-1/actions/restart');
    expect(
      seen(cf.requests, 'POST /v3/apps/app-1/processes/web/actions/scale').map(({ body }) =>
        JSON.parse(body.toString()),
      ),
    ).toEqual([{ instances: 1 }, { memory_in_mb: 1024, disk_in_mb: 512 }]);
    expect((await user.run(['scale', 'web1', '-m', 'much'])).code).toBe(2);
  });

  test('start of an app that was only uploaded stages it first', async () => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    cf.answer('GET /v3/apps/*/droplets/current', {
      status: 404,
      body: { errors: [{ code: 10010, title: 'CF-ResourceNotFound', detail: 'Droplet not found' }] },
    });
    expect((await user.run(['start', 'web1'])).code).toBe(0);
    const calls = cf.log();
    expect(calls.indexOf('POST /v3/builds')).toBeGreaterThan(0);
    expect(calls.indexOf('POST /v3/apps/app-1/actions/start')).toBeGreaterThan(
      calls.indexOf('PATCH /v3/apps/app-1/relationships/current_droplet'),
    );
  });

  test('delete asks on a terminal only: without one it wants -f; an app that is not there is fine', async () => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    expect(await user.run(['delete', 'web1'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('delete web1 -f'),
    });
    cf.answer('GET /v3/apps', { body: { pagination: {}, resources: [] } });
    expect((await user.run(['delete', 'web1', '-f'])).code).toBe(0);
    expect((await user.run(['app', 'web1'])).stderr).toContain('cupola apps');
  });

  test('logs --recent prints as cf does, without what could steer a terminal', async () => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    cf.logLines.push(
      { type: 'APP/PROC/WEB', instance: '0', text: 'hello \u001b[31mred\u001b[0m \u001b]0;title\u0007 \u001b[2J' },
      { type: 'RTR', instance: '0', text: 'x' },
    );
    const { stdout } = await user.run(['logs', 'web1', '--recent']);
    const [first = '', second = ''] = stdout.split('\n');
    expect(first).toMatch(/^2026-11-23T\d\d:\d\d:00\.00[+-]\d{4} \[APP\/PROC\/WEB\/0\] OUT hello /);
    expect(first.slice(first.indexOf('hello'))).toBe('hello \u001b[31mred\u001b[0m ]0;title [2J');
    expect(second).toContain('[RTR/0] OUT x');
    const json = JSON.parse((await user.run(['logs', 'web1', '--recent', '--json'])).stdout) as {
      lines: { text: string }[];
    };
    expect(json.lines).toHaveLength(2);
  });

  test('curl passes method, body and headers, prints any answer, and --fail makes an error exit 22', async () => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    const sent = await user.run(['curl', '/v3/packages', '-X', 'POST', '-d', '{"a":1}', '-H', 'X-Thing: kept', '-i']);
    expect(sent.stdout).toMatch(/^HTTP 201\n[\s\S]*package-1/);
    const [recorded] = seen(cf.requests, 'POST /v3/packages');
    expect([recorded?.body.toString(), recorded?.headers['x-thing'], recorded?.headers['content-type']]).toEqual([
      '{"a":1}',
      'kept',
      'application/json',
    ]);
    const missing = await user.run(['curl', '/v3/none']);
    expect([missing.code, missing.stdout]).toEqual([0, expect.stringContaining('Unknown request')]);
    expect((await user.run(['curl', '/v3/none', '--fail'])).code).toBe(22);
  });
});
