import { closeSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs';

/** Written whole and durable, never readable for others in between. */
export function writeWhole(file: string, text: string, mode: number): void {
  const temporary = `${file}.new`;
  const fd = openSync(temporary, 'w', mode);
  writeSync(fd, text);
  fsyncSync(fd);
  closeSync(fd);
  renameSync(temporary, file);
}
