/** The cluster's own certificate authority: in the store, its key sealed, so that every API of a platform has the same one. Made when it is first asked for. */
import type { Pair } from '@cupola/certificates/certificates';
import type { ApiDeps } from '../deps.ts';

type Deps = Pick<ApiDeps, 'store' | 'sealer' | 'now'>;

const NAME = 'members';

export async function openAuthority({ store, sealer, now }: Deps): Promise<Pair> {
  const row = (await find(store)) ?? (await make({ store, sealer, now }));
  return { cert: row.certificate, key: sealer.open(row.key_sealed) };
}

function find({ read }: Deps['store']) {
  return read
    .selectFrom('cluster_authority')
    .select(['certificate', 'key_sealed'])
    .where('name', '=', NAME)
    .executeTakeFirst();
}

/** Two APIs may begin at the same time: both take the one that was first. */
async function make({ store, sealer, now }: Deps) {
  const { makeAuthority } = await import('@cupola/certificates/members/authority');
  const { cert, key } = await makeAuthority(now());
  const row = { name: NAME, certificate: cert, key_sealed: sealer.seal(key), created_at: now() };
  return store.note(async ({ db }) => {
    await db
      .insertInto('cluster_authority')
      .values(row)
      .onConflict(conflict => conflict.doNothing())
      .execute();
    return db
      .selectFrom('cluster_authority')
      .select(['certificate', 'key_sealed'])
      .where('name', '=', NAME)
      .executeTakeFirstOrThrow();
  });
}
