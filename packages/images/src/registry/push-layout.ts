/** An image on disk, an OCI layout as `image save` writes it, into a registry: what it has not, blob by blob, then the manifest under its tag. */
import { createReadStream, readFileSync, statSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { type Descriptor, manifestOrIndex } from '../rootfs/layout.ts';
import { RegistryError } from './errors.ts';
import type { Repository } from './repository.ts';

export interface PushedLayout {
  /** `sha256:...` of the manifest. */
  digest: string;
  sentBytes: number;
}

/** `say`: a line for each step. @throws RegistryError that names what the registry said. */
export async function pushLayout(
  repository: Repository,
  { folder, tag, say }: { folder: string; tag: string; say(text: string): void },
): Promise<PushedLayout> {
  const file = ({ digest }: Descriptor): string => join(folder, 'blobs', ...digest.split(':'));
  const index = manifestOrIndex.parse(JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')));
  const [top] = 'manifests' in index ? index.manifests : [];
  if (top === undefined) throw new RegistryError('unfit', 'the layout names no image');
  const bytes = readFileSync(file(top));
  const manifest = manifestOrIndex.parse(JSON.parse(bytes.toString('utf8')));
  if ('manifests' in manifest) throw new RegistryError('unfit', 'the layout names an index of images');
  const sent = new Set<string>();
  let sentBytes = 0;
  for (const blob of [...manifest.layers, manifest.config]) {
    if (sent.has(blob.digest)) continue;
    sent.add(blob.digest);
    if (await has(repository, blob)) say(`${blob.digest.slice(0, 19)} is there`);
    else {
      say(`sending ${blob.digest.slice(0, 19)} (${Math.ceil(blob.size / 1_048_576)} MB)`);
      await send(repository, blob, file(blob));
      sentBytes += blob.size;
    }
  }
  const type = top.mediaType ?? 'application/vnd.oci.image.manifest.v1+json';
  const body = {
    sizeBytes: bytes.length,
    open: async function* () {
      yield bytes;
    },
  };
  const headers = { 'content-type': type };
  await wanted(await repository.call(`manifests/${tag}`, { method: 'PUT', headers, body }), 201, 'the manifest');
  return { digest: top.digest, sentBytes };
}

async function has(repository: Repository, { digest }: Descriptor): Promise<boolean> {
  const answer = await repository.call(`blobs/${digest}`, { method: 'HEAD' });
  answer.resume();
  return answer.statusCode === 200;
}

/** Whole, at the place that the registry names for it. */
async function send(repository: Repository, { digest }: Descriptor, path: string): Promise<void> {
  const begun = await wanted(await repository.call('blobs/uploads/', { method: 'POST' }), 202, 'an upload');
  const at = URL.parse(begun.headers.location ?? '', repository.origin);
  if (at === null) throw new RegistryError('unfit', 'the registry says not where an upload goes');
  at.searchParams.set('digest', digest);
  const body = { sizeBytes: statSync(path).size, open: () => createReadStream(path) };
  const headers = { 'content-type': 'application/octet-stream' };
  await wanted(await repository.call(at.href, { method: 'PUT', headers, body }), 201, digest);
}

async function wanted(answer: IncomingMessage, status: number, what: string): Promise<IncomingMessage> {
  if (answer.statusCode === status) return answer.resume();
  answer.destroy();
  if (answer.statusCode === 401 || answer.statusCode === 403)
    throw new RegistryError('login', `the registry takes ${what} of nobody without a login that may write there`);
  throw new RegistryError('unreachable', `the registry answered ${answer.statusCode} to ${what}`);
}
