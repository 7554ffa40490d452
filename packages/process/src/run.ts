/** A program from its settings to its end: SIGTERM and SIGINT drain it; a second one ends it at once. */
import { type Logger, pino } from 'pino';
import { z } from 'zod';
import { type Health, openHealth, type Readiness } from './health.ts';
import { listenAddress, readSettings, SettingsError } from './settings.ts';

/** What every program takes. */
export const commonSettings = {
  CUPOLA_LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
  /** Where `/healthz`, `/readyz` and `/metrics` are answered; not given: nowhere. */
  CUPOLA_HEALTH_LISTEN: listenAddress.exactOptional(),
};

/** What a program answers once it serves. */
export interface Serving extends AsyncDisposable {
  /** Told to who waits for it. */
  ready: unknown;
  /** Asked at each `/readyz`; not given: ready from here on. */
  readiness?(): Promise<Readiness> | Readiness;
}

/** Settings that cannot be used. */
const EXIT_SETTINGS = 2;

/**
 * Never returns before the program ends. `start` resolves when it serves; what it answers is disposed at the end. One line `{"ready":...}` on stdout tells
 * who waits for it, with what `ready` says.
 */
export async function runProgram<Schema extends z.ZodObject<typeof commonSettings>>(
  name: string,
  schema: Schema,
  start: (settings: z.output<Schema>, log: Logger, health: Health | null) => Promise<Serving>,
): Promise<void> {
  let settings: z.output<Schema>;
  try {
    settings = readSettings(schema, process.env);
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    console.error(`The settings of ${name} cannot be used:\n${error.message}`);
    process.exit(EXIT_SETTINGS);
  }
  const common = settings as z.output<z.ZodObject<typeof commonSettings>>;
  const log = pino({ name, level: common.CUPOLA_LOG_LEVEL });
  const listen = common.CUPOLA_HEALTH_LISTEN;
  const failed = (error: unknown): never => {
    log.fatal({ err: error }, `${name} could not be started`);
    process.exit(1);
  };
  const health = listen === undefined ? null : await openHealth({ listen, log }).catch(failed);
  const running = await start(settings, log, health).catch(failed);
  health?.readyWhen(() => running.readiness?.() ?? { missing: null });
  let isEnding = false;
  const end = (why: string): void => {
    if (isEnding) process.exit(1);
    isEnding = true;
    health?.drain();
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
