import { closeSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs';

/** What a part wrote, in a file of at most 10 MiB, the last one kept beside it as `.1`. */
export interface PartLog {
  write(chunk: Buffer): void;
  close(): void;
}

const MAX_BYTES = 10 * 1024 * 1024;

/** A full disk loses lines, never the part: its output pipe is always read. */
export function openPartLog(file: string): PartLog {
  let fd = openSync(file, 'a', 0o600);
  let size = fstatSync(fd).size;
  return {
    write(chunk) {
      try {
        if (size > MAX_BYTES) {
          closeSync(fd);
          renameSync(file, `${file}.1`);
          fd = openSync(file, 'a', 0o600);
          size = 0;
        }
        size += writeSync(fd, chunk);
      } catch {
        // Disk full: the line is lost, as any line of a log may be.
      }
    },
    close: () => closeSync(fd),
  };
}
