/**
 * What a sandbox's root is made of: a stack, read-only, with the app's own files over it. The stack `host` is this machine's /usr and the little of its /etc
 * that programs need; any other is a root filesystem in a folder of its own, shown whole but for what every sandbox has for itself.
 */
import { execFile } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readdirSync, readlinkSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { HOME, hostnameOf, INIT, INIT_INSIDE, INSIDE_UID } from './inside.ts';
import type { SandboxSpec } from './sandbox.ts';
import type { Furniture, ShimMount } from './spec-file.ts';

/** Shown read-only where the host has it. No hostname, no users, no keys of the host. */
const ETC = [
  '/etc/alternatives',
  '/etc/ca-certificates',
  '/etc/ca-certificates.conf',
  '/etc/ssl/certs',
  '/etc/ssl/openssl.cnf',
  '/etc/ld.so.cache',
  '/etc/ld.so.conf',
  '/etc/ld.so.conf.d',
  '/etc/mime.types',
  '/etc/protocols',
  '/etc/services',
  '/etc/maven',
  '/etc/perl',
  '/etc/php',
  '/etc/python3',
  // Which distribution this is: installers and buildpacks ask.
  '/etc/os-release',
  '/etc/lsb-release',
];
/** Of each Java that is installed: its settings lie here, and links in /usr lead to them. */
const ETC_JAVA = /^java(?:-\d+-openjdk)?$/;
const TOP = ['/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'];

/**
 * Written for each sandbox: users, names. `spec.files` may replace them. The app's host uid has the same name: where ids are not mapped it is seen inside.
 */
export function etcFiles({ guid, uid: hostUid }: Pick<SandboxSpec, 'guid' | 'uid'>): Record<string, string> {
  const users = [...new Set([INSIDE_UID, hostUid])].filter(uid => uid !== 0);
  const user = (uid: number): string => `vcap:x:${uid}:${uid}:vcap:/home/vcap:/bin/bash\n`;
  return {
    '/etc/passwd': `root:x:0:0:root:/root:/bin/sh\n${users.map(user).join('')}nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n`,
    '/etc/group': `root:x:0:\n${users.map(gid => `vcap:x:${gid}:\n`).join('')}nogroup:x:65534:\n`,
    '/etc/hosts': `127.0.0.1 localhost ${hostnameOf(guid)}\n::1 localhost ip6-localhost\n`,
    '/etc/nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n',
  };
}

/** Of an image's own /etc: users and the order of names stay as it has them. */
export function imageFiles({ guid }: Pick<SandboxSpec, 'guid'>): Record<string, string> {
  return {
    '/etc/hostname': `${hostnameOf(guid)}\n`,
    '/etc/hosts': `127.0.0.1 localhost ${hostnameOf(guid)}\n::1 localhost ip6-localhost\n`,
  };
}
/** What the kernel's file systems are mounted on: an image may lack them. */
export const IMAGE_FOLDERS = ['/proc', '/dev', '/sys', '/etc'];

const readOnly = (source: string, target: string): ShimMount => ({
  mode: 'read-only',
  source,
  target,
});
const EMPTY = [
  '/etc',
  '/proc',
  '/dev',
  '/sys',
  '/home',
  '/root',
  '/opt',
  '/srv',
  '/mnt',
  '/media',
  '/var/log',
  '/var/run',
];

/**
 * The host's time zone by its name, as CF's stack has it; UTC where the host says nothing. A link, not a mount: ICU reads the name off it, and else compares
 * every zone's file with this one at the first date that a Node.js server writes, which costs its first answer 12 ms.
 */
function timeZone(): { link: Furniture['links'][number] | null; mount: ShimMount | null } {
  const path = '/etc/localtime';
  const seen = lstatSync(path, { throwIfNoEntry: false });
  if (seen?.isFile()) return { link: null, mount: readOnly(path, path) };
  const target = seen?.isSymbolicLink() ? readlinkSync(path) : '/usr/share/zoneinfo/UTC';
  return { link: { target, path }, mount: null };
}

/** A link to what every sandbox has anyway needs no mount, and a mount costs each start. */
function leadsIntoUsr(path: string): boolean {
  const isLink = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
  return isLink && resolve(dirname(path), readlinkSync(path)).startsWith('/usr/');
}

/**
 * What is the same in each root, without proc and dev, which the rung's tool makes.
 *
 * @param at where this machine's files lie for who mounts them: '' for ourselves, else the folder of a copy (`copyHostBase`).
 */
export function hostBase(at = ''): Furniture {
  const links: Furniture['links'] = [];
  const mounts: ShimMount[] = [shown('/usr')];
  for (const path of TOP) {
    if (!existsSync(path)) continue;
    if (lstatSync(path).isSymbolicLink()) links.push({ target: readlinkSync(path), path });
    else mounts.push(shown(path));
  }
  const ofJava = readdirSync('/etc').filter(name => ETC_JAVA.test(name));
  for (const path of [...ETC, ...ofJava.map(name => `/etc/${name}`)])
    if (leadsIntoUsr(path)) links.push({ target: readlinkSync(path), path });
    else if (existsSync(path)) mounts.push(shown(path));
  const zone = timeZone();
  if (zone.link !== null) links.push(zone.link);
  if (zone.mount !== null) mounts.push(shown(zone.mount.target));
  mounts.push(shown(INIT, INIT_INSIDE));
  return { folders: EMPTY, links, mounts };

  function shown(path: string, target = path): ShimMount {
    return readOnly(`${at}${path}`, target);
  }
}

/** A copy of all that `hostBase` shows, and of the folders `others`, in a folder that is made for it: each path lies there below `folder`. */
export async function copyHostBase(folder: string, others: readonly string[]): Promise<void> {
  const shown = hostBase().mounts.map(({ source }) => source);
  const paths = [...others, ...shown.filter(path => !others.some(other => path.startsWith(`${other}/`)))];
  for (const path of paths) {
    mkdirSync(dirname(`${folder}${path}`), { recursive: true, mode: 0o755 });
    await promisify(execFile)('cp', ['--archive', '-H', '--', path, `${folder}${path}`]);
  }
}

/** Of a stack's own /etc: written for each sandbox, or of no use without users. */
const ETC_OWN = new Set([
  'passwd',
  'group',
  'shadow',
  'gshadow',
  'hosts',
  'hostname',
  'nsswitch.conf',
  'resolv.conf',
  'mtab',
]);
/** At the top of a stack: made for each sandbox, or the kernel's. */
const TOP_OWN = new Set(['etc', 'proc', 'dev', 'sys', 'home', 'root', 'run', 'tmp', 'var', 'mnt', 'media', 'boot']);

/** The same of a root filesystem in the folder `root`, which is absolute. Nothing of the host's own /usr or /etc is in it. `at`: as of `hostBase`. */
export function stackBase(root: string, at = ''): Furniture {
  const links: Furniture['links'] = [];
  const mounts: ShimMount[] = [];
  const show = (path: string): void => {
    const seen = lstatSync(join(root, path), { throwIfNoEntry: false });
    if (seen?.isSymbolicLink()) links.push({ target: readlinkSync(join(root, path)), path });
    else if (seen?.isDirectory() || seen?.isFile()) mounts.push(readOnly(join(root, path), path));
  };
  for (const name of readdirSync(root)) if (!TOP_OWN.has(name)) show(`/${name}`);
  if (existsSync(join(root, 'etc')))
    for (const name of readdirSync(join(root, 'etc'))) if (!ETC_OWN.has(name)) show(`/etc/${name}`);
  show('/var/lib');
  mounts.push(readOnly(`${at}${INIT}`, INIT_INSIDE));
  const shown = new Set([...mounts.map(({ target }) => target), ...links.map(({ path }) => path)]);
  return { folders: EMPTY.filter(path => !shown.has(path)), links, mounts };
}

/** What is a sandbox's own. */
export function ownMounts(spec: SandboxSpec, disk: string): ShimMount[] {
  const covered = spec.mounts.some(({ target }) => target === HOME);
  return [
    // /tmp lies on the instance's disk and counts as disk: as a tmpfs it would count as memory.
    { mode: 'writable', source: `${disk}/tmp`, target: '/tmp' },
    { mode: 'writable', source: `${disk}/tmp`, target: '/var/tmp' },
    ...(covered ? [] : [{ mode: 'writable', source: `${disk}/home`, target: HOME } as const]),
    ...spec.mounts,
  ];
}
