/**
 * `npm test`: installs what the tests need, then runs every check and every test. As root on Debian or Ubuntu the packages are installed; otherwise the
 * missing ones are named and their groups are skipped visibly. With CI=true a skip is a failure. Ends with `N passed, N failed, N skipped`.
 * Arguments are handed to vitest: `npm test -- packages/store`.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { freemem, tmpdir } from 'node:os';
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

function install(): void {
  const missing = missingPackages();
  if (missing.length === 0) return;
  if (process.platform === 'linux' && process.getuid?.() === 0 && hasTool('apt-get')) {
    console.log(`installing Debian packages: ${missing.join(' ')}`);
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    spawnSync('apt-get', ['-qq', 'update'], { stdio: 'inherit', env });
    spawnSync('apt-get', ['-qq', 'install', '-y', '--no-install-recommends', ...missing], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env,
    });
  }
  const still = missingPackages();
  if (still.length > 0)
    console.log(
      `\nMissing here: ${still.join(' ')}. The tests that need them are skipped. As root: apt-get install ${still.join(' ')}\n`,
    );
}

/** statfs(2): TMPFS_MAGIC. */
const TMPFS = 0x01021994;
const MEMORY = '/dev/shm';
/** Far more than all tests need at a time. */
const ROOM_BYTES = 12 * 2 ** 30;

/**
 * Where tests keep their files: in memory where there is plenty, since what costs them is to make and remove files. A database of PostgreSQL is 400, which on a
 * disk took ten times the processor.
 */
function temporaryFolder(): string {
  if (process.env.TMPDIR !== undefined || freemem() < ROOM_BYTES) return tmpdir();
  try {
    const { type, bavail, bsize } = statfsSync(MEMORY);
    return type === TMPFS && bavail * bsize >= ROOM_BYTES ? MEMORY : tmpdir();
  } catch {
    return tmpdir(); // There is none.
  }
}

const ci = process.env.CI === 'true';
install();
const folder = mkdtempSync(join(tmpdir(), 'cupola-test-'));
const counts = join(folder, 'counts');
const only = process.argv.slice(2);
const checked = only.length > 0 || spawnSync(process.execPath, ['scripts/check.ts'], { stdio: 'inherit' }).status === 0;
const { status } = spawnSync('node_modules/.bin/vitest', ['run', ...only], {
  stdio: 'inherit',
  env: { ...process.env, CUPOLA_TEST_COUNTS: counts, TMPDIR: temporaryFolder() },
});

let [passed = 0, failed = 1, skipped = 0] = [0, 1, 0];
try {
  [passed = 0, failed = 1, skipped = 0] = readFileSync(counts, 'utf8').trim().split(' ').map(Number);
  // What ends badly behind the last test, a teardown say, is a failure too.
  if (failed === 0 && status !== 0) failed = 1;
} catch {
  console.error('vitest wrote no counts: it was killed, or could not start.');
}
rmSync(folder, { recursive: true, force: true });
if (only.length === 0) {
  if (checked) passed++;
  else failed++;
}
if (ci && skipped > 0) {
  console.error(`${skipped} tests were skipped: with CI=true each counts as failed.`);
  failed += skipped;
  skipped = 0;
}
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
process.exitCode = failed > 0 ? 1 : 0;
