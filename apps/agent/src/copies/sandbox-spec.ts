/** The sandbox of one start: the droplet's layers put together, the command wrapped as Cloud Foundry's launcher does it. */
import type { PlacementItem } from '@cupola/contract/internal';
import { INSTANCE_LIMITS } from '@cupola/model/limits';
import type { Mount, SandboxSpec } from '@cupola/sandbox/sandbox';
import { type CopyAddress, networkOf } from '../host/addresses.ts';
import { copyEnvironment } from './environment.ts';

/**
 * CF's launcher in shell: the buildpacks' scripts, then the app's, then `.profile`, then the command, which takes the shell's place. Limits that are the
 * process's own are set first; where the machine allows less, that stays. No process but this shell where none is needed: each would cost a start some
 * milliseconds. So a command that is only words (`$2` and on), whose first is a program and nothing of the shell's, takes its place without a second shell.
 */
const LAUNCHER = `
ulimit -c 0
ulimit -n ${INSTANCE_LIMITS.openFilesMax} 2>/dev/null
[ -d "$TMPDIR" ] && [ -d /home/vcap/logs ] || mkdir -p "$TMPDIR" /home/vcap/logs 2>/dev/null
for file in /home/vcap/profile.d/* .profile.d/* .profile; do
  if [ -f "$file" ]; then . "$file"; fi
done
if [ $# -gt 1 ] && ! declare -F "$2" >/dev/null && ! builtin help "$2" >/dev/null 2>&1 && type -P "$2" >/dev/null; then
  exec "\${@:2}"
fi
exec /bin/bash -c "$1"
`;
/** Nothing in it that a shell would read as more than words. */
const ONLY_WORDS = /^[\w./:@%+,-]+(?: [\w./:@%+,=-]+)*$/;

export interface StartFacts {
  sandboxGuid: string;
  placement: PlacementItem;
  address: CopyAddress;
  resolvConf: string;
  uid: number;
  /** Where each layer of the run spec lies, in its order. */
  layerSources: string[];
}

export function sandboxSpec(facts: StartFacts): SandboxSpec {
  const { sandboxGuid, placement, address, resolvConf, uid, layerSources } = facts;
  const { runSpec } = placement;
  return {
    guid: sandboxGuid,
    uid,
    mounts: runSpec.layers.map(
      ({ kind, mountPath }, at): Mount => ({
        source: layerSources[at] ?? '',
        target: mountPath,
        mode: kind === 'app' ? 'overlay' : 'read-only',
      }),
    ),
    files: { '/etc/resolv.conf': resolvConf },
    argv: ['/bin/bash', '-c', LAUNCHER, 'launcher', runSpec.command, ...wordsOf(runSpec.command)],
    cwd: '/home/vcap/app',
    environment: copyEnvironment(placement, address),
    limits: {
      memoryMb: runSpec.memoryMb,
      cpuShare: runSpec.memoryMb / 1024,
      pidsMax: INSTANCE_LIMITS.pidsMax,
      diskMb: runSpec.diskMb,
    },
    network: networkOf(address),
    logRateBytesPerSecond: runSpec.logRateBytesPerSecond,
  };
}

function wordsOf(command: string): string[] {
  return ONLY_WORDS.test(command) ? command.split(' ') : [];
}
