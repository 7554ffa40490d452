/** Small facts on disk, whole or not at all: written beside, then renamed. They have to outlive us, not the machine: after a power cut no sandbox runs either. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';

export function writeSmallFile(path: string, text: string): void {
  const beside = `${path}.new`;
  writeFileSync(beside, text, { mode: 0o600 });
  renameSync(beside, path);
}

/** Null when it is not there. */
export function readSmallFile(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

export function removeSmallFile(path: string): void {
  rmSync(path, { force: true });
}
