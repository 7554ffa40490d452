/** Rows of stacks: the machine's own is always there; one that a cell offers becomes known with the cell's registration. */
import { randomUUID } from 'node:crypto';
import type { CellRegistration } from '@cupola/contract/internal';
import { HOST_STACK } from '@cupola/model/host-stack';
import type { Mutation } from '@cupola/store/store';

/** The same everywhere: a name for a name. */
const HOST_GUID = '68b0f6d8-6c4f-4b42-9f1c-3a5b0e6d1a01';
const HOST_DESCRIPTION = 'The system of the machine that runs the app, read-only';

export async function seedStack(mutation: Mutation): Promise<void> {
  await know(mutation, { guid: HOST_GUID, name: HOST_STACK, description: HOST_DESCRIPTION });
}

/** What people have made of a row (its state, its labels) stays; what the stack calls itself is the cell's to say. */
export async function knowStacks(mutation: Mutation, offered: CellRegistration['stacks']): Promise<void> {
  for (const { name, description } of offered)
    if (name !== HOST_STACK) await know(mutation, { guid: randomUUID(), name, description: description ?? '' });
}

async function know(
  { db, now }: Mutation,
  { guid, name, description }: { guid: string; name: string; description: string },
): Promise<void> {
  const known = await db.selectFrom('stacks').selectAll().where('name', '=', name).executeTakeFirst();
  if (known?.description === description) return;
  if (known !== undefined)
    await db.updateTable('stacks').set({ description, updated_at: now }).where('guid', '=', known.guid).execute();
  else
    await db
      .insertInto('stacks')
      .values({ guid, created_at: now, updated_at: now, name, description, state: 'ACTIVE', state_reason: null })
      .execute();
}
