/** The Debian packages that make a stronger sandbox: named, then installed, when `up` runs as root on Debian or Ubuntu. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Tool -> Debian package. */
const WANTED = { bwrap: 'bubblewrap', runc: 'runc', nft: 'nftables', ip: 'iproute2' } as const;

export function findTool(name: string): string | null {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/bin', '/bin'];
  for (const folder of folders)
    try {
      accessSync(join(folder, name), constants.X_OK);
      return join(folder, name);
    } catch {
      // Not there; the next folder may have it.
    }
  return null;
}

/** Packages of the sandbox tools that are not on this machine. */
export function missingPackages(): string[] {
  return Object.entries(WANTED)
    .filter(([tool]) => findTool(tool) === null)
    .map(([, name]) => name);
}

function isDebian(): boolean {
  try {
    return (
      /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(readFileSync('/etc/os-release', 'utf8')) && findTool('apt-get') !== null
    );
  } catch {
    return false;
  }
}

/**
 * Installs what is missing, saying so first. Never fails: without them a weaker rung of the sandbox ladder is used, and `doctor` says which.
 */
export function installMissing(say: (text: string) => void): void {
  const missing = missingPackages();
  if (process.platform !== 'linux' || missing.length === 0 || process.getuid?.() !== 0 || !isDebian()) return;
  say(`installing ${missing.join(', ')} for stronger sandboxes (--no-install leaves them out)`);
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const run = (args: string[]): boolean =>
    spawnSync('apt-get', args, { stdio: ['ignore', 'ignore', 'pipe'], env: environment }).status === 0;
  if (!run(['-qq', 'update']) || !run(['-qq', 'install', '-y', '--no-install-recommends', ...missing]))
    say(`apt-get could not install them all; going on with what is here. Later: apt-get install ${missing.join(' ')}`);
}
