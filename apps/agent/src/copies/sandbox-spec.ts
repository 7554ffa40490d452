/** The sandbox of one start: the droplet's layers put together, the command wrapped as Cloud Foundry's launcher does it. */
import type { PlacementItem } from '@cupola/contract/internal';
import { INSTANCE_LIMITS } from '@cupola/model/limits';
import { type Mount, SandboxError, type SandboxSpec } from '@cupola/sandbox/sandbox';
import { CHANGES_INSIDE, DEVELOPMENT_LAUNCHER } from '../development/launcher.ts';
import { type CopyAddress, networkOf } from '../host/addresses.ts';
import type { ImageFacts } from '../host/image-facts.ts';
import { SIDECAR_MARK } from '../logs/sidecar-lines.ts';
import { copyEnvironment, imageDefaults, STACK_OWN, stackDefaults } from './environment.ts';

const LIMITS = `ulimit -c 0
ulimit -n ${INSTANCE_LIMITS.openFilesMax} 2>/dev/null
[ -d "$TMPDIR" ] && [ -d /home/vcap/logs ] || mkdir -p "$TMPDIR" /home/vcap/logs 2>/dev/null`;
const SCRIPTS = '/home/vcap/profile.d/* .profile.d/* .profile';
/** Limits, folders and profile scripts: where every command begins. */
const PREPARED = `${LIMITS}
for file in ${SCRIPTS}; do
  if [ -f "$file" ]; then . "$file"; fi
done`;

/**
 * CF's launcher in shell: the buildpacks' scripts, then the app's, then `.profile`, then the command, which takes the shell's place. Limits that are the
 * process's own are set first; where the machine allows less, that stays. No process but this shell where none is needed: each would cost a start some
 * milliseconds. So a command that is only words (`$2` and on), whose first is a program and nothing of the shell's, takes its place without a second shell.
 */
const LAUNCHER = `
${PREPARED}
if [ $# -gt 1 ] && ! declare -F "$2" >/dev/null && ! builtin help "$2" >/dev/null 2>&1 && type -P "$2" >/dev/null; then
  exec "\${@:2}"
fi
exec /bin/bash -c "$1"
`;
/**
 * The same in the shell that is up in a third of bash's time, for a command that is only words and calls a program, where no script is there. In everything
 * else bash has the word. Arguments: the launcher above, and its own.
 */
const SHORT_LAUNCHER = `
cupola_bash() { cupola_launcher=$1; shift; exec /bin/bash -c "$cupola_launcher" launcher "$@"; }
for cupola_file in ${SCRIPTS}; do
  if [ -f "$cupola_file" ]; then cupola_bash "$@"; fi
done
command -v "$3" >/dev/null || cupola_bash "$@"
${LIMITS}
shift 2
exec "$@"
`;
/** Words of bash's own (bash 5.2: compgen -bk), whatever programs there are of their names. */
const BASH_WORDS = new Set(
  `. : [ [[ ]] alias bg bind break builtin caller case cd command compgen complete compopt continue coproc declare dirs disown do done echo elif else enable
  esac eval exec exit export false fc fg fi for function getopts hash help history if in jobs kill let local logout mapfile popd printf pushd pwd read
  readarray readonly return select set shift shopt source suspend test then time times trap true type typeset ulimit umask unalias unset until wait while`.split(
    /\s+/,
  ),
);
/**
 * The same with sidecars: each by a shell of its own beside the command, its lines marked so that they are told apart (`logs/sidecar-lines.ts`). The first that
 * ends ends the others, and its status is the instance's (CF: codependent actions). A SIGTERM comes to all of them by itself; this shell waits for the last.
 * Who ends is told through a pipe: `wait -n` misses a child that has ended before it is reached (bash 5.2), and then nobody notices.
 * Only the program holds the pipes to what marks its lines: bash may wait for that at its own end (5.2, one time in ten), and it reads for as long as somebody
 * could write, so an app took its whole grace to stop.
 * Arguments: the command, then of each sidecar its command and its MEMORY_LIMIT (empty: none of its own).
 */
const LAUNCHER_WITH_SIDECARS = `
${PREPARED}
trap : TERM INT
mark() { trap '' TERM INT; exec sed -u "s/^/${SIDECAR_MARK}$1${SIDECAR_MARK}/"; }
exec {told}<> <(:)
run() {
  trap : TERM INT
  /bin/bash -c "$1" {told}>&- &
  exec >/dev/null 2>&1
  for fd in /proc/self/fd/*; do
    fd=\${fd##*/}
    if [ $fd -gt 2 ] && [ $fd != $told ]; then eval "exec $fd>&-"; fi
  done
  echo "began $!" >&$told
  while wait $!; kill -0 $! 2>/dev/null; do :; done
  wait $!
  echo "ended $?" >&$told
}
run "$1" &
all=($!)
shift
number=0
while [ $# -gt 1 ]; do
  ( [ -z "$2" ] || export MEMORY_LIMIT="$2"; run "$1" ) > >(mark $number) 2> >(mark $number >&2) &
  all+=($!)
  number=$((number + 1))
  shift 2
done
programs=()
code=
until [ \${#programs[@]} = \${#all[@]} ] && [ "$code" ]; do
  read -r word value <&$told || continue
  case $word in
    began) programs+=($value) ;;
    ended) : \${code:=$value} ;;
  esac
done
kill -TERM "\${programs[@]}" 2>/dev/null
while :; do
  wait "\${all[@]}"
  left=0
  for one in "\${all[@]}"; do ! kill -0 "$one" 2>/dev/null || left=1; done
  [ $left = 1 ] || break
done
exit $code
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
  /** Folder of the stack's root filesystem; null: this machine's own. */
  stackRoot: string | null;
  /** The image that it stands on, instead of a stack; null: none. */
  image: ImageFacts | null;
  /** Of the stack. */
  lang: string;
  /** Where the changes of a development app are laid; null: it is none. */
  changesFolder: string | null;
}

export function sandboxSpec(facts: StartFacts): SandboxSpec {
  const { sandboxGuid, placement, address, resolvConf, uid, image } = facts;
  const { runSpec } = placement;
  return {
    guid: sandboxGuid,
    uid,
    ...(image === null ? onStack(facts) : onImage(facts, image)),
    files: { '/etc/resolv.conf': resolvConf },
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

type Ground = Pick<SandboxSpec, 'stackRoot' | 'image' | 'mounts' | 'argv' | 'cwd' | 'environment'>;

function onStack({ placement, address, layerSources, stackRoot, lang, changesFolder }: StartFacts): Ground {
  const { runSpec } = placement;
  const environment = copyEnvironment(placement, { address, defaults: stackDefaults(runSpec, lang), own: STACK_OWN });
  const argv = argvOf(runSpec, environment);
  return {
    ...(stackRoot === null ? {} : { stackRoot }),
    mounts: [
      ...runSpec.layers.map(
        ({ kind, mountPath }, at): Mount => ({
          source: layerSources[at] ?? '',
          target: mountPath,
          mode: kind === 'app' ? 'overlay' : 'read-only',
        }),
      ),
      ...(changesFolder === null
        ? []
        : [{ source: changesFolder, target: CHANGES_INSIDE, mode: 'read-only' } satisfies Mount]),
    ],
    argv:
      changesFolder === null ? argv : ['/bin/bash', '-c', DEVELOPMENT_LAUNCHER, 'launcher', CHANGES_INSIDE, ...argv],
    cwd: '/home/vcap/app',
    environment,
  };
}

/** As Diego's launcher for images does it (dockerapplifecycle: launcher/main.go): the user's command by the image's shell, else the image's own words. */
function onImage({ placement, address }: StartFacts, { root, user, folder, hasBash }: ImageFacts): Ground {
  const { command, image, sidecars = [] } = placement.runSpec;
  const own = [...(image?.entrypoint ?? []), ...(image?.command ?? [])];
  if (sidecars.length > 0 && !hasBash)
    throw new SandboxError('its sidecars are started by /bin/bash, which the image does not have');
  return {
    image: { root, uid: user.uid, gid: user.gid, openFilesMax: INSTANCE_LIMITS.openFilesMax },
    mounts: [],
    argv:
      sidecars.length > 0
        ? withSidecars(command || quoted(own), sidecars)
        : command === ''
          ? own
          : ['/bin/sh', '-c', command],
    cwd: folder,
    environment: copyEnvironment(placement, { address, defaults: imageDefaults(image, user), own: {} }),
  };
}

/** Words as a shell reads them as the same words. */
function quoted(words: readonly string[]): string {
  return words.map(word => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
}

function argvOf({ command, sidecars = [] }: PlacementItem['runSpec'], environment: Record<string, string>): string[] {
  if (sidecars.length === 0) {
    const words = wordsOf(command);
    const isShort = words[0] !== undefined && !BASH_WORDS.has(words[0]) && !speaksToBash(environment);
    if (isShort) return ['/bin/sh', '-c', SHORT_LAUNCHER, 'launcher', LAUNCHER, command, ...words];
    return ['/bin/bash', '-c', LAUNCHER, 'launcher', command, ...words];
  }
  return withSidecars(command, sidecars);
}

function withSidecars(command: string, sidecars: NonNullable<PlacementItem['runSpec']['sidecars']>): string[] {
  const beside = sidecars.flatMap(sidecar => [
    sidecar.command,
    sidecar.memoryMb === null ? '' : `${sidecar.memoryMb}m`,
  ]);
  return ['/bin/bash', '-c', LAUNCHER_WITH_SIDECARS, 'launcher', command, ...beside];
}

/** Functions, options and scripts that bash takes from its environment (BASH_ENV, BASH_FUNC_x%%, BASHOPTS, SHELLOPTS). */
function speaksToBash(environment: Record<string, string>): boolean {
  return Object.keys(environment).some(name => name.startsWith('BASH') || name === 'SHELLOPTS');
}

function wordsOf(command: string): string[] {
  return ONLY_WORDS.test(command) ? command.split(' ') : [];
}
