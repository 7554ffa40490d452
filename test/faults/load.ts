/**
 * A client outside that asks an app 200 times a second, and writes down every answer: what failed, and which copy of which index answered when. The app says
 * both in its answer, so nothing that Cupola's rows say is taken for a witness.
 */
import http from 'node:http';

/** By which a copy names itself: index, guid. */
export const STAMPING = `require('node:http').createServer((q, a) => a.end(process.env.CF_INSTANCE_INDEX + ' ' + process.env.CF_INSTANCE_GUID)).listen(Number(process.env.PORT));\n`;

const PER_SECOND = 200;
/** At once: on a machine that is overloaded they would pile up. */
const OPEN_MAX = 400;
/** ms. Longer than anything that is held for a planned change. */
const PATIENCE_MS = 30_000;

export interface Judged {
  asked: number;
  /** Milliseconds after the fault, and what was answered. */
  failed: string[];
  slowestMs: number;
  /** Indexes that another copy took over. */
  moved: number;
  /** ms: the longest time for which two copies of one index answered. */
  overlapMs: number;
}

export interface Load {
  /** Asks these from now on, by turns: routers that an operator's balancer would still use. */
  through(routers: readonly string[]): void;
  /** What came since the last call. */
  judge(since: number): Judged;
  stop(): Promise<void>;
}

interface Seen {
  firstMs: number;
  lastMs: number;
}

/** Through port 8080 of each router's address. */
export function startLoad(host: string, first: readonly string[]): Load {
  let routers = first;
  let [asked, slowestMs] = [0, 0];
  let failed: Array<{ atMs: number; what: string }> = [];
  let copies = new Map<string, Map<string, Seen>>();
  const open = new Set<Promise<void>>();
  let isOver = false;
  let turn = 0;

  async function one(): Promise<void> {
    const router = routers[turn++ % routers.length] ?? '';
    const sentMs = performance.now();
    asked++;
    try {
      const { status, body } = await get(router, host);
      if (status !== 200) throw new Error(`${status} ${body.slice(0, 100).trim()}`);
      const [index = '', guid = ''] = body.split(' ');
      const ofIndex = copies.get(index) ?? new Map<string, Seen>();
      copies.set(index, ofIndex);
      // It has answered at some moment between the two: the latest for its first answer, the earliest for its last.
      const seen = ofIndex.get(guid) ?? { firstMs: performance.now(), lastMs: 0 };
      ofIndex.set(guid, { ...seen, lastMs: Math.max(seen.lastMs, sentMs) });
    } catch (error) {
      failed.push({
        atMs: sentMs,
        what: `${router} ${(error as NodeJS.ErrnoException).code ?? (error as Error).message}`,
      });
    }
    slowestMs = Math.max(slowestMs, performance.now() - sentMs);
  }

  const startedMs = performance.now();
  let begun = 0;
  const tick = setInterval(() => {
    const due = ((performance.now() - startedMs) * PER_SECOND) / 1_000;
    for (; begun < due; begun++) {
      if (open.size >= OPEN_MAX) continue;
      const running = one().finally(() => open.delete(running));
      open.add(running);
    }
  }, 5);
  return {
    through: next => {
      routers = next;
    },
    judge: since => {
      const judged = {
        asked,
        failed: failed.map(({ atMs, what }) => `${Math.round(atMs - since)} ms: ${what}`),
        slowestMs: Math.round(slowestMs),
        moved: [...copies.values()].filter(of => of.size > 1).length,
        overlapMs: Math.max(0, ...[...copies.values()].map(overlap)),
      };
      [asked, slowestMs] = [0, 0];
      failed = [];
      copies = new Map();
      return judged;
    },
    stop: async () => {
      if (isOver) return;
      isOver = true;
      clearInterval(tick);
      await Promise.all(open);
    },
  };
}

function overlap(copies: ReadonlyMap<string, Seen>): number {
  const inOrder = [...copies.values()].toSorted((a, b) => a.firstMs - b.firstMs);
  return Math.round(Math.max(0, ...inOrder.slice(1).map(({ firstMs }, at) => (inOrder[at]?.lastMs ?? 0) - firstMs)));
}

export function get(address: string, host: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const request = http.get({ host: address, port: 8080, headers: { host }, agent: false }, response => {
      let body = '';
      response.on('data', (chunk: Buffer) => {
        body += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      response.on('error', reject);
    });
    request.setTimeout(PATIENCE_MS, () => request.destroy(new Error('nothing was heard')));
    request.on('error', reject);
  });
}
