/**
 * The log of builds. Nobody has asked for one that was staged ahead, so its lines lie under its own guid, where nobody who reads an app's log meets them. When
 * `POST /v3/builds` adopts it they go to the app's log, with the time of that moment: readers ask for what came after what they have. One that is never
 * adopted takes them with it.
 */
import type { LogLine } from '@cupola/logs/log-store';
import type { ApiDeps } from '../deps.ts';
import { noLines } from './no-lines.ts';

type Deps = Pick<ApiDeps, 'store' | 'logs' | 'now'>;

export interface BuildLogs {
  /** Lines that a stager has sent, in their order; those of a build that nobody wants any more are dropped. */
  take(buildGuid: string, lines: readonly LogLine[]): Promise<void>;
  /** Its lines so far are the app's: it has been adopted. Of others, and the second time, it does nothing. */
  release(buildGuid: string): Promise<void>;
}

/** All that the budget of one log holds. */
const HELD_LINES_MAX = 1_000_000;

export function createBuildLogs({ store, logs, now }: Deps): BuildLogs {
  /** Of each build one thing at a time: no line may be kept aside while those before it are released. */
  const turns = new Map<string, Promise<void>>();
  async function inTurn(buildGuid: string, work: () => Promise<void>): Promise<void> {
    const turn = (turns.get(buildGuid) ?? Promise.resolve()).then(work, work);
    turns.set(buildGuid, turn);
    try {
      await turn;
    } finally {
      if (turns.get(buildGuid) === turn) turns.delete(buildGuid);
    }
  }
  const find = (guid: string) =>
    store.read
      .selectFrom('builds')
      .select(['app_guid', 'adopted', 'cancelled'])
      .where('guid', '=', guid)
      .executeTakeFirst();

  async function release(buildGuid: string, appGuid: string): Promise<void> {
    // Unread they stay where they are: the next batch of the build releases them.
    const held = await logs.read({ appGuid: buildGuid, limit: HELD_LINES_MAX, descending: false }).catch(noLines);
    if (held.length === 0) return;
    const timestampNs = BigInt(now()) * 1_000_000n;
    await logs.append(held.map(line => ({ ...line, appGuid, timestampNs })));
    await logs.remove(buildGuid);
  }
  return {
    take: (buildGuid, lines) =>
      inTurn(buildGuid, async () => {
        const build = await find(buildGuid);
        if (build === undefined || build.cancelled === 1) return;
        const { app_guid: appGuid, adopted } = build;
        if (adopted === 1) await release(buildGuid, appGuid);
        await logs.append(lines.map(line => ({ ...line, appGuid: adopted === 1 ? appGuid : buildGuid })));
      }),
    release: buildGuid =>
      inTurn(buildGuid, async () => {
        const build = await find(buildGuid);
        if (build?.adopted === 1) await release(buildGuid, build.app_guid);
      }),
  };
}
