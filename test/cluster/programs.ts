/** Programs of a cluster as its operator's init system runs them: with settings by environment, and started again when they end where that is asked for. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ROOT } from '../platform.ts';

export interface Program extends AsyncDisposable {
  readonly name: string;
  /** Null while it does not run. */
  pid(): number | null;
  /** How often it was started again because it had ended. */
  restarts(): number;
  kill(signal: NodeJS.Signals): void;
  /** What it has said last, a line each. */
  said(): readonly string[];
  /** Again, with the same settings; resolves once it serves. No error where it runs already. */
  start(): Promise<void>;
  /** By SIGTERM, and resolves when it has ended; it is not started again. */
  stop(): Promise<void>;
}

interface Options {
  name: string;
  program: 'api' | 'scheduler' | 'git';
  environment: Record<string, string>;
  /** Started again when it ends by itself, or is killed. */
  isKept: boolean;
}

/** Of each program. */
const LINES_KEPT = 1_000;
/** As an init system waits before it starts again what has ended. */
const PAUSE_MS = 200;

/** Resolves once it says that it serves. */
export async function startProgram({ name, program, environment, isKept }: Options): Promise<Program> {
  let child: ChildProcess | null = null;
  let said: string[] = [];
  let restarts = 0;
  let isWanted = true;
  /** A SIGKILL is on its way. */
  let ending: Promise<unknown> | null = null;
  let again: NodeJS.Timeout | undefined;

  const launch = (): Promise<void> => {
    const started = spawn(join(ROOT, 'cupola'), ['program', program], {
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    child = started;
    said = [];
    return new Promise<void>((resolve, reject) => {
      createInterface({ input: started.stdout }).on('line', line => {
        if (said.push(line) > LINES_KEPT) said.shift();
        if (line.includes('"ready"')) resolve();
      });
      started.on('exit', (code, signal) => {
        child = null;
        reject(new Error(`${name} ended with ${code ?? signal}: ${said.slice(-5).join('\n')}`));
        if (isWanted && isKept)
          again = setTimeout(() => {
            restarts++;
            launch().catch(() => undefined); // It has ended once more, and is started once more.
          }, PAUSE_MS);
      });
    });
  };
  await launch();

  const stop = async (): Promise<void> => {
    isWanted = false;
    clearTimeout(again);
    if (child === null) return;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
  };
  return {
    name,
    pid: () => child?.pid ?? null,
    restarts: () => restarts,
    kill: signal => {
      if (child !== null && signal === 'SIGKILL') ending = once(child, 'exit');
      child?.kill(signal);
    },
    said: () => said,
    start: async () => {
      isWanted = true;
      await ending;
      clearTimeout(again);
      if (child === null) await launch();
    },
    stop,
    [Symbol.asyncDispose]: async () => {
      isWanted = false;
      clearTimeout(again);
      if (child === null) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}
