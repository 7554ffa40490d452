/** Bits of a buildpack: one zip, kept as it is; the stager unpacks it inside its sandbox, under the rules of every archive. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { UnprocessableError } from '@cupola/model/errors';
import { requireAdmin } from '../access/access.ts';
import type { ApiDeps } from '../deps.ts';
import type { ApiRequest } from '../http/endpoint.ts';
import { finishedJob } from '../jobs/jobs.ts';
import { whenFull } from '../packages/free-space.ts';
import { receiveUpload } from '../packages/receive-upload.ts';
import { foundBuildpack, keepBits, requireUploadable } from './change-buildpack.ts';
import type { BuildpackRow } from './ordered.ts';

const ZIP = Buffer.from('PK\x03\x04', 'latin1');

/** @throws UnprocessableError for what is no zip, or a buildpack that takes none. */
export async function uploadBuildpack(
  deps: ApiDeps,
  request: ApiRequest,
): Promise<{ buildpack: BuildpackRow; job: string }> {
  const { actor } = request;
  const guid = request.params.guid ?? '';
  const found = await foundBuildpack(deps.store.read, guid);
  requireAdmin(actor);
  requireUploadable(found);
  await using received = await receiveUpload(deps, request);
  if (received.zip === null)
    throw new UnprocessableError("Uploaded buildpack file is invalid: A buildpack zip file must be uploaded as 'bits'");
  const { digest, sizeBytes, begin } = await look(received.zip);
  const filename = received.filename ?? `${found.name}.zip`;
  if (!begin.equals(ZIP))
    throw new UnprocessableError(
      `Uploaded buildpack file is invalid: ${filename} is not a zip file. Buildpacks of lifecycle "${found.lifecycle}" must be valid zip files.`,
    );
  try {
    await deps.blobs.adopt(received.zip, { digest, sizeBytes });
  } catch (error) {
    throw whenFull(error);
  }
  return deps.store.mutate(async mutation => {
    const row = await foundBuildpack(mutation.db, guid);
    requireUploadable(row);
    const buildpack = await keepBits(mutation, actor, row, { digest, sizeBytes, filename });
    const job = await finishedJob(mutation, { operation: 'buildpack.upload', resourceGuid: guid, actor });
    return { buildpack, job };
  });
}

async function look(file: string): Promise<{ digest: string; sizeBytes: number; begin: Buffer }> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  let begin = Buffer.alloc(0);
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
    if (begin.length < ZIP.length) begin = Buffer.concat([begin, chunk.subarray(0, ZIP.length - begin.length)]);
    hash.update(chunk);
    sizeBytes += chunk.length;
  }
  return { digest: hash.digest('hex'), sizeBytes, begin };
}
