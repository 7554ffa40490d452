/** The phases of a push, each with its seconds: a live list on a terminal, plain lines elsewhere, nothing with `--json`. */
import type { Phase } from '@cupola/push/push-app';
import { seconds } from '@cupola/push/text';
import { Listr } from 'listr2';

/** Runs them one after another; the first that throws ends it. Returns the ms that each took. */
export async function runPhases(
  phases: readonly Phase[],
  { json, isTerminal, monotonic }: { json: boolean; isTerminal: boolean; monotonic(): number },
): Promise<number[]> {
  const tookMs: number[] = [];
  let failure: { error: unknown } | null = null;
  const tasks = phases.map(phase => ({
    title: phase.title,
    task: async (_: unknown, task: { output: string; title: string }) => {
      const startedMs = monotonic();
      const text = await phase
        .run(line => {
          task.output = line;
        })
        .catch((error: unknown) => {
          failure = { error };
          throw new Error('see below'); // The renderer prints it; what happened is said once, by main.
        });
      const ms = monotonic() - startedMs;
      tookMs.push(ms);
      task.title = `${text} (${seconds(ms)})`;
    },
    rendererOptions: { outputBar: OUTPUT_LINES, persistentOutput: false },
  }));
  const renderer = json ? 'silent' : isTerminal ? 'default' : 'simple';
  const showCursor = (): boolean => renderer === 'default' && process.stdout.write(CURSOR_SHOW);
  process.once('exit', showCursor);
  try {
    await new Listr(tasks, {
      renderer,
      fallbackRenderer: renderer,
      // Ctrl-C is for who runs the phases: Listr would end the process there and then, with 127.
      registerSignalListeners: false,
      rendererOptions: { showErrorMessage: false, collapseErrors: false },
    } as ConstructorParameters<typeof Listr>[1]).run();
  } catch (error) {
    throw (failure as { error: unknown } | null)?.error ?? error;
  } finally {
    process.off('exit', showCursor);
  }
  return tookMs;
}

/** The live list hides it, and shows it again when it is over. */
const CURSOR_SHOW = '\u001b[?25h';
/** As many of the newest lines as a terminal shows below a phase while it runs. */
const OUTPUT_LINES = 12;
