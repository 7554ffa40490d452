/** The CLI and the client library as npm installs them: packed, installed without a network, run; and what somebody with an old Node.js is told. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROOT, run } from './platform.ts';

let folder: string;
let cupola: string;
const environment = (): NodeJS.ProcessEnv => ({
  PATH: process.env.PATH,
  HOME: folder,
  CUPOLA_HOME: join(folder, 'settings'),
});
const cli = async (args: readonly string[], node: readonly string[] = []) =>
  run(process.execPath, [...node, cupola, ...args], { env: environment() }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
  );

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cupola-npm-'));
  const { stdout } = await run(process.execPath, [join(ROOT, 'scripts/pack-cli.ts'), folder]);
  writeFileSync(join(folder, 'package.json'), '{}');
  await run('npm', ['install', '--offline', '--no-audit', '--no-fund', stdout.trim()], {
    cwd: folder,
    env: environment(),
  });
  cupola = join(folder, 'node_modules/.bin/cupola');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('it is one package, and works', async () => {
  expect(await cli(['--version'])).toMatchObject({ code: 0, stdout: '0.1.0\n' });
  expect((await cli(['push', '--help'])).stdout).toMatch(/Examples:\n {2}cupola push shop/);
  expect(await cli(['apps'])).toMatchObject({ code: 3, stderr: expect.stringMatching(/cupola login/) });
  expect(await cli(['login', '-a', 'http://127.0.0.1:1', '-u', 'x', '-p', 'x'])).toMatchObject({ code: 4 });
});

test('an old Node.js is told what is needed, and what to do', async () => {
  const old = join(folder, 'old.cjs');
  writeFileSync(
    old,
    "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '18.20.4' } });",
  );
  expect(await cli(['--version'], ['--require', old])).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(
      /this is Node\.js 18\.20\.4, and 22\.19\.0 or newer is needed[\s\S]*npx --package=node@24/,
    ),
  });
});

test("the client library's documented example fits its types, and each module loads", async () => {
  const { stdout } = await run(process.execPath, [join(ROOT, 'scripts/pack-client.ts'), folder]);
  const user = join(folder, 'user');
  const library = join(user, 'node_modules/@cupola/client');
  mkdirSync(library, { recursive: true });
  await run('tar', ['-xzf', stdout.trim(), '-C', library, '--strip-components=1']);
  // As npm would put them there, without a network.
  for (const name of ['zod', 'undici', '@types'])
    symlinkSync(join(ROOT, 'node_modules', name), join(user, 'node_modules', name));
  const example = /```ts\n([\s\S]*?)```/.exec(readFileSync(join(library, 'README.md'), 'utf8'))?.[1] ?? '';
  expect(example).toContain('createCloudClient');
  writeFileSync(join(user, 'package.json'), '{"type":"module"}');
  writeFileSync(join(user, 'example.ts'), example);
  const options = [
    '--noEmit',
    '--strict',
    '--module',
    'nodenext',
    '--target',
    'es2024',
    '--lib',
    'es2024,esnext',
    '--types',
    'node',
  ];
  await run(join(ROOT, 'node_modules/.bin/tsc'), ['--ignoreConfig', ...options, 'example.ts'], { cwd: user });
  const { exports } = JSON.parse(readFileSync(join(library, 'package.json'), 'utf8')) as { exports: object };
  const load = Object.keys(exports).map(name => `await import('@cupola/client${name.slice(1)}');`);
  writeFileSync(join(user, 'load.mjs'), load.join('\n'));
  await run(process.execPath, ['load.mjs'], { cwd: user });
});
