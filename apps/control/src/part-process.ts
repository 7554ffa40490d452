/**
 * What every part of the platform does as a process: it says `{"ready":...}` on fd 3 once it serves, ends when its stdin closes (its supervisor has ended, or
 * wants it to), and takes orders as lines on stdin. Ends in order: what it started is disposed, newest first.
 */
import { closeSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { collectAtRest } from '@cupola/process/collect-at-rest';
import type { Logger } from 'pino';

export interface RunningPart extends AsyncDisposable {
  /** What the supervisor is told. */
  facts: Record<string, unknown>;
  /** An order of the supervisor. */
  order?(line: string): Promise<void>;
  /** Resolves, with the reason, when it has no work any more though nobody asked it to end. */
  over?: Promise<string>;
}

const READY_FD = 3;

/** A start that trying again will not mend: its words are for the user of `up`. */
export class RefusedStartError extends Error {
  override readonly name = 'RefusedStartError';
}

/** Runs until stdin closes or a signal comes; then disposes and exits. A start that fails exits with 1: the supervisor tries again, or says why not. */
export async function runPart(log: Logger, start: () => Promise<RunningPart>): Promise<void> {
  const part = await start().catch((error: unknown) => {
    log.fatal({ err: error }, 'this part could not be started');
    if (error instanceof RefusedStartError) writeSync(READY_FD, `${JSON.stringify({ refused: error.message })}\n`);
    process.exit(1);
  });
  let ending = false;
  const end = (why: string): void => {
    if (ending) return;
    ending = true;
    log.info({ why }, 'this part ends');
    part[Symbol.asyncDispose]().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ err: error }, 'this part did not end in order');
        process.exit(1);
      },
    );
  };
  void part.over?.then(end);
  process.on('SIGTERM', () => end('SIGTERM'));
  process.on('SIGINT', () => end('SIGINT'));
  const orders = createInterface({ input: process.stdin });
  let last: Promise<void> = Promise.resolve();
  orders.on('line', line => {
    last = last
      .then(async () => part.order?.(line))
      .catch((error: unknown) => log.error({ err: error, line }, 'an order failed'));
  });
  // Orders that came before the end are carried out first: `stop-all`, then the closed pipe.
  orders.on('close', () => void last.then(() => end('the supervisor has closed the pipe')));
  process.stdin.on('error', () => end('the pipe of the supervisor broke'));
  collectAtRest();
  writeSync(READY_FD, `${JSON.stringify({ ready: part.facts })}\n`);
  closeSync(READY_FD);
}
