/** A client that asks an app at an even pace and keeps a ledger of what became of each request: over connections that are kept and new ones, GET and POST. */
import http from 'node:http';

export interface Failure {
  /** Ms since the load began. */
  atMs: number;
  /** `POST over a new connection`. */
  request: string;
  /** What came instead of a whole, right answer. */
  instead: string;
  /** What was being changed at that moment. */
  during: string;
}

export interface Load {
  /** What is being changed from now on. */
  during(change: string): void;
  /** Asks no more, waits for every answer. */
  stop(): Promise<Ledger>;
}

export interface Ledger {
  asked: number;
  failures: Failure[];
  /** Of the answers, ms: the slowest, and the one that 99 of 100 are faster than. */
  slowestMs: number;
  p99Ms: number;
  /** How many waited for longer than a second, by what was being changed when they began. */
  slow: Record<string, number>;
}

/** Held requests wait for their app's start (60 s). */
const TIMEOUT_MS = 65_000;
/** One in so many takes the app as long as `/slow` does: it is under way while its copy is taken away. */
const SLOW_EACH = 40;
/** Longer than the app itself ever takes. */
const SLOW_MS = 1_000;

export function startLoad({ port, host, perSecond }: { port: number; host: string; perSecond: number }): Load {
  const kept = new http.Agent({ keepAlive: true, maxSockets: 64 });
  const failures: Failure[] = [];
  const times: number[] = [];
  const slow: Record<string, number> = {};
  const open = new Set<Promise<void>>();
  const began = performance.now();
  let asked = 0;
  let change = 'nothing';

  const ask = (id: number): Promise<void> => {
    const method = id % 2 === 0 ? 'GET' : 'POST';
    const isKept = id % 4 < 2;
    const body = method === 'POST' ? `body-of-${id}` : '';
    const sentAt = performance.now();
    const during = change;
    const fail = (instead: string): void => {
      const request = `${method} over a ${isKept ? 'kept' : 'new'} connection`;
      failures.push({ atMs: Math.round(sentAt - began), request, instead, during: `${during}, then ${change}` });
    };
    return new Promise(resolve => {
      const request = http.request(
        {
          host: '127.0.0.1',
          port,
          method,
          path: id % SLOW_EACH === 0 ? '/slow' : '/',
          headers: { host, 'x-id': String(id), 'content-length': body.length },
          agent: isKept ? kept : false,
          timeout: TIMEOUT_MS,
        },
        response => {
          let text = '';
          response.on('data', chunk => {
            text += String(chunk);
          });
          response.on('close', () => {
            const tookMs = performance.now() - sentAt;
            times.push(tookMs);
            if (tookMs > SLOW_MS) slow[during] = (slow[during] ?? 0) + 1;
            const isRight = response.complete && response.statusCode === 200 && isEcho(text, { id, body });
            if (!isRight) fail(`${response.statusCode} ${String(response.headers['x-cf-routererror'] ?? '')} ${text}`);
            resolve();
          });
        },
      );
      request.on('timeout', () => request.destroy(new Error('no answer in time')));
      request.on('error', error => {
        fail(
          `${(error as NodeJS.ErrnoException).code ?? ''} ${error.message}${request.reusedSocket ? ' (reused)' : ''}`,
        );
        resolve();
      });
      request.end(body);
    });
  };

  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - began) / 1_000) * perSecond);
    while (asked < due) {
      const one = ask(asked++).finally(() => open.delete(one));
      open.add(one);
    }
  }, 5);
  return {
    during: name => {
      change = name;
    },
    stop: async () => {
      clearInterval(timer);
      await Promise.all(open);
      kept.destroy();
      times.sort((a, b) => a - b);
      const at = (share: number): number => Math.round(times[Math.floor((times.length - 1) * share)] ?? 0);
      return { asked, failures, slowestMs: at(1), p99Ms: at(0.99), slow };
    },
  };
}

/** The app says which request it answers, and what it was sent. */
function isEcho(text: string, sent: { id: number; body: string }): boolean {
  try {
    const { id, body } = JSON.parse(text) as { id: string; body: string };
    return id === String(sent.id) && body === sent.body;
  } catch {
    return false; // Not the app's answer.
  }
}
