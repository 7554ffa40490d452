/** Who is a member, and who is not any more: a removed one is refused at its next call, whatever its certificate says. */
import { NotFoundError } from '@cupola/model/errors';
import type { InternalCall, InternalReply } from '../internal/call.ts';

export async function listMembers({ deps }: InternalCall): Promise<InternalReply> {
  const rows = await deps.store.read.selectFrom('members').selectAll().orderBy('joined_at').orderBy('id').execute();
  const members = rows.map(row => ({
    id: row.id,
    hostName: row.host_name,
    roles: JSON.parse(row.roles_json) as unknown,
    joinedAtMs: row.joined_at,
    renewedAtMs: row.renewed_at,
    removedAtMs: row.removed_at,
  }));
  return { status: 200, json: { members } };
}

/** Its cell, if it has one, is judged by its lease from now on: what ran there is placed elsewhere. */
export async function removeMember({ deps, params }: InternalCall): Promise<InternalReply> {
  const id = params.id ?? '';
  await deps.store.note(async ({ db, now }) => {
    const known = await db.selectFrom('members').select('removed_at').where('id', '=', id).executeTakeFirst();
    if (known === undefined) throw new NotFoundError('Member');
    await db
      .updateTable('members')
      .set({ removed_at: known.removed_at ?? now })
      .where('id', '=', id)
      .execute();
  });
  return { status: 204 };
}
