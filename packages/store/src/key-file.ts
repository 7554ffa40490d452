import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { aesSealer, type Sealer } from './seal.ts';

/**
 * The sealer of a key file: lines of `id base64`, the last one seals, all open. Made with one key at first use: 0600, outside the store, durable before
 * it is used. Ids are random, so that secrets sealed with a lost key are told apart from damaged ones. Throws when a line is no key.
 */
export function loadSealer(path: string): Sealer {
  const keys = new Map<string, Buffer>();
  let newest = '';
  for (const line of readOrMake(path).split('\n')) {
    if (line.trim() === '') continue;
    const [id = '', key = '', ...rest] = line.trim().split(' ');
    const bytes = Buffer.from(key, 'base64');
    if (bytes.length !== 32 || rest.length > 0) throw unusable(path, `the key "${id}" is not 32 bytes long`);
    if (keys.has(id)) throw unusable(path, `the key "${id}" is there twice`);
    keys.set(id, bytes);
    newest = id;
  }
  if (keys.size === 0) throw unusable(path, 'there is no key in it');
  return aesSealer(keys, newest);
}

const unusable = (path: string, found: string): Error =>
  new Error(`${path}: ${found}. Restore this file from a backup: without it no secret in the store can be opened.`);

function readOrMake(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const text = `k${randomBytes(4).toString('hex')} ${randomBytes(32).toString('base64')}\n`;
  writeDurably(path, text);
  return text;
}

function writeDurably(path: string, text: string): void {
  const part = `${path}.new`;
  rmSync(part, { force: true }); // Of a killed start; opened anew, so that the mode is ours.
  const fd = openSync(part, 'wx', 0o600);
  try {
    // All of it: a single write may take a part, and say so by its count alone.
    writeFileSync(fd, text);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(part, path);
  const folder = openSync(dirname(path), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
