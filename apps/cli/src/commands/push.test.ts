/** `cupola push` as a user runs it: a process, against a fake Cloud Foundry that records every request. */
import { createHash } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fakeCf, loggedIn, type Recorded } from '../fixtures.ts';

/** The parts of a multipart body by name, bytes as latin1. */
function parts({ headers, body }: Recorded): Record<string, string> {
  const boundary = /boundary=(.*)$/.exec(headers['content-type'] ?? '')?.[1] ?? '';
  const found = body.toString('latin1').split(`--${boundary}`).slice(1, -1);
  return Object.fromEntries(
    found.map(part => [/name="(\w+)"/.exec(part)?.[1] ?? '', part.slice(part.indexOf('\r\n\r\n') + 4, -2)]),
  );
}
const sha1 = (text: string): string => createHash('sha1').update(text).digest('hex');
const seen = (requests: Recorded[], call: string): Recorded[] =>
  requests.filter(({ method, url }) => `${method} ${url.split('?')[0]}` === call);

describe('push', () => {
  test('makes the calls of a push, shows staging, and ends with the URL and where the seconds went', async () => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    user.write({
      'server.js': 'x',
      'lib/a.js': 'y',
      '.git/HEAD': 'z',
      'manifest.yml': 'applications:\n- name: web1\n  memory: 64M\n',
    });
    cf.logLines.push(
      { type: 'STG', instance: '0', text: 'Installing Node.js' },
      { type: 'APP/PROC/WEB', instance: '0', text: 'not staging' },
    );
    const { code, stdout, stderr } = await user.run(['push']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain('Pushing web1 to cupola / dev');
    expect(stdout).toContain('Installing Node.js');
    expect(stdout).not.toContain('not staging');
    expect(stdout).toMatch(
      /web1 runs: done in [\d.]+ s \(upload [\d.]+ s, stage [\d.]+ s, start [\d.]+ s\)\nhttp:\/\/web1\.localhost:8080\n$/,
    );
    const calls = cf.log().filter(call => !call.includes('/api/v1/read/') && !call.includes('resource_matches'));
    // Read while the folder is looked at.
    const meanwhile = ['GET /v3/apps/app-1/routes', 'GET /v3/domains'];
    expect(calls.filter(call => meanwhile.includes(call))).toEqual(meanwhile);
    expect(calls.filter(call => !meanwhile.includes(call))).toEqual([
      'POST /v3/spaces/space-1/actions/apply_manifest',
      'GET /v3/jobs/job-1',
      'GET /v3/apps',
      'POST /v3/packages',
      'POST /v3/packages/package-1/upload',
      'POST /v3/builds',
      'GET /v3/builds/build-1',
      'PATCH /v3/apps/app-1/relationships/current_droplet',
      'POST /v3/apps/app-1/actions/restart',
      'GET /v3/apps/app-1/processes',
      'GET /v3/processes/process-1/stats',
    ]);
    const [applied] = seen(cf.requests, 'POST /v3/spaces/space-1/actions/apply_manifest');
    expect(applied?.headers['content-type']).toBe('application/x-yaml');
    expect(JSON.parse(applied?.body.toString() ?? '')).toEqual({
      applications: [{ name: 'web1', memory: '64M', 'default-route': true }],
    });
  });

  test('one invocation has one trace, and asks the server to hold its polls', async () => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    user.write({ a: 'x' });
    await user.run(['push', 'web1']);
    expect(new Set(cf.requests.map(({ headers }) => headers['x-b3-traceid'])).size).toBe(1);
    expect(cf.requests[0]?.headers['x-b3-traceid']).toMatch(/^[0-9a-f]{32}$/);
    for (const call of ['GET /v3/jobs/job-1', 'GET /v3/builds/build-1', 'GET /v3/processes/process-1/stats'])
      expect(seen(cf.requests, call)[0]?.headers.prefer).toBe('wait=20');
    expect(seen(cf.requests, 'GET /v3/apps')[0]?.headers.prefer).toBeUndefined();
  });

  test('sends only what the server lacks, links and empty folders always, with a length', async () => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    user.write({ known: 'known content', 'sub/new': 'new content', link: '-> known', empty: null, nothing: '' });
    cf.known.add(sha1('known content'));
    const { stdout } = await user.run(['push', 'web1']);
    expect(stdout).toContain('Uploaded 2 of 3 files');
    const offered = JSON.parse(seen(cf.requests, 'POST /v3/resource_matches')[0]?.body.toString() ?? '') as {
      resources: { path: string }[];
    };
    expect(offered.resources.map(({ path }) => path)).toEqual(['known', 'sub/new']);
    const [sent] = seen(cf.requests, 'POST /v3/packages/package-1/upload');
    if (sent === undefined) throw new Error('nothing was uploaded');
    expect(Number(sent.headers['content-length'])).toBe(sent.body.length);
    const { resources, bits } = parts(sent);
    expect(JSON.parse(resources ?? '')).toEqual([
      { path: 'known', mode: '644', checksum: { value: sha1('known content') }, size_in_bytes: 13 },
    ]);
    for (const name of ['sub/new', 'link', 'empty/', 'nothing']) expect(bits).toContain(name);
  });

  /** As Cupola answers an upload: what came, in the zip's order. */
  const answered = (...contents: string[]) => ({
    body: {
      guid: 'package-1',
      state: 'READY',
      created_at: '2026-11-23T05:00:00Z',
      data: {
        checksum: { type: 'sha256', value: 'c'.repeat(64) },
        sent: { value: createHash('sha256').update(contents.map(sha1).join('')).digest('hex') },
      },
    },
  });
  const UPLOAD = 'POST /v3/packages/package-1/upload';
  const CHANGES = 'POST /v3/packages/package-1/upload_changes';

  test('again sends what differs from the last package, and asks for no matches', async () => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    cf.answer(UPLOAD, answered('kept content', 'old content', 'gone content'));
    cf.answer(CHANGES, answered('new content'));
    user.write({ a: 'kept content', 'sub/b': 'old content', 'sub/c': 'gone content', link: '-> a', empty: null });
    expect((await user.run(['push', 'web1'])).code).toBe(0);
    cf.requests.length = 0;
    user.write({ 'sub/b': 'new content', other: null });
    rmSync(join(user.folder, 'sub/c'));
    const { code, stdout } = await user.run(['push', 'web1']);
    expect(code).toBe(0);
    expect(stdout).toContain('Uploaded 1 of 2 files');
    expect(seen(cf.requests, 'POST /v3/resource_matches')).toEqual([]);
    expect(seen(cf.requests, UPLOAD)).toEqual([]);
    const [sent] = seen(cf.requests, CHANGES);
    const { base, resources, bits } = sent === undefined ? {} : parts(sent);
    expect(JSON.parse(base ?? '')).toEqual({
      guid: 'package-1',
      checksum: 'c'.repeat(64),
      without: ['sub/b', 'sub/c'],
    });
    expect(resources).toBe('[]');
    for (const name of ['sub/b', 'link', 'other/']) expect(bits).toContain(name);
    for (const name of ['kept content', 'empty/', 'sub/c']) expect(bits).not.toContain(name);
  });

  test.each([404, 422])('again sends everything where the server answers changes with %d', async status => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    cf.answer(UPLOAD, answered('x', 'y'));
    cf.answer(CHANGES, { status, body: { errors: [{ code: 10008, title: 'CF-UnprocessableEntity', detail: 'no' }] } });
    user.write({ a: 'x', b: 'y' });
    await user.run(['push', 'web1']);
    cf.requests.length = 0;
    user.write({ b: 'z' });
    expect((await user.run(['push', 'web1'])).code).toBe(0);
    const [sent] = seen(cf.requests, UPLOAD);
    expect(sent === undefined ? {} : parts(sent)).toMatchObject({ bits: expect.stringMatching(/a(.|\n)*b/) });
  });

  test.each<[when: string, upload: object, app: string]>([
    ['the server takes no changes', {}, 'app-1'],
    ['a file changed after it was hashed', { ...answered('x', 'changed') }, 'app-1'],
    ['the app is another one now', { ...answered('x', 'y') }, 'app-2'],
  ])('again asks for matches and sends to /upload when %s', async (_when, upload, app) => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    if ('body' in upload) cf.answer(UPLOAD, upload);
    user.write({ a: 'x', b: 'y' });
    await user.run(['push', 'web1']);
    cf.requests.length = 0;
    cf.answer('GET /v3/apps', { body: { pagination: {}, resources: [{ guid: app, name: 'web1', state: 'STOPPED' }] } });
    expect((await user.run(['push', 'web1', '--no-start'])).code).toBe(0);
    expect(seen(cf.requests, CHANGES)).toEqual([]);
    expect(seen(cf.requests, 'POST /v3/resource_matches')).toHaveLength(1);
    expect(seen(cf.requests, UPLOAD)).toHaveLength(1);
  });

  test('sends no archive at all when the server has every file', async () => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    user.write({ a: 'one', 'b/c': 'two' });
    cf.known.add(sha1('one')).add(sha1('two'));
    expect((await user.run(['push', 'web1'])).code).toBe(0);
    const [sent] = seen(cf.requests, 'POST /v3/packages/package-1/upload');
    expect(Object.keys(sent === undefined ? {} : parts(sent))).toEqual(['resources']);
  });

  test('asks for matches in chunks, every file once', async () => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    user.write(Object.fromEntries(Array.from({ length: 5_001 }, (_, n) => [`f${n}`, `${n}`])));
    expect((await user.run(['push', 'web1'])).code).toBe(0);
    const asked = seen(cf.requests, 'POST /v3/resource_matches').map(
      ({ body }) => (JSON.parse(body.toString()) as { resources: { path: string }[] }).resources,
    );
    expect(asked.map(({ length }) => length).sort((a, b) => b - a)).toEqual([2_000, 2_000, 1_001]);
    expect(new Set(asked.flat().map(({ path }) => path)).size).toBe(5_001);
  });

  test('--json prints one object and nothing else; --result-file keeps it besides', async () => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    user.write({ a: 'x' });
    const result = join(user.home, 'result.json');
    const { code, stdout } = await user.run(['push', 'web1', '--json', '--result-file', result]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      name: 'web1',
      guid: 'app-1',
      url: 'http://web1.localhost:8080',
      files: { total: 1, matched: 0 },
      seconds: {
        total: expect.any(Number),
        upload: expect.any(Number),
        stage: expect.any(Number),
        start: expect.any(Number),
      },
    });
    expect(JSON.parse(readFileSync(result, 'utf8'))).toEqual(JSON.parse(stdout));
  });

  test('--no-start uploads, stops what ran, stages nothing', async () => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    user.write({ a: 'x' });
    cf.answer('GET /v3/apps', {
      body: { pagination: {}, resources: [{ guid: 'app-1', name: 'web1', state: 'STARTED' }] },
    });
    const { code, stdout } = await user.run(['push', 'web1', '--no-start']);
    expect(code).toBe(0);
    expect(stdout).toContain('cupola start web1');
    expect(cf.log()).toContain('POST /v3/apps/app-1/actions/stop');
    expect(cf.log()).not.toContain('POST /v3/builds');
  });

  test('--strategy rolling deploys the droplet', async () => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    user.write({ a: 'x' });
    expect((await user.run(['push', 'web1', '--strategy', 'rolling'])).code).toBe(0);
    expect(JSON.parse(seen(cf.requests, 'POST /v3/deployments')[0]?.body.toString() ?? '')).toEqual({
      droplet: { guid: 'droplet-1' },
      strategy: 'rolling',
      relationships: { app: { data: { guid: 'app-1' } } },
    });
    expect(cf.log()).not.toContain('POST /v3/apps/app-1/actions/restart');
  });

  test('a zip is pushed as it is', async () => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    user.write({ 'app.zip': 'PK-not-looked-at' });
    expect((await user.run(['push', 'web1', '-p', 'app.zip'])).code).toBe(0);
    const [sent] = seen(cf.requests, 'POST /v3/packages/package-1/upload');
    expect(sent === undefined ? {} : parts(sent)).toEqual({ resources: '[]', bits: 'PK-not-looked-at' });
  });

  test('several apps of a manifest are applied in one call and pushed in turn', async () => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    user.write({ a: 'x', 'manifest.yml': 'applications:\n- name: one\n- name: two\n' });
    const { code, stdout } = await user.run(['push', '--json']);
    expect(code).toBe(0);
    expect((JSON.parse(stdout) as { apps: { name: string }[] }).apps.map(({ name }) => name)).toEqual(['one', 'two']);
    expect(seen(cf.requests, 'POST /v3/spaces/space-1/actions/apply_manifest')).toHaveLength(1);
    expect(seen(cf.requests, 'POST /v3/builds')).toHaveLength(2);
  });

  test('a failed staging says why, with the end of its log, and exits 1', async () => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    user.write({ a: 'x' });
    cf.logLines.push({ type: 'STG', instance: '0', text: 'npm error missing' });
    cf.answer(
      'GET /v3/builds/*',
      { body: { guid: 'build-1', state: 'STAGING' } },
      { body: { guid: 'build-1', state: 'FAILED', error: 'BuildpackCompileFailed - npm ci ended with 1' } },
    );
    const plain = await user.run(['push', 'web1']);
    expect(plain.code).toBe(1);
    expect(plain.stdout).toContain('npm error missing');
    expect(plain.stderr).toMatch(
      /\ncupola: Staging of web1 failed: BuildpackCompileFailed - npm ci ended with 1\n[\s\S]*Next: cupola logs web1 --recent/,
    );
    const json = await user.run(['push', 'web1', '--json']);
    expect(json.code).toBe(1);
    expect(JSON.parse(json.stdout)).toMatchObject({
      error: {
        message: expect.stringContaining('BuildpackCompileFailed'),
        details: [expect.stringContaining('npm error missing')],
      },
    });
  });

  test('a crash on start says its reason and shows the last lines of the app', async () => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    user.write({ a: 'x' });
    cf.answer(
      'GET /v3/processes/*/stats',
      { body: { resources: [{ index: 0, state: 'STARTING' }] } },
      { body: { resources: [{ index: 0, state: 'CRASHED', uptime: 0 }] } },
    );
    cf.answer('GET /v3/audit_events', {
      body: {
        pagination: {},
        resources: [
          {
            type: 'audit.app.process.crash',
            created_at: '2026-11-23T05:00:00Z',
            data: { exit_description: 'out of memory: limit 64 MB' },
          },
        ],
      },
    });
    cf.logLines.push(
      { type: 'APP/PROC/WEB', instance: '0', text: 'FATAL heap' },
      { type: 'RTR', instance: '0', text: 'access' },
    );
    const { code, stderr } = await user.run(['push', 'web1']);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /\[APP\/PROC\/WEB\/0\] OUT FATAL heap\ncupola: web1 \(web\) does not run: it needs more memory than it has\. out of memory: limit 64 MB\.\n/,
    );
    expect(stderr).not.toContain('access');
  });

  test.each([
    [
      'a refused manifest',
      'POST /v3/spaces/*/actions/apply_manifest',
      {
        status: 422,
        body: {
          errors: [
            {
              code: 10008,
              title: 'CF-UnprocessableEntity',
              detail: "For application 'web1': memory 4G is over the quota",
            },
          ],
        },
      },
      /memory 4G is over the quota/,
    ],
    [
      'a failed job',
      'GET /v3/jobs/*',
      { body: { guid: 'job-1', state: 'FAILED', errors: [{ code: 1, title: 'x', detail: 'route is taken' }] } },
      /route is taken/,
    ],
    [
      'a refused upload',
      'POST /v3/packages/*/upload',
      {
        status: 400,
        body: {
          errors: [{ code: 160001, title: 'CF-AppBitsUploadInvalid', detail: 'entry "../x" leaves the folder' }],
        },
      },
      /entry "\.\.\/x" leaves.*\nNext: cupola push web1 /s,
    ],
    [
      'a package that failed later',
      'POST /v3/packages/*/upload',
      { body: { guid: 'package-1', state: 'FAILED', created_at: '2026-11-23T05:00:00Z', data: { error: 'bad zip' } } },
      /bad zip/,
    ],
    [
      'not being allowed',
      'POST /v3/packages',
      { status: 403, body: { errors: [{ code: 10003, title: 'CF-NotAuthorized', detail: 'You are not authorized' }] } },
      /not authorized\n.*role/,
    ],
    [
      "a proxy's page",
      'POST /v3/builds',
      { status: 502, body: 'bad gateway' },
      /POST \/v3\/builds was answered with 502/,
    ],
  ])('%s ends it with the reason and exit code 1', async (_name, call, answer, message) => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    user.write({ a: 'x' });
    cf.answer(call, answer);
    const { code, stderr } = await user.run(['push', 'web1']);
    expect(stderr).toMatch(message);
    expect(code).toBe(1);
  });

  test.each([
    [['push'], /name/],
    [['push', 'web1', '-p', 'nowhere'], /There is no .*nowhere/],
    [['push', 'web1', '-f', 'nowhere.yml'], /There is no .*nowhere\.yml/],
    [['push', 'web1', '-i', 'many'], /whole number/],
    [['push', 'web1', '--nonsense'], /unknown option/],
    [['nonsense'], /unknown command/],
    [['push', 'web1', '-p', 'empty'], /no files to push/],
  ])('%j is refused with exit code 2', async (args, message) => {
    await using cf = await fakeCf();
    using user = await loggedIn(cf);
    user.write({ empty: null });
    const { code, stderr, stdout } = await user.run(args);
    expect(stderr + stdout).toMatch(message);
    expect(code).toBe(2);
    expect(cf.log().filter(call => call.startsWith('POST /v3'))).toEqual([]); // Nothing is left behind.
    expect(cf.log().filter(call => !call.startsWith('POST /v3/spaces') && !call.startsWith('GET'))).toEqual([]);
  });
});
