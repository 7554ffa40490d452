/** What every declaration of a command needs. */
import { type Command, InvalidArgumentError } from 'commander';
import type { CliContext } from './context.ts';
import { examplesText } from './examples.ts';

export const VERSION = '0.1.0';

type Act = (context: CliContext) => Promise<void>;

/** Runs one command with what it needs, and lets go of it afterwards. */
export async function withContext(json: boolean, act: Act): Promise<void> {
  // Schemas, connections: 50 ms that `--help` has no need of.
  const [{ createContext }, { configFolder, openConfig }] = await Promise.all([
    import('./context.ts'),
    import('./config.ts'),
  ]);
  await using context = createContext({
    config: openConfig(configFolder(process.env)),
    environment: process.env,
    json,
    version: VERSION,
  });
  await act(context);
}

export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) throw new InvalidArgumentError('A whole number is wanted.');
  return value;
}

/** `20,50,80`. */
export function percents(text: string): number[] {
  if (!/^\d+(,\d+)*$/.test(text)) throw new InvalidArgumentError('Percents are wanted: 20,50,80.');
  return text.split(',').map(Number);
}

export function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}

/** A command with `--json`, as they all have it, and with its examples. */
export function command(parent: Command, usage: string, description: string): Command {
  const made = parent
    .command(usage)
    .description(description)
    .option('--json', 'print one JSON object and nothing else on stdout');
  return made.addHelpText('after', () => examplesText(pathOf(made)));
}

/** `push`, `ssh-keys add`. */
export function pathOf(command: Command): string {
  const names: string[] = [];
  for (let at: Command | null = command; at !== null && at.parent !== null; at = at.parent) names.unshift(at.name());
  return names.join(' ');
}
