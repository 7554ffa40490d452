/** What a rung really enforces here, seen by running a sandbox in it that looks around. Never assumed from versions. */
import type { Enforced, RunningSandbox, SandboxSpec } from './sandbox.ts';

/** Prints `name value` lines. Plain sh and coreutils, so that it runs on any root. */
const LOOK = `
echo pids $(ls /proc | grep -c '^[0-9]')
touch /usr/.cupola-canary 2>/dev/null && echo usr writable || echo usr read-only
grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status | tr -d ':' | tr '\\t' ' '
if [ -x /usr/bin/unshare ]; then unshare --user true 2>/dev/null && echo userns open || echo userns closed; fi
echo uid $(id -u)
first() { for file; do [ -r "$file" ] && cat "$file" && return; done; echo 0; }
cd /sys/fs/cgroup 2>/dev/null && {
  echo memory $(first memory/memory.limit_in_bytes memory.max)
  echo processes $(first pids/pids.max pids.max)
  echo cpu $(first cpu/cpu.shares cpu.weight)
}
echo disk $(stat -f -c '%b %S' /tmp | { read blocks size; echo $((blocks * size / 1048576)); })
echo done 1
`;

export function canarySpec(guid: string, uid: number): SandboxSpec {
  return {
    guid,
    uid,
    mounts: [],
    files: {},
    argv: ['/bin/sh', '-c', LOOK],
    cwd: '/',
    environment: { PATH: '/usr/bin:/bin:/usr/sbin:/sbin' },
    limits: { memoryMb: 64, cpuShare: 0.1, pidsMax: 32, diskMb: 16 },
    network: { kind: 'host' },
    logRateBytesPerSecond: -1,
  };
}

export interface CanaryResult {
  /** Null when the rung may be used. */
  refusedBecause: string | null;
  seen: Pick<Enforced, 'pid' | 'fs' | 'seccomp' | 'userns'>;
  /** As the sandbox itself sees them, on a rung that shows it its control group; 0 where it does not. */
  limits: { memoryMb: number; pidsMax: number; cpu: number; diskMb: number };
}

/** Must show, or the rung is unusable: other pids hidden, root read-only, no capabilities, no_new_privs. */
export async function readCanary(sandbox: RunningSandbox): Promise<CanaryResult> {
  const seen = new Map<string, string>();
  const said: string[] = [];
  for await (const { line, stream } of sandbox.output()) {
    const [key = '', value = ''] = line.trim().split(/\s+/);
    if (stream === 'out') seen.set(key, value);
    else said.push(line);
  }
  await sandbox.ended;
  const number = (key: string): number => Number(seen.get(key)) || 0;
  const pid = Number(seen.get('pids')) > 0 && Number(seen.get('pids')) < 12;
  const fs = seen.get('usr') === 'read-only';
  const noCapabilities = Number.parseInt(seen.get('CapEff') ?? 'f', 16) === 0;
  const noNewPrivileges = seen.get('NoNewPrivs') === '1';
  const reasons = [
    seen.get('done') === '1' ? null : `it did not run to its end${said.length > 0 ? `: ${said.join('; ')}` : ''}`,
    pid ? null : 'other processes are visible',
    fs ? null : 'the root is writable',
    noCapabilities ? null : 'capabilities are left',
    noNewPrivileges ? null : 'privileges can be gained',
  ].filter(reason => reason !== null);
  return {
    refusedBecause: reasons.length === 0 ? null : (reasons[0] ?? null),
    seen: { pid, fs, seccomp: seen.get('Seccomp') === '2', userns: seen.get('userns') === 'closed' },
    limits: {
      memoryMb: number('memory') / 1024 / 1024,
      pidsMax: number('processes'),
      cpu: number('cpu'),
      diskMb: number('disk'),
    },
  };
}
