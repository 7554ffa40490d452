/**
 * One part of the platform: a process in a session of its own that ends when its stdin closes (so when the supervisor dies), says `{"ready":...}` on fd 3
 * when it serves, and is started again when it ends: after 0.2, 0.4, 0.8 ... 10 s, forgotten after 60 s of life.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { SUPERVISOR } from '@cupola/model/limits';
import type { PartLog } from './part-log.ts';

export interface PartCommand {
  argv: string[];
  cwd?: string;
  environment: Record<string, string>;
  /** File descriptors for 4, 5 ...: 0 to 2 are stdin and output, 3 is the ready pipe. */
  passFds: number[];
}

export interface Part {
  readonly name: string;
  /** Null while it is down between two starts. */
  readonly pid: number | null;
  readonly restarts: number;
  /** What it said last is that it cannot be started here: there is no use in waiting for it. */
  readonly isRefused: boolean;
  /** Resolves with what the part said at its newest start; waits through failed starts. */
  ready(): Promise<Record<string, unknown>>;
  /** Starts a fresh process beside the old one (both hold the same listening socket), then lets the old one drain and end. For parts without state of their own. */
  replaceBeside(): Promise<void>;
  /** Lets the process end, then starts a fresh one: for parts of which there can be only one. Connections wait in the listening socket's queue meanwhile. */
  replaceAfter(graceMs: number): Promise<void>;
  /** Writes a line to the part's stdin: `stop-all` to the cell. */
  tell(line: string): void;
  /** No more starts, also of one that is being replaced; closes stdin, and kills what has not ended after `graceMs`. */
  end(graceMs: number): Promise<void>;
}

interface Deps {
  now(): number;
  log: PartLog;
  /** Every start and end, for the supervisor's own log. */
  report(text: string): void;
  /** A process of this part has begun. */
  born(name: string, pid: number): void;
  /** A start that no repetition will mend, in words for the user. */
  refused(text: string): void;
  /** The longest wait before a start. */
  backoffMaxMs: number;
}

/** Starts `name` and keeps it running until `end`. */
export function startPart(name: string, command: () => PartCommand, deps: Deps): Part {
  let child: ChildProcess | null = null;
  let isRefused = false;
  let swapped: Promise<void> = Promise.resolve();
  let ending = false;
  const over = Promise.withResolvers<void>();
  let restarts = 0;
  let failures = 0;
  let timer: NodeJS.Timeout | null = null;
  let ready = Promise.withResolvers<Record<string, unknown>>();

  const launch = (): void => {
    timer = null;
    const startedMs = deps.now();
    child = spawnPart(command(), deps.log, {
      said: ({ ready: facts, refused }) => {
        isRefused = refused !== undefined;
        if (facts !== undefined) ready.resolve(facts);
        if (refused !== undefined) deps.refused(refused);
      },
      ended: (born, how) => {
        if (born !== child) return; // Swapped away: its successor runs.
        child = null;
        if (ending) return;
        ready = renewed(ready);
        restarts++;
        failures = deps.now() - startedMs > SUPERVISOR.resetAfterMs ? 0 : failures + 1;
        const waitMs =
          failures === 0 ? 0 : Math.min(SUPERVISOR.backoffFirstMs * 2 ** (failures - 1), deps.backoffMaxMs);
        deps.report(`${name} ended (${how}); it starts again in ${waitMs / 1000} s`);
        timer = setTimeout(launch, waitMs);
      },
    });
    if (child.pid !== undefined) deps.born(name, child.pid);
  };
  launch();

  return {
    name,
    get pid() {
      return child?.pid ?? null;
    },
    get restarts() {
      return restarts;
    },
    get isRefused() {
      return isRefused;
    },
    ready: async () => {
      for (;;) {
        const current = ready;
        const said = await current.promise;
        if (current === ready) return said;
      }
    },
    replaceBeside: async () => {
      if (ending) return;
      const old = child;
      ready = renewed(ready);
      if (timer !== null) clearTimeout(timer);
      launch();
      await Promise.race([ready.promise, over.promise]);
      (old?.stdin as Writable | null)?.end();
    },
    replaceAfter: async graceMs => {
      if (ending) return;
      if (timer !== null) clearTimeout(timer);
      const old = child;
      child = null; // What ends now is expected: `ended` ignores it.
      ready = renewed(ready);
      if (old !== null) swapped = endProcess(old, graceMs);
      await swapped;
      if (ending) return;
      launch();
      await Promise.race([ready.promise, over.promise]);
    },
    tell: line => {
      child?.stdin?.write(`${line}\n`);
    },
    end: async graceMs => {
      ending = true;
      over.resolve();
      if (timer !== null) clearTimeout(timer);
      await swapped;
      if (child !== null) await endProcess(child, graceMs);
    },
  };
}

/** One process of a part. `ended` comes once, also when it could not be started. */
function spawnPart(
  { argv, cwd, environment, passFds }: PartCommand,
  log: PartLog,
  on: {
    said(line: Said): void;
    ended(born: ChildProcess, how: string): void;
  },
): ChildProcess {
  const [file = '', ...args] = argv;
  const born = spawn(file, args, {
    ...(cwd === undefined ? {} : { cwd }),
    env: environment,
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe', 'pipe', ...passFds],
  });
  for (const stream of [born.stdout, born.stderr]) (stream as Readable).on('data', (chunk: Buffer) => log.write(chunk));
  born.stdin?.on('error', () => undefined); // It has ended: `exit` says so.
  createInterface({ input: born.stdio[3] as Readable }).on('line', line => on.said(parseSaid(line)));
  let over = false;
  const ended = (how: string): void => {
    if (over) return;
    over = true;
    on.ended(born, how);
  };
  born.on('error', error => ended(error.message));
  born.on('exit', (code, signal) => ended(signal ?? `exit ${code}`));
  return born;
}

/** Closes its stdin, which tells a part to end; kills it after `graceMs`. Resolves when it is gone. */
async function endProcess(child: ChildProcess, graceMs: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>(resolve => child.once('exit', () => resolve()));
  child.stdin?.end();
  const killer = setTimeout(() => child.kill('SIGKILL'), graceMs);
  await gone;
  clearTimeout(killer);
}

/** A promise for the next start; who waited on the former one is answered by it too. */
function renewed(old: PromiseWithResolvers<Record<string, unknown>>): PromiseWithResolvers<Record<string, unknown>> {
  const next = Promise.withResolvers<Record<string, unknown>>();
  old.resolve(next.promise);
  return next;
}

interface Said {
  ready?: Record<string, unknown>;
  refused?: string;
}
function parseSaid(line: string): Said {
  try {
    return JSON.parse(line) as Said;
  } catch {
    return {}; // Not ours: a library wrote to fd 3.
  }
}
