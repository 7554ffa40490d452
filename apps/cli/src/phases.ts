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
  try {
    await new Listr(tasks, {
      renderer,
      fallbackRenderer: renderer,
      rendererOptions: { showErrorMessage: false, collapseErrors: false },
    } as ConstructorParameters<typeof Listr>[1]).run();
  } catch (error) {
    throw (failure as { error: unknown } | null)?.error ?? error;
  }
  return tookMs;
}

/** As many of the newest lines as a terminal shows below a phase while it runs. */
const OUTPUT_LINES = 12;
