/**
 * How git is started: the machine's own, by an argv, with an environment made here and nothing of ours in it, its settings from one file of ours, and limits on
 * what one process may take. No configuration of the machine, of a user or of a pushed tree counts, and no hook but ours runs (docs/decisions/0033).
 */
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { PUSH_LIMITS } from '@cupola/model/limits';

export type GitProcess = ChildProcessByStdio<Writable, Readable, Readable>;

export interface Git {
  readonly version: readonly [major: number, minor: number];
  /** Programs of ours that git starts. */
  readonly hooks: string;
  /** The file of its settings: no other process has it in its environment. */
  readonly settings: string;
  start(args: readonly string[], options?: { environment?: Record<string, string>; cwd?: string }): GitProcess;
}

/** This machine has no git that could serve. */
export class NoGitError extends Error {
  override readonly name = 'NoGitError';
}

/** The first that takes its settings from one file alone (GIT_CONFIG_GLOBAL). */
const OLDEST = [2, 32] as const;
/** Names the one file of settings. */
export const SETTINGS = 'GIT_CONFIG_GLOBAL';
/** Address space of a process of git: it maps packs, and holds one object and its base (ours). */
const MEMORY_BYTES = 3 * 1024 ** 3;
/** Unpacking the largest push takes a minute (ours). */
const CPU_SECONDS = 600;
const FILES_MAX = 1_024;

const config = (hooks: string): string => `[core]
\thooksPath = ${hooks}
\tbigFileThreshold = 16m
\tpackedGitLimit = 512m
\tfsync = committed
[safe]
\tdirectory = *
[protocol]
\tallow = never
[transfer]
\tfsckObjects = true
\thideRefs = refs/cupola
[receive]
\tfsckObjects = true
\tmaxInputSize = ${PUSH_LIMITS.uploadMaxBytes}
\tunpackLimit = 1
\tautogc = false
\tshallowUpdate = true
\tdenyDeletes = false
\tdenyNonFastForwards = false
\tadvertisePushOptions = false
\tcertNonceSeed =
[http]
\treceivepack = true
\tuploadpack = true
[uploadpack]
\tallowFilter = false
\tallowAnySHA1InWant = false
[pack]
\tthreads = 1
\twindowMemory = 128m
\tdeltaCacheSize = 64m
[gc]
\tauto = 0
[advice]
\tpushUpdateRejected = false
`;

/** Throws NoGitError, in words for the operator. `folder` is this part's own. */
export function openGit({ folder, hooks }: { folder: string; hooks: string }): Git {
  const home = join(folder, 'home');
  const settings = join(folder, 'gitconfig');
  mkdirSync(home, { recursive: true, mode: 0o700 });
  writeFileSync(settings, config(hooks), { mode: 0o600 });
  const base: Record<string, string> = {
    PATH: '/usr/local/bin:/usr/bin:/bin',
    HOME: home,
    LANG: 'C.UTF-8',
    GIT_CONFIG_NOSYSTEM: '1',
    [SETTINGS]: settings,
    GIT_ATTR_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_NO_REPLACE_OBJECTS: '1',
  };
  const found = spawnSync('git', ['--version'], { env: base, encoding: 'utf8' });
  const backend = spawnSync('git', ['http-backend'], { env: base, encoding: 'utf8' });
  if (found.status !== 0 || !/REQUEST_METHOD|Status:/.test(`${backend.stdout}${backend.stderr}`))
    throw new NoGitError('This machine has no git. Install it (apt-get install git), then push again.');
  const version = found.stdout.trim().replace('git version ', '');
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]))
    throw new NoGitError(
      `The git of this machine is ${version}; ${OLDEST.join('.')} is the oldest that can be used. Upgrade it, then push again.`,
    );
  const limits = limiter(base);
  return {
    version: [major, minor],
    hooks,
    settings,
    start: (args, { environment = {}, cwd = folder } = {}) => {
      const [file = '', ...all] = [...limits, 'git', ...args];
      return spawn(file, all, {
        cwd,
        env: { ...base, ...environment },
        stdio: ['pipe', 'pipe', 'pipe'],
        detached: true,
      });
    },
  };
}

/** util-linux has it; elsewhere git runs without limits of its own. */
function limiter(environment: Record<string, string>): string[] {
  const limits = [
    'prlimit',
    `--as=${MEMORY_BYTES}`,
    `--cpu=${CPU_SECONDS}`,
    `--fsize=${PUSH_LIMITS.unpackedMaxBytes}`,
    `--nofile=${FILES_MAX}`,
    '--core=0',
  ];
  return spawnSync(limits[0] ?? '', [...limits.slice(1), 'true'], { env: environment }).status === 0 ? limits : [];
}

/** Ends a process and what it has started, which are a group of their own: asked first, so that git removes what it has received. */
export function endGroup({ pid, exitCode, signalCode }: GitProcess): void {
  if (pid === undefined || exitCode !== null || signalCode !== null) return;
  const signal = (name: NodeJS.Signals): void => {
    try {
      process.kill(-pid, name);
    } catch {
      // It has ended by itself.
    }
  };
  signal('SIGTERM');
  setTimeout(() => signal('SIGKILL'), KILL_AFTER_MS).unref();
}
const KILL_AFTER_MS = 3_000;

/** Runs git to its end. @throws when it fails, with the last line that it wrote. */
export async function runGit(git: Git, args: readonly string[]): Promise<void> {
  const child = git.start(args);
  child.stdin.end();
  child.stdout.resume();
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = `${said}${text}`.slice(-2_000);
  });
  const code = await ended(child);
  if (code !== 0) throw new Error(`git ${args[0]} ended with ${code}: ${said.trim().split('\n').at(-1) ?? ''}`);
}

/** Exit code, or -1 for a signal. */
export function ended(child: GitProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', code => resolve(code ?? -1));
  });
}
