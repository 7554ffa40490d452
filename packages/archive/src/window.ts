/**
 * Reads of a file at any place, served from a window of it in memory: an archive's entries lie one behind the other, so 20,000 small ones cost a few dozen
 * reads. What was read stays as it is when the window moves on, so pieces may be kept without a copy.
 */
import { fstatSync, readSync } from 'node:fs';
import { ArchiveRefusedError } from '@cupola/model/errors';

const WINDOW_BYTES = 256 * 1024;

export interface FileWindow {
  readonly sizeBytes: number;
  /** Exactly these bytes, not to be written to. @throws ArchiveRefusedError when the file ends before. */
  read(position: number, length: number): Buffer;
}

/** Over an open file, which the caller closes. */
export function openWindow(fd: number): FileWindow {
  const { size: sizeBytes } = fstatSync(fd);
  let window = Buffer.alloc(0);
  let start = 0;

  const move = (position: number, length: number): void => {
    const next = Buffer.allocUnsafeSlow(Math.min(Math.max(length, WINDOW_BYTES), sizeBytes - position));
    let got = 0;
    while (got < next.length) {
      const read = readSync(fd, next, got, next.length - got, position + got);
      if (read === 0) throw new ArchiveRefusedError('(archive)', 'ends too early');
      got += read;
    }
    window = next;
    start = position;
  };

  return {
    sizeBytes,
    read: (position, length) => {
      if (position < 0 || position + length > sizeBytes) throw new ArchiveRefusedError('(archive)', 'ends too early');
      if (position < start || position + length > start + window.length) move(position, length);
      return window.subarray(position - start, position - start + length);
    },
  };
}
