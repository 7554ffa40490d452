/** Client libraries that were written for Cloud Foundry, each driving a whole platform by a program of its own. They need the API's address alone. */
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Platform, ROOT, startPlatform } from '../platform.ts';

const run = promisify(execFile);
const EXAMPLE = join(ROOT, 'examples', 'node-hello');
/** Their newest when this was written: what they ask for is what is judged. */
const PYTHON_CLIENT = 'cloudfoundry-client==1.40.4';
/** go-cfclient asks for it (`go.mod`). */
const GO_VERSION_MIN = [1, 23] as const;
const hasTool = (name: string): boolean => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0;

let platform: Platform;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cupola-clients-'));
  platform = await startPlatform();
});
afterAll(async () => {
  await platform[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** What each judge is told: where, who, and what to push. */
function facts(): string[] {
  return [platform.facts.api, 'admin', platform.password(), EXAMPLE];
}

/** Each fetches its library first, on a machine that may be busy. */
describe('client libraries', { timeout: 600_000 }, () => {
  test.skipIf(!hasTool('pip3'))('cloudfoundry-client (PyPI) pushes, binds, runs a task, lists, deletes', async () => {
    const target = join(folder, 'python');
    await run('pip3', ['install', '--quiet', '--disable-pip-version-check', '--target', target, PYTHON_CLIENT]);
    const judge = join(import.meta.dirname, 'judge.py');
    const { stdout } = await run('python3', [judge, ...facts()], { env: { ...process.env, PYTHONPATH: target } });
    expect(stdout.trim().split('\n').at(-1)).toBe('deleted');
  });

  test.skipIf(!hasGo())('go-cfclient/v3 (Go) pushes, binds, runs a task, lists, deletes', async () => {
    // go.sum pins what is fetched; a mirror of modules has no sum database.
    const env = { ...process.env, GOPATH: join(folder, 'go'), GOFLAGS: '-mod=readonly -modcacherw', GONOSUMDB: '*' };
    const { stdout } = await run(await newEnoughGo(env), ['run', '.', ...facts()], {
      cwd: join(import.meta.dirname, 'go'),
      env: { ...env, GOTOOLCHAIN: 'local' },
    });
    expect(stdout.trim().split('\n').at(-1)).toBe('deleted');
  });

  test.skipIf(!hasTool('mvn'))(
    'cloudfoundry-client-reactor (Maven) pushes, binds, runs a task, lists, deletes',
    async () => {
      const java = join(import.meta.dirname, 'java');
      const libraries = join(folder, 'java');
      const pom = ['-f', join(java, 'pom.xml')];
      await run('mvn', ['-q', '-B', ...pom, 'dependency:copy-dependencies', `-DoutputDirectory=${libraries}`]);
      const { stdout } = await run('java', ['-cp', join(libraries, '*'), join(java, 'Judge.java'), ...facts()]);
      expect(stdout.trim().split('\n').at(-1)).toBe('deleted');
    },
  );
});

function hasGo(): boolean {
  return spawnSync('go', ['version'], { stdio: 'ignore' }).status === 0;
}

/** The host's, or, where that is too old for the library, the one that the Go project gives out as a module. */
async function newEnoughGo(env: NodeJS.ProcessEnv): Promise<string> {
  const { stdout } = await run('go', ['version']);
  const [major = 0, minor = 0] = (/go(\d+)\.(\d+)/.exec(stdout)?.slice(1) ?? []).map(Number);
  if (major > GO_VERSION_MIN[0] || (major === GO_VERSION_MIN[0] && minor >= GO_VERSION_MIN[1])) return 'go';
  const platform = `linux-${process.arch === 'x64' ? 'amd64' : process.arch}`;
  const asked = `golang.org/toolchain@v0.0.1-go${GO_VERSION_MIN.join('.')}.0.${platform}`;
  const fetched = await run('go', ['mod', 'download', '-json', asked], { env, cwd: folder });
  const { Dir } = JSON.parse(fetched.stdout) as { Dir: string };
  // The proxy's archives know no modes.
  await run('chmod', ['-R', 'u+rwX,a+x', join(Dir, 'bin'), join(Dir, 'pkg', 'tool')]);
  return join(Dir, 'bin', 'go');
}
