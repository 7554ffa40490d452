/** Layers of droplets and toolchains, in and out as streams: their digest is checked while they pass. */
import { DigestMismatchError } from '@cupola/blobs/errors';
import { toolchainRecord } from '@cupola/contract/internal';
import { InvalidRequestError, NotFoundError, UnprocessableError } from '@cupola/model/errors';
import { heldBuild } from './builds.ts';
import { type InternalCall, type InternalReply, neededNumber, readJson } from './call.ts';
import { sendBlob } from './send-blob.ts';

/** A read begins at once, or later from an agent that stood still (ours). */
const READ_URL_MS = 300_000;

/** An agent that asks for it (`direct`) hears where the blob store itself gives it, if it does. */
export async function sendLayer(call: InternalCall): Promise<InternalReply> {
  if (call.query.get('direct') === 'true') {
    const elsewhere = await call.deps.blobs.readUrl(call.params.digest ?? '', READ_URL_MS);
    if (elsewhere !== null) return { elsewhere };
  }
  return sendBlob(call, call.params.digest ?? '', 'Layer');
}

/** Whether a layer is stored, before a stager sends it: nothing is wrong when it is not. */
export async function hasLayer(call: InternalCall): Promise<InternalReply> {
  const isThere = (await call.deps.blobs.stat(call.params.digest ?? '')) !== null;
  return { status: isThere ? 200 : 404 };
}

/** Of a build that is held under this fence (`build`, `fence`), or of a toolchain that no app's code has touched (`toolchain`). */
export async function storeLayer(call: InternalCall): Promise<InternalReply> {
  const { blobs } = call.deps;
  const build = call.query.get('build');
  if (build !== null) await heldBuild(call, build, neededNumber(call, 'fence'));
  else if (call.query.get('toolchain') === null)
    throw new InvalidRequestError("one of the query parameters 'build' and 'toolchain' is needed");
  try {
    await blobs.put(call.request, { expectedDigest: call.params.digest ?? '' });
  } catch (error) {
    if (error instanceof DigestMismatchError) throw new UnprocessableError(error.message);
    throw error;
  }
  return { status: 201 };
}

export async function readToolchain(call: InternalCall): Promise<InternalReply> {
  const { store, blobs } = call.deps;
  const row = await store.read
    .selectFrom('toolchains')
    .selectAll()
    .where('key', '=', call.params.key ?? '')
    .executeTakeFirst();
  if (row === undefined) throw new NotFoundError('Toolchain');
  const record = toolchainRecord.parse({ key: row.key, version: row.version, layer: JSON.parse(row.layer_json) });
  // Set aside as damaged, or swept: it is made anew.
  if ((await blobs.stat(record.layer.digest)) === null) throw new NotFoundError('Toolchain');
  return { status: 200, json: record };
}

/**
 * The first one stands as long as its layer is there: apps of everybody are staged with it, and no stager may put another in its place.
 */
export async function storeToolchain(call: InternalCall): Promise<InternalReply> {
  const { store, blobs } = call.deps;
  const record = await readJson(call, toolchainRecord);
  if (record.key !== call.params.key) throw new InvalidRequestError('the key of the path is not that of the body');
  if ((await blobs.stat(record.layer.digest)) === null)
    throw new UnprocessableError('The layer of this toolchain has not been stored');
  const known = await store.read
    .selectFrom('toolchains')
    .select('layer_json')
    .where('key', '=', record.key)
    .executeTakeFirst();
  if (known !== undefined) {
    const { digest } = toolchainRecord.shape.layer.parse(JSON.parse(known.layer_json));
    if ((await blobs.stat(digest)) !== null) return { status: 204 };
  }
  await store.mutate(async ({ db, now }) => {
    const row = { version: record.version, layer_json: JSON.stringify(record.layer) };
    await db
      .insertInto('toolchains')
      .values({ key: record.key, created_at: now, ...row })
      // Only in the place of the one that was looked at: of two that come at once, the first stands.
      .onConflict(conflict =>
        conflict
          .column('key')
          .doUpdateSet(row)
          .where('toolchains.layer_json', '=', known?.layer_json ?? ''),
      )
      .execute();
  });
  return { status: 204 };
}
