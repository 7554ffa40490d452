/** The stack `host`: what this machine's /usr is, as two digests. A droplet carries both; a changed host with the same ABI key still runs it. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';

export interface Stack {
  name: string;
  /** sha-256 of os-release, the list of packages and /usr/local: changes with every update. */
  digest: string;
  /** What compiled code needs to be the same: architecture, kind of C library, release of the distribution. */
  abiKey: string;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // Not a Debian, or not readable: the rest still tells hosts apart.
  }
}
function listing(folder: string): string {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .map(entry => entry.name)
      .sort()
      .join('\n');
  } catch {
    return '';
  }
}

/** Package names and versions, without what dpkg rewrites at every run. */
function packages(): string {
  return textOf('/var/lib/dpkg/status')
    .split('\n')
    .filter(line => /^(Package|Version|Status): /.test(line))
    .join('\n');
}

export function hostStack(): Stack {
  const release = textOf('/etc/os-release');
  const local = ['/usr/local/bin', '/usr/local/lib', '/usr/local/sbin'].map(listing);
  const digest = createHash('sha256')
    .update([release, packages(), ...local].join('\0'))
    .digest('hex');
  const field = (name: string): string => new RegExp(`^${name}="?([^"\n]*)`, 'm').exec(release)?.[1] ?? '';
  const libc = (process.report.getReport() as { header?: { glibcVersionRuntime?: string } }).header
    ?.glibcVersionRuntime;
  const abiKey = [
    process.platform,
    process.arch,
    libc === undefined ? 'other-libc' : 'glibc',
    field('ID'),
    field('VERSION_ID'),
  ].join('-');
  return { name: 'host', digest, abiKey };
}
