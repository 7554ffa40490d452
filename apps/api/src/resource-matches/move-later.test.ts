import { randomUUID } from 'node:crypto';
import { anOrganization } from '@cupola/store/fixtures';
import type { Store } from '@cupola/store/store';
import { openTestStore } from '@cupola/store/test-store';
import { pino } from 'pino';
import { expect, test, vi } from 'vitest';
import { createFileMover } from './move-later.ts';
import { rememberFiles } from './remember.ts';

const log = pino({ level: 'silent' });

async function remember(store: Store, organizationGuid: string, places: Record<string, number>): Promise<void> {
  const files = Object.entries(places).map(([sha1, dataOffset]) => ({
    ...{ path: sha1, isNew: true, sha1, sha256: sha1, sizeBytes: 1, compressedBytes: 1, method: 0, crc32: 0 },
    dataOffset,
  }));
  await rememberFiles(store, { organizationGuid, pack: { digest: 'one' }, files });
}

async function placesIn(store: Store): Promise<string[]> {
  const rows = await store.read.selectFrom('resources').selectAll().orderBy('sha1').execute();
  return rows.map(({ sha1, blob_digest, data_offset }) => `${sha1} ${blob_digest} ${data_offset}`);
}

test('pushes that follow one another move each row once, to the newest pack', async () => {
  await using opened = await openTestStore();
  const { store } = opened;
  const { guid: organizationGuid } = await anOrganization(store, { guid: randomUUID() });
  await remember(store, organizationGuid, { a: 0, b: 10, c: 20 });
  const update = vi.spyOn(store, 'note');
  await using mover = createFileMover({ store, log }, 0);
  mover.later({ organizationGuid, from: 'one', to: 'two', moves: [{ from: 10, until: 30, shift: 10 }] });
  mover.later({ organizationGuid, from: 'two', to: 'three', moves: [{ from: 10, until: 30, shift: 10 }] });
  await expect.poll(() => placesIn(store)).toEqual(['a one 0', 'b one 10', 'c three 0']);
  expect(update).toHaveBeenCalledTimes(1);
});

test('what waits when the API ends is dropped: the rows stay right', async () => {
  await using opened = await openTestStore();
  const { store } = opened;
  const { guid: organizationGuid } = await anOrganization(store, { guid: randomUUID() });
  await remember(store, organizationGuid, { a: 0 });
  const mover = createFileMover({ store, log }, 60_000);
  mover.later({ organizationGuid, from: 'one', to: 'two', moves: [{ from: 0, until: 10, shift: 0 }] });
  await mover[Symbol.asyncDispose]();
  expect(await placesIn(store)).toEqual(['a one 0']);
});
