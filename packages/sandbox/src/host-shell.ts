/**
 * This machine's shell, as it runs in a root that has none of this machine's files: an image may hold one static program and nothing else, and the init is a
 * script. Its loader and the libraries that it names are shown beside it; nothing of the image is used.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readSync, realpathSync } from 'node:fs';
import { basename } from 'node:path';
import { INIT, INIT_INSIDE, SHELL_FOLDER } from './inside.ts';
import { SandboxError } from './sandbox.ts';
import type { ShimMount } from './spec-file.ts';

const SHELL = '/bin/sh';
/** ELF's PT_INTERP (its specification, figure 2-2). */
const INTERPRETER = 3;

/** What to mount, so that the init runs in any root. @throws SandboxError where this machine's shell cannot be read as Linux programs are. */
export function shellMounts(): ShimMount[] {
  const shell = realpathSync(SHELL);
  const loader = interpreterOf(shell);
  if (loader === null) throw new SandboxError(`${shell} of this machine names no loader: images cannot be run here`);
  const listed = execFileSync(realpathSync(loader), ['--list', shell], { encoding: 'utf8' });
  const libraries = [...listed.matchAll(/^\s*(\S+) => (\/\S+)/gm)].map(([, name = '', path = '']) => ({ name, path }));
  const shown = (source: string, target: string): ShimMount => ({
    mode: 'read-only',
    source: realpathSync(source),
    target,
  });
  return [
    shown(INIT, INIT_INSIDE),
    shown(shell, `${SHELL_FOLDER}/sh`),
    shown(loader, `${SHELL_FOLDER}/loader`),
    ...libraries.map(({ name, path }) => shown(path, `${SHELL_FOLDER}/lib/${basename(name)}`)),
  ];
}

/** Of a 64-bit little-endian ELF file; null where it has none. */
function interpreterOf(file: string): string | null {
  const fd = openSync(file, 'r');
  const read = (at: number, length: number): Buffer => {
    const bytes = Buffer.alloc(length);
    readSync(fd, bytes, 0, length, at);
    return bytes;
  };
  try {
    const head = read(0, 64);
    const table = Number(head.readBigUInt64LE(32));
    const size = head.readUInt16LE(54);
    for (let number = 0; number < head.readUInt16LE(56); number++) {
      const entry = read(table + number * size, size);
      if (entry.readUInt32LE(0) !== INTERPRETER) continue;
      const text = read(Number(entry.readBigUInt64LE(8)), Number(entry.readBigUInt64LE(32)));
      return text.toString('utf8').replace(/\0.*$/s, '');
    }
    return null;
  } finally {
    closeSync(fd);
  }
}
