/** Several plain tars as one, their entries renamed: the layers of a droplet as the single archive that Cloud Foundry's clients expect. */
import { Readable } from 'node:stream';
import { extract, type Header } from 'tar-stream';
import { type TarEntry, tarEnd, tarHeader, tarPadding } from './tar-bytes.ts';

/** Opens a tar when its turn has come. */
type Source = () => Promise<Readable>;

/**
 * Reads one tar after the other. Files, folders and symbolic links are taken; a layer has nothing else.
 * @param rename of an entry's name, without the slash that ends a folder's; null leaves the entry out.
 * @returns the joined tar; it ends with the error of a source that could not be read.
 */
export function joinTars(sources: readonly Source[], rename: (name: string) => string | null): Readable {
  return Readable.from(joined(sources, rename), { objectMode: false });
}

async function* joined(sources: readonly Source[], rename: (name: string) => string | null): AsyncIterable<Buffer> {
  for (const open of sources) {
    const source = await open();
    const entries = extract();
    source.on('error', error => entries.destroy(error));
    source.pipe(entries);
    try {
      for await (const entry of entries) {
        const header = headerOf(entry.header, rename);
        if (header !== null) yield* tarHeader(header);
        for await (const piece of entry as AsyncIterable<Buffer>) if (header !== null) yield piece;
        if (header !== null) yield tarPadding(header.sizeBytes);
      }
    } finally {
      source.destroy();
      entries.destroy();
    }
  }
  yield tarEnd();
}

const KINDS: Partial<Record<NonNullable<Header['type']>, TarEntry['kind']>> = {
  file: 'file',
  'contiguous-file': 'file',
  directory: 'folder',
  symlink: 'link',
};

function headerOf(
  { name, type, mode, uid, size, linkname }: Header,
  rename: (name: string) => string | null,
): TarEntry | null {
  const kind = KINDS[type ?? 'file'];
  const renamed = rename(name.replace(/\/$/, ''));
  if (kind === undefined || renamed === null) return null;
  return { kind, name: renamed, mode: mode ?? 0o644, owner: uid ?? 0, sizeBytes: size ?? 0, target: linkname ?? '' };
}
