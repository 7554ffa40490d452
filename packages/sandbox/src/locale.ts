/**
 * What language a stack's programs are told to speak: CF's `en_US.UTF-8` where the stack has that locale, else `C.UTF-8`, which glibc has everywhere. One that
 * is not there is worse than none: Perl warns at each start, and Ruby and older Javas take all text for ASCII.
 */
import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';

const FOLDER = 'usr/lib/locale';
/** Of glibc's `struct locarhead`, 32-bit numbers in the machine's own order: the magic number, then at 20 and 24 where the names begin, and how long they are. */
const ARCHIVE_MAGIC = 0xde020109;
const HEAD_BYTES = 28;
/** Some hundred locales need 20 KB. */
const NAMES_MAX_BYTES = 1024 * 1024;

/** By the root folder of the stack; `/` for the machine's own. */
export function localeOf(root: string): 'en_US.UTF-8' | 'C.UTF-8' {
  const isThere =
    existsSync(join(root, FOLDER, 'en_US.utf8')) || isInArchive(join(root, FOLDER, 'locale-archive'), 'en_US.utf8');
  return isThere ? 'en_US.UTF-8' : 'C.UTF-8';
}

function isInArchive(file: string, name: string): boolean {
  if (!existsSync(file)) return false;
  const archive = openSync(file, 'r');
  try {
    const read = (offset: number, length: number): Buffer => {
      const buffer = Buffer.alloc(length);
      return buffer.subarray(0, readSync(archive, buffer, 0, length, offset));
    };
    const head = read(0, HEAD_BYTES);
    if (head.length < HEAD_BYTES || head.readUInt32LE(0) !== ARCHIVE_MAGIC) return false;
    const names = read(head.readUInt32LE(20), Math.min(head.readUInt32LE(24), NAMES_MAX_BYTES));
    return names.toString('latin1').split('\0').includes(name);
  } finally {
    closeSync(archive);
  }
}
