/** A zip of chosen files, made file by file, so that the page stays alive. Loaded when something is pushed, and not before. */
import { Zip, ZipDeflate } from 'fflate';
import type { ChosenFile } from './read-files.ts';

const LEVEL = 6;

export async function zipOf(files: readonly ChosenFile[], progress: (done: number) => void): Promise<Blob> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  const zip = new Zip((error, chunk) => {
    if (error !== null) throw error;
    parts.push(new Uint8Array(chunk));
  });
  for (const [index, { path, file }] of files.entries()) {
    const entry = new ZipDeflate(path, { level: LEVEL });
    // What was executable is not known to a browser: scripts are, by their first two bytes, and what can be run by its place.
    const bytes = new Uint8Array(await file.arrayBuffer());
    entry.os = 3;
    entry.attrs = (isProgram(path, bytes) ? 0o100755 : 0o100644) << 16;
    zip.add(entry);
    entry.push(bytes, true);
    progress(index + 1);
  }
  zip.end();
  return new Blob(parts, { type: 'application/zip' });
}

/** `#!` or an ELF program. */
function isProgram(path: string, bytes: Uint8Array): boolean {
  const [a, b, c] = bytes;
  return (a === 0x23 && b === 0x21) || (a === 0x7f && b === 0x45 && c === 0x4c) || /(^|\/)bin\/[^/.]+$/.test(path);
}
