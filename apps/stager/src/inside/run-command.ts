/** Runs a program of the build: its output goes live into the staging log, its end is kept for the sentence that explains a failure. */
import { spawn } from 'node:child_process';
import { CommandFailedError } from '@cupola/buildpacks/buildpack';

const TAIL_BYTES = 20 * 1024;
/** After the program's end, output of what it left running is waited for this long only. */
const LEFT_OUTPUT_MS = 1_000;

export interface Surroundings {
  cwd: string;
  environment: Readonly<Record<string, string>>;
  /** Its output is wanted, not shown: kept up to a megabyte. */
  quiet?: boolean;
}

const OUTPUT_MAX_BYTES = 1024 * 1024;

/** @returns what it printed on its output, where that was wanted. @throws CommandFailedError when it cannot be started, or does not end with 0. */
export async function runCommand(
  argv: readonly string[],
  { cwd, environment, quiet = false }: Surroundings,
): Promise<string> {
  const [program = '', ...args] = argv;
  const child = spawn(program, args, {
    cwd,
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own: what it leaves behind is ended with it.
    detached: true,
  });
  let tail = Buffer.alloc(0);
  const take = (chunk: Buffer): void => {
    process.stdout.write(chunk);
    tail = Buffer.concat([tail, chunk]).subarray(-TAIL_BYTES);
  };
  let output = '';
  if (quiet)
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (output.length < OUTPUT_MAX_BYTES) output += text;
    });
  else child.stdout.on('data', take);
  child.stderr.on('data', take);
  const closed = new Promise<void>(resolve => child.once('close', () => resolve()));
  const { code, signal } = await new Promise<{ code: number | null; signal: string | null }>(resolve => {
    child.once('error', error => {
      take(
        Buffer.from(
          `${program}: ${(error as NodeJS.ErrnoException).code === 'ENOENT' ? 'command not found' : error.message}\n`,
        ),
      );
      resolve({ code: 127, signal: null });
    });
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  endGroup(child.pid);
  if (child.pid !== undefined) await Promise.race([closed, pause(LEFT_OUTPUT_MS)]);
  if (code !== 0) throw new CommandFailedError(argv, { code, signal, output: tail.toString('utf8') });
  return output;
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Nothing is left of it.
  }
}

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms).unref());
