/** A blob for a part that will run or stage it: checked on its way. One that is missing or damaged takes what stands on it out of use, with the reason. */
import { BlobMissingError, DigestMismatchError } from '@cupola/blobs/errors';
import { NotFoundError } from '@cupola/model/errors';
import type { Mutation } from '@cupola/store/store';
import type { ApiDeps } from '../deps.ts';
import type { InternalCall, InternalReply } from './call.ts';

/** @throws NotFoundError when there is no such blob (any more). */
export async function sendBlob(call: InternalCall, digest: string, resource: string): Promise<InternalReply> {
  const { deps } = call;
  const info = await deps.blobs.stat(digest);
  if (info === null) {
    await reportDamage(deps, digest, new BlobMissingError(digest));
    throw new NotFoundError(resource);
  }
  const stream = await deps.blobs.openVerified(digest);
  stream.once('error', error => {
    if (!(error instanceof DigestMismatchError)) return;
    deps.log.error({ err: error }, 'a blob is damaged; it was set aside');
    reportDamage(deps, digest, error).catch((cause: unknown) =>
      deps.log.error(
        { err: cause },
        'what stands on a damaged blob could not be marked; the next reader finds it again',
      ),
    );
  });
  return { stream, sizeBytes: info.sizeBytes };
}

/** Packages and droplets of that blob become FAILED; a toolchain is forgotten, and made again by the build that needs it next (failure-rules.md 8). */
async function reportDamage({ store }: ApiDeps, digest: string, error: Error): Promise<void> {
  if (!/^[0-9a-f]{64}$/.test(digest)) return;
  const text = `Its stored bytes are ${error instanceof BlobMissingError ? 'missing' : 'damaged'}. Push again.`;
  await store.mutate(async mutation => {
    await failPackages(mutation, digest, text);
    await failDroplets(mutation, digest, text);
    await mutation.db.deleteFrom('toolchains').where('layer_json', 'like', `%"${digest}"%`).execute();
    await mutation.db.deleteFrom('resources').where('blob_digest', '=', digest).execute();
  });
}

async function failPackages({ db, now, changed }: Mutation, digest: string, error: string): Promise<void> {
  const failed = await db
    .updateTable('packages')
    .set({ state: 'FAILED', error, updated_at: now })
    .where('digest', '=', digest)
    .where('state', '=', 'READY')
    .returning('guid')
    .execute();
  for (const { guid } of failed) changed('package', guid);
  if (failed.length === 0) return;
  const builds = await db
    .updateTable('builds')
    .set({ state: 'FAILED', error_title: 'StagingError', error, finished_at: now, updated_at: now })
    .where(
      'package_guid',
      'in',
      failed.map(({ guid }) => guid),
    )
    .where('state', '=', 'STAGING')
    .returning('guid')
    .execute();
  for (const { guid } of builds) changed('build', guid);
}

async function failDroplets({ db, now, changed }: Mutation, digest: string, error: string): Promise<void> {
  const failed = await db
    .updateTable('droplets')
    .set({ state: 'FAILED', error, updated_at: now })
    .where('layers_json', 'like', `%"${digest}"%`)
    .where('state', '=', 'STAGED')
    .returning('guid')
    .execute();
  for (const { guid } of failed) changed('droplet', guid);
}
