import { randomUUID } from 'node:crypto';
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';

/**
 * Written whole and durable, or not at all; never readable for others in between. Several processes may write the same file at once: each under a name of its
 * own, the last one stays.
 */
export function writeWhole(file: string, text: string, mode: number): void {
  const temporary = `${file}.${randomUUID()}.new`;
  try {
    const fd = openSync(temporary, 'wx', mode);
    try {
      // All of it: on a disk that gets full a single write may take a part, and say so by its count alone.
      writeFileSync(fd, text);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}
