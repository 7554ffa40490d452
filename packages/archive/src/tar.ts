/**
 * Packs a folder into the plain tar of a layer, and says its digest. The same files give the same bytes, wherever and whenever they are packed (tar-bytes.ts).
 */
import { createHash } from 'node:crypto';
import type { Writable } from 'node:stream';
import { tarBytes } from './tar-bytes.ts';

export interface TarInfo {
  /** sha-256 of the tar, hex. */
  digest: string;
  sizeBytes: number;
}

/**
 * Writes the tar of everything below `folder` to `out`, each name beginning with `prefix` (`home/vcap`, say), and ends `out`. Resolves when `out` has
 * taken it all.
 * @throws ArchiveRefusedError for a name that is not UTF-8, or a link that no layer may hold; errors of `out` and of the disk as they are.
 */
export async function packTar(folder: string, prefix: string, out: Writable): Promise<TarInfo> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  const done = Promise.withResolvers<void>();
  done.promise.catch(() => undefined); // Seen by whoever waits next.
  out.once('error', error => done.reject(error));
  out.once('close', () => done.reject(new Error('the tar was not taken to its end')));
  out.once('finish', () => done.resolve());
  for (const chunk of tarBytes(folder, prefix)) {
    hash.update(chunk);
    sizeBytes += chunk.length;
    if (out.errored) throw out.errored;
    if (out.write(chunk)) continue;
    const drained = Promise.withResolvers<void>();
    out.once('drain', drained.resolve);
    await Promise.race([drained.promise, done.promise]);
    out.off('drain', drained.resolve);
  }
  out.end();
  await done.promise;
  return { digest: hash.digest('hex'), sizeBytes };
}
