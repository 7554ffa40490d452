/**
 * An upload becomes a package: one pack, one fsync, one transaction (foundations.md 10). What was sent and what was matched are put together under the same
 * rules; a refusal names the entry and the rule, makes the package FAILED, and leaves nothing behind. Staging begins at once, before anyone asks for it.
 */
import { hash, randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type BasePack, BaseUnusableError } from '@cupola/archive/zip-base';
import { assemblePack, type MatchedEntry, MatchLostError, type Pack } from '@cupola/archive/zip-pack';
import { ArchiveRefusedError, InvalidRequestError, UnprocessableError } from '@cupola/model/errors';
import { PUSH_LIMITS } from '@cupola/model/limits';
import { recordAppEvent } from '../apps/app-events.ts';
import { stageAhead } from '../builds/create-build.ts';
import type { ApiDeps } from '../deps.ts';
import { requireFlag } from '../flags/flags.ts';
import type { ApiRequest } from '../http/endpoint.ts';
import { fileKey, findResources, type ResourceRow } from '../resource-matches/match.ts';
import { rememberFiles } from '../resource-matches/remember.ts';
import { type FoundPackage, type PackageRow, writablePackage } from './find-package.ts';
import { requireSpace, whenFull } from './free-space.ts';
import { parseBase, type Received, receiveUpload } from './receive-upload.ts';

const ONLY_ONCE = 'Bits may be uploaded only once. Create a new package to upload different bits.';
type Wanted = Received['resources'][number];

const MODE_DEFAULT = 0o644;

export interface UploadedPackage {
  row: PackageRow;
  /**
   * sha-256 over the SHA-1s, in hex, of the non-empty files of the zip, in its order, as they were when they came. A client that has looked at its files
   * before it made the zip knows by it that none has changed between.
   */
  sentChecksum: string;
}

/** @throws InvalidRequestError, ArchiveRefusedError, UnprocessableError, UnavailableError: each says what to do. */
export async function uploadPackage(deps: ApiDeps, request: ApiRequest): Promise<UploadedPackage> {
  const found = await awaitingPackage(deps, request);
  await using received = await receiveUpload(deps, request);
  if (received.zip === null && received.resources.length === 0)
    throw new UnprocessableError('Upload must include either resources or bits');
  return await makePackage(deps, request, { found, received, base: null });
}

/** As `uploadPackage`, of what differs from an earlier package of the app: 422 where that one cannot be started from, and all has to be sent or matched. */
export async function uploadChanges(deps: ApiDeps, request: ApiRequest): Promise<UploadedPackage> {
  const found = await awaitingPackage(deps, request);
  await using received = await receiveUpload(deps, request);
  const base = await findBase(deps, found, received);
  return await makePackage(deps, request, { found, received, base });
}

async function awaitingPackage(deps: ApiDeps, request: ApiRequest): Promise<FoundPackage> {
  const found = await writablePackage(deps.store.read, request.actor, request.params.guid ?? '');
  await requireFlag(deps.store.read, request.actor, 'app_bits_upload');
  requireAwaiting(found.row);
  return found;
}

const UNFIT = 'Upload all files of this package instead.';

/** Of the same app only: who may write to this package may read that one. */
async function findBase({ store, blobs }: ApiDeps, { app }: FoundPackage, { base }: Received): Promise<BasePack> {
  const { guid, checksum, without } = parseBase(base);
  const row = await store.read
    .selectFrom('packages')
    .select(['digest', 'size_bytes'])
    .where('guid', '=', guid)
    .where('app_guid', '=', app.guid)
    .where('state', '=', 'READY')
    .where('digest', '=', checksum)
    .executeTakeFirst();
  const file = row === undefined ? null : await blobs.localFile(checksum);
  if (row === undefined || file === null)
    throw new UnprocessableError(`The app has no READY package ${guid} with that checksum to start from. ${UNFIT}`);
  await requireSpace({ blobs }, row.size_bytes ?? 0);
  return { file, digest: checksum, without: new Set(without) };
}

interface Parts {
  found: FoundPackage;
  received: Received;
  base: BasePack | null;
}

async function makePackage(deps: ApiDeps, request: ApiRequest, parts: Parts): Promise<UploadedPackage> {
  const { guid } = parts.found.row;
  const target = join(deps.config.uploadFolder, randomUUID());
  try {
    const pack = await packFiles(deps, request, { ...parts, target });
    await deps.blobs.adopt(target, { digest: pack.digest, sizeBytes: pack.sizeBytes });
    const organizationGuid = parts.found.app.organization_guid;
    const sent = pack.files.filter(({ isNew }) => isNew);
    // Together: one fsync for both, and of many new files the build need not wait for the last.
    const [row] = await Promise.all([
      keep(deps, request, { guid, pack }),
      rememberFiles(deps.store, { organizationGuid, pack, files: sent }),
    ]);
    rememberLater(deps, { organizationGuid, pack, base: parts.base });
    return { row, sentChecksum: hash('sha256', sent.map(({ sha1 }) => sha1).join('')) };
  } catch (error) {
    if (error instanceof ArchiveRefusedError) await fail(deps, guid, error.message);
    throw whenFull(error);
  } finally {
    await rm(target, { force: true });
  }
}

/** What was matched is known already; that it lies in a newer pack now is nothing to wait for. */
function rememberLater(
  { store, log, fileMover }: ApiDeps,
  { organizationGuid, pack, base }: { organizationGuid: string; pack: Pack; base: BasePack | null },
): void {
  if (base !== null) fileMover.later({ organizationGuid, from: base.digest, to: pack.digest, moves: pack.moves });
  const matched = pack.files.filter(({ isNew }) => !isNew);
  rememberFiles(store, { organizationGuid, pack, files: matched }).catch((error: unknown) =>
    log.warn({ err: error }, 'the next push will copy matched files from an older pack'),
  );
}

/** A READY one may be sent again: a client whose answer was lost sends the same bits, and those are no change. */
function requireAwaiting({ type, state }: PackageRow): void {
  if (type !== 'bits') throw new UnprocessableError('Package type must be bits.');
  if (state !== 'AWAITING_UPLOAD' && state !== 'READY') throw new UnprocessableError(ONLY_ONCE);
}

async function packFiles(
  deps: ApiDeps,
  { actor }: ApiRequest,
  { found, received, base, target }: Parts & { target: string },
): Promise<Pack> {
  const wanted = received.resources.filter(({ size_in_bytes }) => size_in_bytes > 0);
  const known = await findResources(deps.store.read, actor, { wanted, preferred: found.app.organization_guid });
  const packOf = await openPacks(deps, known.values());
  const matched = wanted.map((one): MatchedEntry => {
    const row = known.get(fileKey(one));
    if (row === undefined)
      throw new InvalidRequestError(
        `The file "${one.path}" was said to be here already, but it is not. Push again: it will be sent.`,
        'AppBitsUploadInvalid',
      );
    return matchedEntry(one, row, packOf(row));
  });
  const unpackedMaxBytes = await unpackedMax(deps, found.app.guid);
  try {
    return await assemblePack({ base, upload: received.zip, matched, target, unpackedMaxBytes });
  } catch (error) {
    if (error instanceof BaseUnusableError && base !== null) {
      if (error.isDamaged) await forgetPack(deps, base.digest);
      throw new UnprocessableError(`${error.message} ${UNFIT}`);
    }
    if (!(error instanceof MatchLostError)) throw error;
    await forgetPack(deps, error.digest);
    throw new InvalidRequestError(error.message, 'AppBitsUploadInvalid');
  }
}

/** What its largest process may keep on disk, or the platform's own limit: it would not start with more. */
async function unpackedMax({ store }: ApiDeps, appGuid: string): Promise<number> {
  const { mb } = await store.read
    .selectFrom('processes')
    .select(eb => eb.fn.max('disk_mb').as('mb'))
    .where('app_guid', '=', appGuid)
    .executeTakeFirstOrThrow();
  return mb === null ? PUSH_LIMITS.unpackedMaxBytes : Math.min(PUSH_LIMITS.unpackedMaxBytes, Number(mb) * 1024 * 1024);
}

/** A pack that is gone or damaged is offered to nobody again. */
async function forgetPack({ store, log }: ApiDeps, digest: string): Promise<void> {
  log.error({ digest }, 'a pack is gone or damaged; its files have to be sent again');
  await store.note(({ db }) => db.deleteFrom('resources').where('blob_digest', '=', digest).execute());
}

/** Where the packs lie that have these files. @throws InvalidRequestError when one is gone: it is offered to nobody again. */
async function openPacks(
  deps: ApiDeps,
  rows: Iterable<ResourceRow>,
): Promise<(row: ResourceRow) => MatchedEntry['pack']> {
  const packs = new Map<string, MatchedEntry['pack']>();
  for (const digest of new Set(Array.from(rows, row => row.blob_digest))) {
    const file = await deps.blobs.localFile(digest);
    if (file === null) {
      await forgetPack(deps, digest);
      throw new InvalidRequestError(
        'A file was matched, but what is kept of it is gone. Push again: it will be sent.',
        'AppBitsUploadInvalid',
      );
    }
    packs.set(digest, { file, digest });
  }
  return ({ blob_digest }) => packs.get(blob_digest) as MatchedEntry['pack'];
}

function matchedEntry({ path, mode }: Wanted, row: ResourceRow, pack: MatchedEntry['pack']): MatchedEntry {
  return {
    path,
    kind: 'file',
    mode: modeOf(mode),
    pack,
    dataOffset: row.data_offset,
    compressedBytes: row.compressed_bytes,
    method: row.method,
    sizeBytes: row.size_bytes,
    crc32: row.crc32,
    sha1: row.sha1,
    sha256: row.sha256,
  };
}

function modeOf(text: string | undefined): number {
  const mode = text === undefined ? MODE_DEFAULT : Number.parseInt(text, 8) & 0o777;
  return mode === 0 ? MODE_DEFAULT : mode;
}

/** The package is READY and its build begins, or neither. */
async function keep(
  deps: ApiDeps,
  { actor }: ApiRequest,
  { guid, pack }: { guid: string; pack: Pack },
): Promise<PackageRow> {
  return deps.store.mutate(async mutation => {
    const { db, now, changed } = mutation;
    const { row, app } = await writablePackage(db, actor, guid);
    if (row.state === 'READY' && row.digest === pack.digest) return row;
    if (row.state !== 'AWAITING_UPLOAD') throw new UnprocessableError(ONLY_ONCE);
    const ready = {
      state: 'READY' as const,
      digest: pack.digest,
      size_bytes: pack.sizeBytes,
      error: null,
      updated_at: now,
    };
    await db.updateTable('packages').set(ready).where('guid', '=', guid).execute();
    changed('package', guid, { organizationGuid: app.organization_guid, spaceGuid: app.space_guid });
    await recordAppEvent(mutation, { actor, app, type: 'package.upload', data: { package_guid: guid } });
    await stageAhead(mutation, deps, { app, packageGuid: guid, actor });
    return { ...row, ...ready };
  });
}

async function fail({ store }: ApiDeps, guid: string, error: string): Promise<void> {
  await store.mutate(async ({ db, now, changed }) => {
    await db
      .updateTable('packages')
      .set({ state: 'FAILED', error, updated_at: now })
      .where('guid', '=', guid)
      .where('state', '=', 'AWAITING_UPLOAD')
      .execute();
    changed('package', guid);
  });
}
