/** What every declaration of a command needs. */
import { type Command, InvalidArgumentError } from 'commander';
import { configFolder, openConfig } from './config.ts';
import { type CliContext, createContext } from './context.ts';

export const VERSION = '0.1.0';

type Act = (context: CliContext) => Promise<void>;

/** Runs one command with what it needs, and lets go of it afterwards. */
export async function withContext(json: boolean, act: Act): Promise<void> {
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

export function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

/** A command with `--json`, as they all have it. */
export function command(program: Command, usage: string, description: string): Command {
  return program
    .command(usage)
    .description(description)
    .option('--json', 'print one JSON object and nothing else on stdout');
}
