import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { aesSealer, type Sealer } from './seal.ts';

/** The sealer of a key file, made with one key at first use: lines of `id base64`, the last one seals. 0600, outside the store, durable before it is used. */
export function loadSealer(path: string): Sealer {
  if (!existsSync(path)) writeKey(path, `k1 ${randomBytes(32).toString('base64')}\n`);
  const lines = readFileSync(path, 'utf8').trim().split('\n');
  const keys = new Map(
    lines.map(line => {
      const [id = '', key = ''] = line.split(' ');
      return [id, Buffer.from(key, 'base64')] as const;
    }),
  );
  for (const [id, key] of keys)
    if (key.length !== 32)
      throw new Error(
        `${path}: the key "${id}" is not 32 bytes long. Restore this file from a backup: without it no secret can be opened.`,
      );
  return aesSealer(keys, [...keys.keys()].at(-1) ?? '');
}

function writeKey(path: string, text: string): void {
  const fd = openSync(`${path}.new`, 'w', 0o600);
  writeSync(fd, text);
  fsyncSync(fd);
  closeSync(fd);
  renameSync(`${path}.new`, path);
  const folder = openSync(dirname(path), 'r');
  fsyncSync(folder);
  closeSync(folder);
}
