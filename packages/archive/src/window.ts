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
  /** Past the window, `piece` after `piece`, each gone when the next one comes: for large entries, which would leave much to collect. */
  pieces(position: number, length: number): Iterable<Buffer>;
}

/** Over an open file, which the caller closes. */
export function openWindow(fd: number): FileWindow {
  const { size: sizeBytes } = fstatSync(fd);
  let window: Buffer = Buffer.alloc(0);
  let start = 0;

  let scratch: Buffer | null = null;

  const fill = (target: Buffer, position: number): Buffer => {
    let got = 0;
    while (got < target.length) {
      const read = readSync(fd, target, got, target.length - got, position + got);
      if (read === 0) throw new ArchiveRefusedError('(archive)', 'ends too early');
      got += read;
    }
    return target;
  };
  const move = (position: number, length: number): void => {
    window = fill(Buffer.allocUnsafeSlow(Math.min(Math.max(length, WINDOW_BYTES), sizeBytes - position)), position);
    start = position;
  };

  return {
    sizeBytes,
    read: (position, length) => {
      if (position < 0 || position + length > sizeBytes) throw new ArchiveRefusedError('(archive)', 'ends too early');
      if (position < start || position + length > start + window.length) move(position, length);
      return window.subarray(position - start, position - start + length);
    },
    pieces: function* (position, length) {
      if (position < 0 || position + length > sizeBytes) throw new ArchiveRefusedError('(archive)', 'ends too early');
      scratch ??= Buffer.allocUnsafeSlow(WINDOW_BYTES);
      for (let at = 0; at < length; at += WINDOW_BYTES)
        yield fill(scratch.subarray(0, Math.min(WINDOW_BYTES, length - at)), position + at);
    },
  };
}
