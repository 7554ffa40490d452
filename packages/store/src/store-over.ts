import type { Kysely } from 'kysely';
import { changesAfter, newEpoch, readCursor, type Subscribers } from './feed.ts';
import type { GroupCommit } from './group-commit.ts';
import type { Database } from './schema.ts';
import type { Store } from './store.ts';

interface Pieces extends Pick<Subscribers, 'subscribe'> {
  read: Kysely<Database>;
  commits: GroupCommit;
  /** Ends what the engine holds, once nothing writes any more. */
  end(): Promise<void>;
}

/** The store that these pieces of an engine make. */
export function storeOver({ read, commits, subscribe, end }: Pieces): Store {
  const close = async (): Promise<void> => {
    await commits.close();
    await end();
  };
  let closing: Promise<void> | undefined;
  return {
    read,
    mutate: work => commits.run(work, { feeds: true }),
    note: work => commits.run(work, { feeds: false }),
    cursor: () => readCursor(read),
    changesAfter: (after, limit) => changesAfter(read, after, limit),
    subscribe,
    newEpoch: () => newEpoch(commits),
    close: () => (closing ??= close()),
  };
}
