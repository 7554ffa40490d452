/**
 * Which containers have ended: one stream of the engine's events for all of them, and a look at all of them each time that it begins anew. While the engine is
 * away nothing has ended; a container is gone only where the engine says that it knows none.
 */
import type { ContainerFacts, Engine, KnownContainer } from './engine.ts';
import { EngineAwayError } from './engine.ts';

/** An engine that restarts is back within a second (ours). */
const AGAIN_MIN_MS = 50;
const AGAIN_MAX_MS = 1_000;

/** Null: somebody has removed it, or started it anew by the engine's own means, and how it ended is not known any more. */
export type ContainerEnd = ContainerFacts | null;

export interface Ends {
  /** Resolves when its first process, which has this pid, has ended. */
  of(id: string, pid: number): Promise<ContainerEnd>;
  close(): void;
}

export interface EndsDeps {
  engine: Engine;
  label: string;
  /** All that carry the label, each time that the stream begins: what is not known any more may be cleared away. */
  listed(found: readonly KnownContainer[]): Promise<void>;
}

export function watchEnds({ engine, label, listed }: EndsDeps): Ends {
  const waiting = new Map<string, PromiseWithResolvers<ContainerEnd> & { pid: number }>();
  const closed = new AbortController();
  let isWatching = false;

  const settle = async (id: string): Promise<void> => {
    const waits = waiting.get(id);
    if (waits === undefined) return;
    const facts = await engine.inspect(id);
    if (facts?.isRunning && facts.pid === waits.pid) return;
    waiting.delete(id);
    waits.resolve(facts?.isRunning ? null : facts);
  };
  // An engine that goes away meanwhile is asked again when the stream begins anew.
  const settleIfThere = (id: string): void =>
    void settle(id).catch((error: unknown) => {
      if (!(error instanceof EngineAwayError)) waiting.get(id)?.reject(error);
    });
  const lookAtAll = async (): Promise<void> => {
    await Promise.all([...waiting.keys()].map(settle));
    await listed(await engine.list(label));
  };
  const watch = async (): Promise<void> => {
    for (let failures = 0; !closed.signal.aborted; failures++) {
      await engine
        .events(
          label,
          {
            connected: () => {
              failures = 0;
              lookAtAll().catch(() => undefined); // Away again: the stream will tell.
            },
            event: ({ id }) => settleIfThere(id),
          },
          closed.signal,
        )
        .catch(() => undefined); // Away, or not in its senses yet: tried again.
      await pause(Math.min(AGAIN_MAX_MS, AGAIN_MIN_MS * 2 ** failures), closed.signal);
    }
  };

  return {
    of: (id, pid) => {
      const waits = waiting.get(id) ?? { ...Promise.withResolvers<ContainerEnd>(), pid };
      waiting.set(id, waits);
      if (!isWatching) void watch();
      isWatching = true;
      settleIfThere(id);
      return waits.promise;
    },
    close: () => closed.abort(),
  };
}

/** Keeps nobody alive. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, ms);
    timer.unref();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
