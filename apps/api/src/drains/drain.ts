/**
 * Log lines of one app on their way to one syslog server. Never waits for it: messages queue up to a bound, beyond it the newest are counted and dropped,
 * as are those that a server refuses (HTTPS); both a failure and a loss are said once they are known. A lost connection is dialled again after 1, 2, 4 ... 60 s, for as long as the drain is bound.
 */
import { type BlockList, isIPv6 } from 'node:net';
import { dial, type Pipe, RefusedMessageError } from './pipes.ts';
import type { Target } from './target.ts';

export interface Drain extends AsyncDisposable {
  /** Queues a message; drops it when the queue is full. */
  send(message: string): void;
  /** Messages that were dropped since the queue was full. */
  readonly lost: number;
}

interface Options {
  target: Target;
  /** Addresses that are allowed though not public. */
  allowed: BlockList;
  /** PEM of CAs beside the well-known ones, for tests and for servers of one's own. */
  ca?: string;
  /** A sentence for the app's log. */
  say(text: string): void;
}

/** CF's drains hold as many. */
const QUEUE_MAX = 10_000;
/** So much is joined to one write, where the way takes more than one message (CF's HTTPS batches are 256 KiB). */
const WRITE_MAX_CHARACTERS = 256 * 1024;
const BACKOFF_FIRST_MS = 1_000;
const BACKOFF_MAX_MS = 60_000;
/** At the end, what is queued on a living connection is still sent for so long. */
const LAST_WRITE_MS = 1_000;

export function openDrain({ target, allowed, ca, say }: Options): Drain {
  let queue: string[] = [];
  let lost = 0;
  let lostSaid = 0;
  let failures = 0;
  let running: Promise<void> | null = null;
  let pipe: Pipe | null = null;
  const ended = new AbortController();

  const deliver = async (): Promise<void> => {
    while (queue.length > 0 && !ended.signal.aborted) {
      let batch: string[] = [];
      try {
        pipe ??= await dial({ target, allowed, ca }, () => {
          pipe = null;
        });
        if (ended.signal.aborted) return pipe.cut();
        batch = nextBatch(queue, pipe.messagesMax);
        await pipe.write(batch);
        queue = queue.slice(batch.length);
        if (failures > 0 || lost > lostSaid) sayBack();
        failures = 0;
      } catch (error) {
        pipe?.cut();
        pipe = null;
        if (ended.signal.aborted) return;
        const isRefused = error instanceof RefusedMessageError;
        if (isRefused) {
          queue = queue.slice(batch.length);
          lost += batch.length;
        }
        if (failures === 0)
          say(
            `log lines ${isRefused ? 'are lost' : 'wait'}: the syslog drain at ${named(target)} fails, ${(error as Error).message}`,
          );
        await pause(Math.min(BACKOFF_FIRST_MS * 2 ** failures, BACKOFF_MAX_MS), ended.signal);
        failures++;
      }
    }
  };
  const sayBack = (): void => {
    const many = lost - lostSaid;
    lostSaid = lost;
    say(
      `the syslog drain at ${named(target)} takes log lines${failures > 0 ? ' again' : ''}; ${many === 0 ? 'none were' : `${many} ${many === 1 ? 'was' : 'were'}`} lost`,
    );
  };
  const wake = (): void => {
    running ??= deliver().finally(() => {
      running = null;
      if (queue.length > 0 && !ended.signal.aborted) wake();
    });
  };
  return {
    send: message => {
      if (ended.signal.aborted || queue.length >= QUEUE_MAX) {
        if (lost === lostSaid) say(`the syslog drain at ${named(target)} is too slow: log lines to it are dropped`);
        lost++;
        return;
      }
      queue.push(message);
      wake();
    },
    get lost() {
      return lost;
    },
    [Symbol.asyncDispose]: async () => {
      if (pipe !== null && running !== null) await Promise.race([running, pause(LAST_WRITE_MS, ended.signal)]);
      ended.abort();
      if (running === null) pipe?.end();
      else pipe?.cut();
    },
  };
}

/** From the front of a queue that has at least one: as many as one write takes. */
function nextBatch(queue: readonly string[], messagesMax: number): string[] {
  let characters = 0;
  const end = queue.slice(0, messagesMax).findIndex(message => {
    characters += message.length;
    return characters > WRITE_MAX_CHARACTERS;
  });
  return queue.slice(0, end === -1 ? messagesMax : Math.max(1, end));
}

function named({ kind, host, port }: Target): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port} (${kind})`;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
