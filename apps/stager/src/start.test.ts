import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Sandboxes } from '@cupola/sandbox/sandbox';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { aZip, type FakeApi, type FakeBuild, readTar, startFakeApi, testSandboxes } from './fixtures.ts';
import { startRegistry } from './registry.fixture.ts';
import { start } from './start.ts';

// Sandboxes, npm and 130 MB of Node.js on a machine that may be busy.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 240_000 });

const isRoot = process.getuid?.() === 0;
let folder: string;
let sandboxes: Sandboxes;
let api: FakeApi;
let stager: AsyncDisposable;

const startStager = (stagerId: string): Promise<AsyncDisposable> =>
  start({
    internal: api,
    sandboxes,
    folder: join(folder, 'b'),
    stagerId,
    uid: isRoot ? 69_999 : null,
    stacks: () => [{ name: 'host', digest: 'a'.repeat(64), abiKey: 'abi', root: null }],
    log: pino({ level: 'silent' }),
    now: Date.now,
  });

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cupola-stg-'));
  chmodSync(folder, 0o755);
  sandboxes = await testSandboxes(folder);
  api = await startFakeApi();
  stager = await startStager('stager-1');
  await api.until('Node.js and npm are made ahead', () => api.toolchains.size === 2);
});
afterAll(async () => {
  await stager[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
  await sandboxes.close();
  rmSync(folder, { recursive: true, force: true });
});

const NODE_APP = {
  'package.json': JSON.stringify({ name: 'tiny', version: '1.0.0', scripts: { start: 'node server.js' } }),
  'server.js': "require('http').createServer((q, r) => r.end('hi')).listen(process.env.PORT)",
};

/** The result of a build that must have been staged. */
async function staged(build: FakeBuild) {
  const finish = await api.finished(build);
  if (finish.outcome !== 'staged') throw new Error(`not staged: ${finish.error}\n${build.lines.join('\n')}`);
  return finish.result;
}
async function failed(build: FakeBuild): Promise<{ title: string; error: string }> {
  const finish = await api.finished(build);
  if (finish.outcome !== 'failed') throw new Error(`not failed: ${JSON.stringify(finish)}\n${build.lines.join('\n')}`);
  return { title: finish.title, error: finish.error };
}
/** Entries of the app layer. */
async function appLayer(build: FakeBuild) {
  const { layers } = await staged(build);
  return readTar(api.layers.get(layers.at(-1)?.digest ?? '') as Buffer);
}

describe('what a build results in', () => {
  test('a Node.js app: toolchains, then its own files, started by npm', async () => {
    const build = api.offer(NODE_APP);
    const result = await staged(build);
    expect(result).toMatchObject({
      processTypes: { web: 'npm start' },
      buildpacks: [
        { name: 'nodejs_buildpack', buildpackName: 'nodejs', detectOutput: 'node.js 0.1.0', version: '0.1.0' },
      ],
      stack: 'host',
      stackDigest: 'a'.repeat(64),
      abiKey: 'abi',
    });
    expect(result.layers.map(({ kind, mountPath }) => [kind, mountPath])).toEqual([
      ['toolchain', `/toolchains/node-${process.versions.node}`],
      ['toolchain', expect.stringMatching(/^\/toolchains\/npm-\d/)],
      ['app', '/home/vcap'],
    ]);
    expect(api.toolchains.has(`node-${process.versions.node}-${process.platform}-${process.arch}`)).toBe(true);
    const files = await appLayer(build);
    expect(files.get('home/vcap/app/server.js')?.text).toBe(NODE_APP['server.js']);
    expect(files.get('home/vcap/profile.d/node.sh')?.text).toContain(`/toolchains/node-${process.versions.node}/bin`);
    expect([...files.keys()].filter(name => name.split('/').length === 3)).toEqual([
      'home/vcap/app',
      'home/vcap/deps',
      'home/vcap/logs',
      'home/vcap/profile.d',
      'home/vcap/staging_info.yml',
      'home/vcap/tmp',
    ]);
  });

  test('the same app staged twice gives the same layers', async () => {
    const [one, two] = [api.offer(NODE_APP), api.offer(NODE_APP)];
    expect((await staged(one)).layers).toEqual((await staged(two)).layers);
  });

  test('an app with a lockfile: what it locks, from the registry of its .npmrc, once; the next build has it in its cache', async () => {
    await using registry = await startRegistry([
      { name: 'left', version: '1.0.0', files: { 'index.js': 'left' } },
      { name: 'right', version: '2.0.0', files: { 'index.js': 'right' } },
    ]);
    const app = { name: 'locked', version: '1.0.0' };
    const { dependencies, lockfile } = registry.lock(app);
    const files = {
      'package.json': JSON.stringify({ ...app, dependencies }),
      'package-lock.json': lockfile,
      '.npmrc': `registry=${registry.url}\n`,
    };
    const first = api.offer(files);
    const { layers } = await staged(first);
    const again = api.offer(files, { appGuid: first.order.appGuid });
    expect((await staged(again)).layers).toEqual(layers);
    expect((await appLayer(first)).get('home/vcap/app/node_modules/right/index.js')?.text).toBe('right');
    expect(registry.asked.toSorted()).toEqual(['left/-/left-1.0.0.tgz', 'right/-/right-2.0.0.tgz']);
  });

  test('a static site, asked for by the address of its buildpack, under the name that was asked', async () => {
    const asked = 'https://github.com/cloudfoundry/staticfile-buildpack.git';
    const build = api.offer({ 'index.html': 'hi', 'a/style.css': 'x' }, { buildpacks: [asked] });
    expect(await staged(build)).toMatchObject({
      processTypes: { web: 'node ../deps/0/static/main.mjs' },
      buildpacks: [{ name: asked, buildpackName: 'staticfile' }],
    });
    const files = await appLayer(build);
    expect(files.get('home/vcap/app/public/a/style.css')?.text).toBe('x');
    expect(files.get('home/vcap/deps/0/static/site.mjs')?.text).not.toContain('interface');
  });

  test('a program with a Procfile: its processes, its modes, no toolchain', async () => {
    const files = {
      Procfile: 'web: ./run.pl\nworker: ./run.pl --work\n',
      'run.pl': { content: '#!/usr/bin/perl\n', mode: 0o100755 },
    };
    const build = api.offer(files);
    expect(await staged(build)).toMatchObject({
      processTypes: { web: './run.pl', worker: './run.pl --work' },
      buildpacks: [{ name: 'binary_buildpack' }],
      layers: [{ kind: 'app' }],
    });
    expect((await appLayer(build)).get('home/vcap/app/run.pl')?.mode).toBe('755');
  });

  test('a program without any command is staged, and the log says what is missing', async () => {
    const build = api.offer({ run: 'x' }, { buildpacks: ['binary_buildpack'] });
    expect((await staged(build)).processTypes).toEqual({});
    expect(build.lines).toContain('No start command specified by buildpack or via Procfile.');
  });

  test('two buildpacks in a row: the files of both, the command of the last', async () => {
    const json = JSON.stringify({ scripts: { build: 'mkdir dist && echo built > dist/index.html' } });
    const build = api.offer(
      { 'package.json': json, Staticfile: 'root: dist\n' },
      { buildpacks: ['nodejs_buildpack', 'staticfile_buildpack'] },
    );
    expect((await staged(build)).processTypes).toEqual({ web: 'node ../deps/1/static/main.mjs' });
    expect((await appLayer(build)).get('home/vcap/app/public/index.html')?.text).toBe('built\n');
  });

  test('the log has the lines of the build, in the order in which they came', async () => {
    const build = api.offer({
      'package.json': JSON.stringify({ scripts: { build: 'echo from the script; echo to its errors >&2' } }),
    });
    await staged(build);
    const wanted = [
      'Downloading app package...',
      '-----> Nodejs Buildpack version 0.1.0',
      'from the script',
      'to its errors',
      'Uploading complete',
    ];
    expect(build.lines.filter(line => wanted.includes(line))).toEqual(wanted);
  });

  test("a build command sees the app's variables, and a user and a home of its own", async () => {
    const script = 'echo "$GREETING $(id -u) $HOME $CF_STACK $CF_INSTANCE_PORTS$CF_INSTANCE_PORT" > seen';
    const build = api.offer(
      { 'package.json': JSON.stringify({ scripts: { build: script } }) },
      { environment: { GREETING: "it's" } },
    );
    expect((await appLayer(build)).get('home/vcap/app/seen')?.text).toBe("it's 2000 /tmp/home host []\n");
  });

  test("what a build keeps is there for the app's next one, and for no other app", async () => {
    const script =
      'cat $npm_config_cache/kept >> seen 2>/dev/null; mkdir -p $npm_config_cache; echo kept > $npm_config_cache/kept; true';
    const files = { 'package.json': JSON.stringify({ scripts: { build: script } }), seen: '' };
    const first = api.offer(files);
    await staged(first);
    const again = api.offer(files, { appGuid: first.order.appGuid });
    const other = api.offer(files);
    expect((await appLayer(again)).get('home/vcap/app/seen')?.text).toBe('kept\n');
    expect((await appLayer(other)).get('home/vcap/app/seen')?.text).toBe('');
  });

  test('what a build leaves running is ended before its files are packed', async () => {
    const script =
      '(setsid sh -c "while :; do date +%N > tick; done" >/dev/null 2>&1 &); until [ -e tick ]; do sleep 0.05; done';
    const build = api.offer({ 'package.json': JSON.stringify({ scripts: { build: script } }) });
    await staged(build);
    expect((await appLayer(build)).has('home/vcap/app/tick')).toBe(true);
  });
});

describe('a build that fails because of the app', () => {
  test('no buildpack takes it: says what to push', async () => {
    expect(await failed(api.offer({ 'readme.txt': '' }))).toEqual({
      title: 'NoAppDetectedError',
      error: expect.stringContaining('An app was not successfully detected by any available buildpack'),
    });
  });

  test('its build script fails: the lines of the script, then why in one sentence', async () => {
    const build = api.offer({ 'package.json': JSON.stringify({ scripts: { build: 'echo half way; exit 3' } }) });
    const { title, error } = await failed(build);
    expect(title).toBe('BuildpackCompileFailed');
    expect(error).toMatch(/"npm run build" failed \(exit status 3\)/);
    expect(build.lines).toContain('half way');
    expect(build.lines.at(-1)).toBe(`**ERROR** ${error}`);
  });

  test('its Procfile cannot be read', async () => {
    expect(await failed(api.offer({ Procfile: 'nonsense' }))).toMatchObject({
      title: 'BuildpackReleaseFailed',
      error: expect.stringContaining('Failed to read command from Procfile'),
    });
  });

  test('it asks for a Node.js that does not exist', async () => {
    const json = JSON.stringify({ engines: { node: '1.2.3' } });
    const { error } = await failed(api.offer({ 'package.json': json }));
    expect(error).toMatch(/node 1\.2\.3.*(Change "engines" in package.json|push again)/);
  });

  test('it takes too long', async () => {
    const files = { 'package.json': JSON.stringify({ scripts: { build: 'sleep 600' } }) };
    const { title, error } = await failed(api.offer(files, { timeoutMs: 2_000 }));
    expect(title).toBe('StagingTimeExpired');
    expect(error).toContain('Staging took longer than');
  });

  test('it fills its disk', async () => {
    const files = { 'package.json': JSON.stringify({ scripts: { build: 'head -c 100M /dev/zero > big' } }) };
    const { error } = await failed(api.offer(files, { diskMb: 64 }));
    expect(error).toMatch(/disk of the build is full/);
  });

  test.runIf(isRoot)('it runs out of memory', async () => {
    const script = 'node -e "const a = []; for (;;) a.push(Buffer.alloc(1e7, 1))"';
    const files = { 'package.json': JSON.stringify({ scripts: { build: script } }) };
    const { error } = await failed(api.offer(files, { memoryMb: 200 }));
    expect(error).toMatch(/ran out of memory: its limit is 200 MB/);
  });

  test('its archive leaves its folder: names the entry and the rule', async () => {
    const { title, error } = await failed(api.offerZip(aZip({ '../../evil': 'x', 'package.json': '{}' })));
    expect(title).toBe('AppBitsUploadInvalid');
    expect(error).toMatch(/entry "\.\.\/\.\.\/evil"/);
  });

  test('its archive has a link out of it', async () => {
    const zip = aZip({ 'package.json': '{}', way: { content: '/etc', mode: 0o120777 } });
    expect((await failed(api.offerZip(zip))).error).toMatch(/entry "way"/);
  });
});

describe('a build that is not ours to finish', () => {
  const SLOW = { 'package.json': JSON.stringify({ scripts: { build: 'echo begun; sleep 600' } }) };
  /** Until its order says otherwise: however long it takes to stop its stager. */
  const ENDLESS = { 'package.json': JSON.stringify({ scripts: { build: 'echo begun; [ -n "$ENDS" ] || sleep 600' } }) };
  const leftHere = (): string[] => (existsSync(join(folder, 'b/w')) ? readdirSync(join(folder, 'b/w')) : []);
  const sandboxesLeft = (): string[] =>
    readdirSync(join(folder, 'sandboxes')).filter(name => name.startsWith('build-'));
  const nothingLeft = () => api.until('nothing is left', () => leftHere().length === 0 && sandboxesLeft().length === 0);

  test('cancelled: its sandbox ends, nothing is left, nobody is told', async () => {
    const layersBefore = [...api.layers.keys()];
    const build = api.offer(SLOW);
    await api.until('it has begun', () => build.lines.includes('begun'));
    api.cancel(build);
    const next = api.offer(NODE_APP);
    const { layers } = await staged(next);
    await nothingLeft();
    expect(build.finish).toBeNull();
    const stored = new Set([...layersBefore, ...layers.map(({ digest }) => digest)]);
    expect(new Set(api.layers.keys())).toEqual(stored);
  });

  test('taken by another: dropped without a trace', async () => {
    const build = api.offer({ 'package.json': JSON.stringify({ scripts: { build: 'echo begun; sleep 1' } }) });
    await api.until('it has begun', () => build.lines.includes('begun'));
    build.fence++;
    await nothingLeft();
    expect(build.finish).toBeNull();
  });

  test('stopped with the stager: said to be lost, and the next stager stages it', async () => {
    const build = api.offer(ENDLESS);
    await api.until('it has begun', () => build.lines.includes('begun'));
    await stager[Symbol.asyncDispose]();
    expect(await api.finished(build)).toMatchObject({ outcome: 'lost', error: 'the stager was stopped' });
    build.finish = null;
    build.order.environment.ENDS = 'yes';
    api.offerAgain(build);
    stager = await startStager('stager-2');
    await staged(build);
    expect(build.attempts).toBe(2);
  });

  test('killed with its stager in the middle: the next one clears what is left, and stages it', async () => {
    await stager[Symbol.asyncDispose]();
    const build = api.offer(ENDLESS);
    const child = spawn(process.execPath, [
      fileURLToPath(new URL('./stager-child.fixture.ts', import.meta.url)),
      folder,
      api.socketPath,
    ]);
    await api.until('it has begun', () => build.lines.includes('begun'));
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(sandboxesLeft()).toHaveLength(1);
    build.order.environment.ENDS = 'yes';
    api.offerAgain(build);
    stager = await startStager('stager-3');
    expect(leftHere().length + sandboxesLeft().length).toBeLessThanOrEqual(2);
    await staged(build);
    expect(build.attempts).toBe(2);
    await nothingLeft();
  });

  test.each([
    ['package', 1_000, { outcome: 'failed', title: 'StagingTimeExpired' }],
    ['layers', 8_000, { outcome: 'failed', title: 'StagingTimeExpired' }],
    ['logs', 60_000, { outcome: 'staged' }],
  ])('an API that takes its %s and never answers costs no more than its own time', async (frozen, timeoutMs, end) => {
    const build = api.offer({ Procfile: 'web: ./run\n', 'frozen.txt': frozen }, { timeoutMs });
    api.frozen.add(frozen);
    try {
      expect(await api.finished(build)).toMatchObject(end);
      await nothingLeft();
    } finally {
      api.frozen.clear();
    }
  });

  test('an API that is away when the result is ready is waited for', async () => {
    const build = api.offer({ 'package.json': JSON.stringify({ scripts: { build: 'echo begun; sleep 0.5' } }) });
    await api.until('it has begun', () => build.lines.includes('begun'));
    await api.restart();
    await staged(build);
  });
});

test('a stager whose API never answers ends when it is told to', async () => {
  const lonely = await start({
    internal: { socketPath: join(folder, 'nobody-listens') },
    sandboxes: { ...sandboxes, adopt: async () => [] },
    folder: join(folder, 'lonely'),
    stagerId: 'lonely',
    uid: isRoot ? 69_999 : null,
    stacks: () => [{ name: 'host', digest: 'a'.repeat(64), abiKey: 'abi', root: null }],
    log: pino({ level: 'silent' }),
    now: Date.now,
  });
  await lonely[Symbol.asyncDispose]();
});

test('no call of the stager was one that an API would refuse', () => {
  expect(api.refusals).toEqual([]);
});

describe("a buildpack of one's own", () => {
  const script = (body: string) => ({ content: `#!/bin/sh\nset -e\n${body}\n`, mode: 0o100755 });
  const MINE = aZip({
    VERSION: '2.0',
    'bin/detect': script('test -f "$1/mine.txt" && echo "mine 2.0"'),
    'bin/supply': script(
      'mkdir -p "$3/$4/bin"; printf "#!/bin/sh\\necho from mine" > "$3/$4/bin/mine"; chmod +x "$3/$4/bin/mine"',
    ),
    'bin/finalize': script(
      `"$3/$4/bin/mine" > "$1/said"; printf 'processes:\\n- {type: web, command: mine}\\n- {type: agent, command: watch, platforms: {cloudfoundry: {sidecar_for: [web]}}}\\n' > "$3/$4/launch.yml"`,
    ),
  });
  const withMine = (fields: object) => {
    const digest = createHash('sha256').update(MINE).digest('hex');
    api.layers.set(digest, MINE);
    return { ...fields, customBuildpacks: [{ name: 'mine', digest, sizeBytes: MINE.length }] };
  };

  test('is detected in its place, runs in the sandbox, and names processes and sidecars', async () => {
    const build = api.offer({ 'mine.txt': '' }, withMine({ detectOrder: ['mine', 'binary_buildpack'] }));
    const result = await staged(build);
    expect(result).toMatchObject({
      buildpacks: [{ name: 'mine', detectOutput: 'mine 2.0', version: '2.0' }],
      processTypes: { web: 'mine' },
      sidecars: [{ name: 'agent', processTypes: ['web'], command: 'watch' }],
    });
    const files = await readTar(api.layers.get(result.layers.at(-1)?.digest ?? '') as Buffer);
    expect(files.get('home/vcap/app/said')?.text).toBe('from mine\n');
    expect([...files.keys()].filter(name => name.includes('bin/finalize'))).toEqual([]);
  });

  test('supplies what the next one calls, and the start finds', async () => {
    const build = api.offer(
      { 'mine.txt': '', 'package.json': '{"scripts":{"build":"mine > said","start":"mine"}}' },
      withMine({ buildpacks: ['mine', 'nodejs_buildpack'] }),
    );
    const result = await staged(build);
    expect(result.buildpacks).toMatchObject([
      { name: 'mine', buildpackName: 'mine', version: '2.0' },
      { name: 'nodejs_buildpack', buildpackName: 'nodejs' },
    ]);
    const files = await readTar(api.layers.get(result.layers.at(-1)?.digest ?? '') as Buffer);
    expect(files.get('home/vcap/app/said')?.text).toBe('from mine\n');
    expect(files.get('home/vcap/profile.d/000_multi-supply.sh')?.text).toContain('/home/vcap/deps/0/bin');
  });
});
