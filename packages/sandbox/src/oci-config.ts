/**
 * config.json of the Open Container Initiative's runtime specification, for runc and crun. The root is put together before, by the shim; memory, cpu and
 * pids limits are written by us into the control group that the container is put into.
 */
import { hostnameOf, idsInside, initInside } from './inside.ts';
import type { SandboxSpec } from './sandbox.ts';
import { ociSeccomp } from './seccomp.ts';

/** What the runtimes hide by default (the specification's own example, and containerd's). */
const MASKED = ['/proc/acpi', '/proc/asound', '/proc/kcore', '/proc/keys', '/proc/latency_stats', '/proc/timer_list'];
const MASKED_TOO = ['/proc/timer_stats', '/proc/sched_debug', '/proc/scsi', '/sys/firmware'];
const READ_ONLY = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

/** Root inside the container, where it is not the app's user, is a host uid that nobody has: 2^28 above the app's, out of the reach of people, services and containers' own maps. */
const NOBODYS_UID = 2 ** 28;

export function ociConfig(
  spec: SandboxSpec,
  { root, cgroupPath }: { root: string; cgroupPath: string | null },
): Record<string, unknown> {
  const none: string[] = [];
  const inside = idsInside(spec);
  const ids = (id: number) => [
    ...(id === 0 ? [] : [{ containerID: 0, hostID: NOBODYS_UID + spec.uid, size: 1 }]),
    { containerID: id, hostID: spec.uid, size: 1 },
  ];
  return {
    ociVersion: '1.0.2',
    hostname: hostnameOf(spec.guid),
    root: { path: root, readonly: spec.image === undefined },
    process: {
      terminal: false,
      cwd: '/',
      user: inside,
      args: initInside(spec),
      env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
      noNewPrivileges: true,
      capabilities: { bounding: none, effective: none, inheritable: none, permitted: none, ambient: none },
    },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
      {
        destination: '/dev',
        type: 'tmpfs',
        source: 'tmpfs',
        options: ['nosuid', 'strictatime', 'mode=755', 'size=64k'],
      },
      {
        destination: '/dev/pts',
        type: 'devpts',
        source: 'devpts',
        options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620'],
      },
      {
        destination: '/dev/shm',
        type: 'tmpfs',
        source: 'shm',
        options: ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=64m'],
      },
    ],
    linux: {
      // The network is the shim's child's own: the namespace it has entered, or the host's.
      namespaces: ['user', 'pid', 'ipc', 'uts', 'mount', 'cgroup'].map(type => ({ type })),
      uidMappings: ids(inside.uid),
      gidMappings: ids(inside.gid),
      ...(cgroupPath === null ? {} : { cgroupsPath: `/${cgroupPath}` }),
      resources: { devices: [{ allow: false, access: 'rwm' }] },
      seccomp: ociSeccomp(),
      maskedPaths: [...MASKED, ...MASKED_TOO],
      readonlyPaths: READ_ONLY,
    },
  };
}
