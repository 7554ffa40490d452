/** The launcher and the programs that it makes of the sources, on checkouts of their own. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, expect, test } from 'vitest';

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, '..');
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A checkout whose `cupola apps` says that nobody is logged in; its libraries are links to ours. */
function checkout(): string {
  const root = mkdtempSync(join(tmpdir(), 'cupola-checkout-'));
  folders.push(root);
  chmodSync(root, 0o755);
  for (const name of ['cupola', 'package.json', 'package-lock.json', 'apps', 'packages', 'scripts'])
    cpSync(join(ROOT, name), join(root, name), { recursive: true });
  const libraries = join(root, 'node_modules');
  mkdirSync(libraries);
  for (const name of readdirSync(join(ROOT, 'node_modules')))
    if (name !== '@cupola') symlinkSync(join(ROOT, 'node_modules', name), join(libraries, name));
  cpSync(join(ROOT, 'node_modules/@cupola'), join(libraries, '@cupola'), { recursive: true, verbatimSymlinks: true });
  rmSync(join(libraries, '.cupola-lock'));
  cpSync(join(root, 'package-lock.json'), join(libraries, '.cupola-lock'));
  return root;
}

/** What `cupola apps` says where nobody is logged in, by the user that the words in front make of us. */
async function apps(root: string, as: string[] = []): Promise<string> {
  const [file = '', ...args] = [...as, join(root, 'cupola'), 'apps'];
  const home = join(root, '..', 'no-such-home');
  const env = { ...process.env, CUPOLA_HOME: home };
  return run(file, args, { env }).then(
    ({ stdout, stderr }) => stdout + stderr,
    (error: { stdout: string; stderr: string }) => error.stdout + error.stderr,
  );
}

const current = (root: string): string => readlinkSync(join(root, '.programs/current'));

test('./cupola makes the programs at the first command, and runs them from then on', async () => {
  const root = checkout();
  expect(await apps(root)).toContain('Nobody is logged in');
  const made = current(root);
  const cli = join(root, '.programs', made, 'cli.mjs');
  writeFileSync(cli, `console.log('the bundle runs');\n${readFileSync(cli, 'utf8')}`);
  expect(await apps(root)).toContain('the bundle runs');
  expect(current(root)).toBe(made);
});

test('./cupola never runs programs that a source has changed since: neither after an edit nor after a removed file', async () => {
  const root = checkout();
  await apps(root);
  const first = current(root);
  appendFileSync(join(root, 'apps/cli/src/main.ts'), "\nconsole.log('changed');\n");
  expect(await apps(root)).toContain('changed');
  const second = current(root);
  expect(second).not.toBe(first);
  rmSync(join(root, 'apps/cli/src/cli.test.ts'));
  await apps(root);
  expect(current(root)).not.toBe(second);
});

test('./cupola does not take programs that were copied from another checkout', async () => {
  const [from, to] = [checkout(), checkout()];
  appendFileSync(join(from, 'apps/cli/src/main.ts'), "\nconsole.log('of the other one');\n");
  expect(await apps(from)).toContain('of the other one');
  cpSync(join(from, '.programs'), join(to, '.programs'), { recursive: true, verbatimSymlinks: true });
  expect(await apps(to)).not.toContain('of the other one');
});

/** Runs the maker until it has begun to write, then ends it as a power cut would. False: it was done before that. */
async function makeAndKill(root: string): Promise<boolean> {
  const maker: ChildProcess = spawn(process.execPath, [join(root, 'scripts/programs.ts')], { stdio: 'ignore' });
  const ended = new Promise(done => maker.once('exit', done));
  while (maker.exitCode === null && !existsSync(join(root, '.programs')))
    await new Promise(done => setTimeout(done, 1));
  maker.kill('SIGKILL');
  await ended;
  return !existsSync(join(root, '.programs/current'));
}

test('./cupola makes the programs anew when the maker was killed in the midst of it', async () => {
  const root = checkout();
  // On a busy machine we may be late.
  while (!(await makeAndKill(root))) rmSync(join(root, '.programs'), { recursive: true });
  expect(await apps(root)).toContain('Nobody is logged in');
  expect(existsSync(join(root, '.programs', current(root), 'cli.mjs'))).toBe(true);
});

test('./cupola runs the sources, and says so once, where the programs cannot be made', async () => {
  const root = checkout();
  rmSync(join(root, 'node_modules/rolldown'));
  const first = await apps(root);
  expect(first).toContain('could not be bundled');
  expect(first).toContain('Nobody is logged in');
  const second = await apps(root);
  expect(second).not.toContain('could not be bundled');
  expect(second).toContain('Nobody is logged in');
});

/** Words in front of a command that let it see the folder read-only, as it is for whom it does not belong to. */
const readOnly = (folder: string): string[] => [
  ...['unshare', '--mount', '--propagation', 'private', '--', 'sh', '-c'],
  'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"',
  folder,
];

test.skipIf(process.getuid?.() !== 0)(
  './cupola of a read-only checkout runs what its owner has made, and the sources where that is old or missing',
  async () => {
    const root = checkout();
    expect(await apps(root, readOnly(root))).toContain('Nobody is logged in');
    expect(existsSync(join(root, '.programs'))).toBe(false);
    await apps(root);
    const made = current(root);
    const cli = join(root, '.programs', made, 'cli.mjs');
    writeFileSync(cli, `console.log('the bundle runs');\n${readFileSync(cli, 'utf8')}`);
    expect(await apps(root, readOnly(root))).toContain('the bundle runs');
    appendFileSync(join(root, 'apps/cli/src/main.ts'), "\nconsole.log('changed');\n");
    const after = await apps(root, readOnly(root));
    expect(after).toContain('changed');
    expect(after).not.toContain('the bundle runs');
    expect(current(root)).toBe(made);
  },
);
