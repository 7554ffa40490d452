/**
 * `npm test`: installs what the tests need, then runs every check and every test. As root on Debian or Ubuntu the packages are installed; otherwise the
 * missing ones are named and their groups are skipped visibly. With CI=true a skip is a failure. Ends with `N passed, N failed, N skipped`.
 * Arguments are handed to vitest: `npm test -- packages/store`. Without any, whole-system tests, which mostly wait, run beside all the rest, which seldom does.
 */
import { spawn } from 'node:child_process';
import { accessSync, constants, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

/** Tool -> Debian package. */
const NEEDED: Record<string, string> = {
  bwrap: 'bubblewrap',
  runc: 'runc',
  nft: 'nftables',
  iptables: 'iptables',
  ip: 'iproute2',
  unshare: 'util-linux',
  perl: 'perl-base',
  'mkfs.ext4': 'e2fsprogs',
  strace: 'strace',
  curl: 'curl',
  git: 'git',
  ssh: 'openssh-client',
  python3: 'python3',
  pip3: 'python3-pip',
  go: 'golang-go',
  javac: 'default-jdk-headless',
  mvn: 'maven',
  php: 'php-cli',
  ruby: 'ruby',
  bundle: 'ruby-bundler',
  unzip: 'unzip',
  dockerd: 'docker.io',
  containerd: 'containerd',
  'docker-compose': 'docker-compose',
  wget: 'wget',
  'docker-registry': 'docker-registry',
  pg_ctlcluster: 'postgresql',
  'redis-server': 'redis-server',
  chromium: 'chromium',
};

function hasTool(name: string): boolean {
  return [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/bin', '/bin'].some(folder => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false; // Not in this folder.
    }
  });
}

function missingPackages(): string[] {
  return Object.entries(NEEDED)
    .filter(([tool]) => !hasTool(tool))
    .map(([, name]) => name);
}

async function install(): Promise<void> {
  const missing = missingPackages();
  if (missing.length === 0) return;
  if (process.platform === 'linux' && process.getuid?.() === 0 && hasTool('apt-get')) {
    console.log(`installing Debian packages: ${missing.join(' ')}`);
    await run('apt-get', ['-qq', 'update'], { env: NO_QUESTIONS });
    await run('apt-get', ['-qq', 'install', '-y', '--no-install-recommends', ...missing], {
      env: NO_QUESTIONS,
      stdout: 'ignore',
    });
  }
  const still = missingPackages();
  if (still.length > 0)
    console.log(
      `\nMissing here: ${still.join(' ')}. The tests that need them are skipped. As root: apt-get install ${still.join(' ')}\n`,
    );
}

const NO_QUESTIONS = { DEBIAN_FRONTEND: 'noninteractive' };

/** Its exit code; null: it was killed, or could not be started. */
function run(
  command: string,
  argv: string[],
  { env = {}, stdout = 'inherit' }: { env?: Record<string, string>; stdout?: 'inherit' | 'ignore' | 'pipe' } = {},
): Promise<number | null> {
  return new Promise(resolve => {
    const child = spawn(command, argv, { stdio: ['ignore', stdout, 'inherit'], env: { ...process.env, ...env } });
    // A terminal has one display: two of vitest's would write over each other.
    child.stdout?.on('data', (chunk: Buffer) => process.stdout.write(chunk));
    child.on('error', error => {
      console.error(`${command} could not be started: ${error.message}`);
      resolve(null);
    });
    child.on('close', resolve);
  });
}

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

async function vitest(name: string, argv: string[], stdout: 'inherit' | 'pipe'): Promise<Counts> {
  const file = join(folder, name);
  const code = await run('node_modules/.bin/vitest', ['run', ...argv], { env: { CUPOLA_TEST_COUNTS: file }, stdout });
  try {
    const [passed = 0, failed = 1, skipped = 0] = readFileSync(file, 'utf8').trim().split(' ').map(Number);
    // What ends badly behind the last test, a teardown say, is a failure too.
    return { passed, failed: failed === 0 && code !== 0 ? 1 : failed, skipped };
  } catch {
    console.error(`vitest (${name}) wrote no counts: it was killed, or could not start.`);
    return { passed: 0, failed: 1, skipped: 0 };
  }
}

/** Projects of vitest.config.ts that begin whole platforms: two processors are half idle when two of their files run. And what makes both runs equally long. */
const PLATFORMS = ['s3', 'system', 'cluster', 'postgres'];

async function everything(): Promise<Counts[]> {
  const installed = install();
  const platforms = async (): Promise<Counts> => {
    await installed;
    return vitest(
      'platforms',
      PLATFORMS.map(name => `--project=${name}`),
      'pipe',
    );
  };
  const rest = async (): Promise<Counts[]> => {
    const checked = (await run(process.execPath, ['scripts/check.ts'])) === 0;
    await installed;
    const argv = PLATFORMS.map(name => `--project=!${name}`);
    const tested = await vitest('rest', [...argv, `--maxWorkers=${Math.max(1, availableParallelism() - 1)}`], 'pipe');
    return [{ passed: checked ? 1 : 0, failed: checked ? 0 : 1, skipped: 0 }, tested];
  };
  return (await Promise.all([platforms(), rest()])).flat();
}

async function some(argv: string[]): Promise<Counts[]> {
  await install();
  return [await vitest('some', argv, 'inherit')];
}

const ci = process.env.CI === 'true';
const only = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), 'cupola-test-'));
const counts = await (only.length === 0 ? everything() : some(only));
rmSync(folder, { recursive: true, force: true });
const sum = (of: keyof Counts): number => counts.reduce((total, one) => total + one[of], 0);
let [failed, skipped] = [sum('failed'), sum('skipped')];
if (ci && skipped > 0) {
  console.error(`${skipped} tests were skipped: with CI=true each counts as failed.`);
  failed += skipped;
  skipped = 0;
}
console.log(`${sum('passed')} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
process.exitCode = failed > 0 ? 1 : 0;
