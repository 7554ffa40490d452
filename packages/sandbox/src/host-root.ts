/** The `host` stack: this machine's read-only /usr and the little of /etc that programs need, with the app's own files over it. */
import { existsSync, lstatSync, readlinkSync } from 'node:fs';
import type { SandboxSpec } from './sandbox.ts';
import type { ShimSpec } from './spec-file.ts';

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
  '/etc/localtime',
  '/etc/mime.types',
  '/etc/protocols',
  '/etc/services',
  '/etc/python3',
  '/etc/java-17-openjdk',
  '/etc/perl',
];
const TOP = ['/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'];

/** Uid and gid that apps see as their own. */
export const INSIDE_UID = 2000;

/** Written for each sandbox: users, names, resolver. `spec.files` may replace them. */
export function etcFiles(hostname: string): Record<string, string> {
  return {
    '/etc/passwd': `root:x:0:0:root:/root:/bin/sh\nvcap:x:${INSIDE_UID}:${INSIDE_UID}:vcap:/home/vcap:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n`,
    '/etc/group': `root:x:0:\nvcap:x:${INSIDE_UID}:\nnogroup:x:65534:\n`,
    '/etc/hosts': `127.0.0.1 localhost ${hostname}\n::1 localhost ip6-localhost\n`,
    '/etc/nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n',
  };
}

/** Folders, links and mounts of the root, without proc and dev, which the rung's tool makes. */
export function hostRoot(
  spec: SandboxSpec,
  paths: { disk: string; files: string; init: string; environment: string },
): Pick<ShimSpec, 'folders' | 'links' | 'mounts'> {
  const links: ShimSpec['links'] = [];
  const mounts: ShimSpec['mounts'] = [{ mode: 'read-only', source: '/usr', target: '/usr' }];
  for (const path of TOP) {
    if (!existsSync(path)) continue;
    if (lstatSync(path).isSymbolicLink()) links.push({ target: readlinkSync(path), path });
    else mounts.push({ mode: 'read-only', source: path, target: path });
  }
  for (const path of ETC) if (existsSync(path)) mounts.push({ mode: 'read-only', source: path, target: path });
  for (const path of Object.keys({ ...etcFiles(spec.guid), ...spec.files }))
    mounts.push({ mode: 'read-only', source: `${paths.files}${path}`, target: path });
  mounts.push(
    { mode: 'read-only', source: paths.init, target: '/run/cupola/init' },
    { mode: 'read-only', source: paths.environment, target: '/run/cupola/env' },
    // /tmp lies on the instance's disk and counts as disk: as a tmpfs it would count as memory.
    { mode: 'writable', source: `${paths.disk}/tmp`, target: '/tmp' },
    { mode: 'writable', source: `${paths.disk}/tmp`, target: '/var/tmp' },
  );
  const covered = spec.mounts.some(({ target }) => target === '/home/vcap');
  if (!covered) mounts.push({ mode: 'writable', source: `${paths.disk}/home`, target: '/home/vcap' });
  mounts.push(...spec.mounts);
  const folders = [
    '/proc',
    '/dev',
    '/sys',
    '/home',
    '/root',
    '/opt',
    '/srv',
    '/mnt',
    '/media',
    '/var',
    '/var/log',
    '/var/run',
  ].map(path => ({ path, mode: 0o755, uid: null }));
  return { folders, links, mounts };
}
