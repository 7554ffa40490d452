/** A program from its settings to its end: SIGTERM and SIGINT drain it; a second one ends it at once. */
import { type Logger, pino } from 'pino';
import { z } from 'zod';
import { readSettings, SettingsError } from './settings.ts';

/** What every program takes. */
export const commonSettings = {
  CUPOLA_LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
};

/** Settings that cannot be used. */
const EXIT_SETTINGS = 2;

/**
 * Never returns before the program ends. `start` resolves when it serves; what it answers is disposed at the end. One line `{"ready":...}` on stdout tells
 * who waits for it, with what `ready` says.
 */
export async function runProgram<
  Schema extends z.ZodObject<{ CUPOLA_LOG_LEVEL: (typeof commonSettings)['CUPOLA_LOG_LEVEL'] }>,
>(
  name: string,
  schema: Schema,
  start: (settings: z.output<Schema>, log: Logger) => Promise<AsyncDisposable & { ready: unknown }>,
): Promise<void> {
  let settings: z.output<Schema>;
  try {
    settings = readSettings(schema, process.env);
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    console.error(`The settings of ${name} cannot be used:\n${error.message}`);
    process.exit(EXIT_SETTINGS);
  }
  const log = pino({ name, level: (settings as { CUPOLA_LOG_LEVEL: string }).CUPOLA_LOG_LEVEL });
  const running = await start(settings, log).catch((error: unknown) => {
    log.fatal({ err: error }, `${name} could not be started`);
    process.exit(1);
  });
  let isEnding = false;
  const end = (why: string): void => {
    if (isEnding) process.exit(1);
    isEnding = true;
    log.info({ why }, `${name} drains and ends`);
    running[Symbol.asyncDispose]().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ err: error }, `${name} did not end in order`);
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', () => end('SIGTERM'));
  process.on('SIGINT', () => end('SIGINT'));
  log.info({ ready: running.ready }, `${name} serves`);
}
