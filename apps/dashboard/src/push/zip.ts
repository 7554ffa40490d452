/** A zip of chosen files, made file by file, so that the page stays alive. Loaded when something is pushed, and not before. */
import { Zip, ZipDeflate } from 'fflate';
import { modeOf } from './file-mode.ts';
import type { ChosenFile } from './read-files.ts';

const LEVEL = 6;

export async function zipOf(
  files: readonly ChosenFile[],
  { signal, progress }: { signal: AbortSignal; progress(done: number): void },
): Promise<Blob> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  const zip = new Zip((error, chunk) => {
    if (error !== null) throw error;
    parts.push(new Uint8Array(chunk));
  });
  for (const [index, { path, file }] of files.entries()) {
    signal.throwIfAborted();
    const entry = new ZipDeflate(path, { level: LEVEL });
    const bytes = new Uint8Array(await file.arrayBuffer());
    entry.os = 3;
    entry.attrs = (0o100000 | modeOf(path, bytes)) << 16;
    zip.add(entry);
    entry.push(bytes, true);
    progress(index + 1);
  }
  zip.end();
  return new Blob(parts, { type: 'application/zip' });
}
