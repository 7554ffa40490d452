/** Which packages of this Debian an app needs to run, and their files: from dpkg's own lists, nothing is guessed. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a droplet may use: a shell and its usual tools, C and C++ libraries, certificates, time zones. Not compilers, not what only an operator runs. */
const WANTED = [
  'base-files',
  'bash',
  'ca-certificates',
  'coreutils',
  'dash',
  'debianutils',
  'findutils',
  'grep',
  'gzip',
  'hostname',
  'libc-bin',
  'libc6',
  'libgcc-s1',
  'libssl3',
  'libstdc++6',
  'mawk',
  'netbase',
  'perl-base',
  'procps',
  'sed',
  'tar',
  'tzdata',
  'zlib1g',
] as const;
/** Wanted by others for their own installation, or to be asked questions: nothing that runs reads them. */
const NOT_NEEDED = new Set(['debconf', 'dpkg', 'openssl', 'init-system-helpers', 'install-info', 'libsystemd0']);

export interface InstalledPackage {
  name: string;
  version: string;
  /** As dpkg names its lists: `libc6:amd64` or `bash`. */
  listName: string;
  depends: string[];
}

/** Null where there is no dpkg. `root` is `/` but in tests. */
export function readInstalled(root: string): Map<string, InstalledPackage> | null {
  const file = join(root, 'var/lib/dpkg/status');
  if (!existsSync(file)) return null;
  const found = new Map<string, InstalledPackage>();
  for (const paragraph of readFileSync(file, 'utf8').split('\n\n')) {
    const field = (name: string): string => new RegExp(`^${name}: (.*)$`, 'm').exec(paragraph)?.[1] ?? '';
    const name = field('Package');
    if (name === '' || !field('Status').endsWith(' installed') || found.has(name)) continue;
    const withArchitecture = `${name}:${field('Architecture')}`;
    const hasOwn = existsSync(join(root, 'var/lib/dpkg/info', `${withArchitecture}.list`));
    found.set(name, {
      name,
      version: field('Version'),
      listName: hasOwn ? withArchitecture : name,
      depends: [field('Pre-Depends'), field('Depends')].join(', ').split(',').flatMap(firstOfAlternatives),
    });
  }
  return found;
}

/** `libc6 (>= 2.36) | libc6.1` -> its names without versions; any of them may be the one that is here. */
function firstOfAlternatives(clause: string): string[] {
  return clause
    .split('|')
    .map(part => part.trim().split(/[\s:(]/)[0] ?? '')
    .filter(name => name !== '');
}

/** The wanted packages that are here, with all that they depend on, by name. */
export function neededPackages(installed: ReadonlyMap<string, InstalledPackage>): InstalledPackage[] {
  const needed = new Map<string, InstalledPackage>();
  const open: string[] = [...WANTED];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const found = installed.get(name);
    if (found === undefined || needed.has(name) || NOT_NEEDED.has(name)) continue;
    needed.set(name, found);
    open.push(...found.depends);
  }
  return [...needed.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Absolute paths, as dpkg has laid them out. */
export function filesOf(root: string, { listName }: InstalledPackage): string[] {
  return readFileSync(join(root, 'var/lib/dpkg/info', `${listName}.list`), 'utf8')
    .split('\n')
    .filter(path => path !== '' && path !== '/.');
}
