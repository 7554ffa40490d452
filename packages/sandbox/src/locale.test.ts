import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { localeOf } from './locale.ts';

/** A stack's root, with its folder of locales. */
function aRoot() {
  const root = mkdtempSync(join(tmpdir(), 'cupola-locale-'));
  const folder = join(root, 'usr/lib/locale');
  mkdirSync(folder, { recursive: true });
  return { root, folder, [Symbol.dispose]: () => rmSync(root, { recursive: true }) };
}

/** As glibc writes it, without the locales. */
function anArchive(names: readonly string[], magic = 0xde020109): Buffer {
  const text = Buffer.from(names.map(name => `${name}\0`).join(''));
  const head = Buffer.alloc(56);
  head.writeUInt32LE(magic, 0);
  head.writeUInt32LE(head.length, 20);
  head.writeUInt32LE(text.length, 24);
  return Buffer.concat([head, text]);
}

test('localeOf() is C.UTF-8 where a stack has no other', () => {
  using stack = aRoot();
  mkdirSync(join(stack.folder, 'C.utf8'));
  expect(localeOf(stack.root)).toBe('C.UTF-8');
  expect(localeOf(join(stack.root, 'not-there'))).toBe('C.UTF-8');
});

test('localeOf() is en_US.UTF-8 where a folder has it', () => {
  using stack = aRoot();
  mkdirSync(join(stack.folder, 'en_US.utf8'));
  expect(localeOf(stack.root)).toBe('en_US.UTF-8');
});

test.each([
  [anArchive(['de_DE.utf8', 'en_US.utf8']), 'en_US.UTF-8'],
  [anArchive(['en_US', 'en_US.utf8@other']), 'C.UTF-8'],
  [anArchive(['en_US.utf8'], 1), 'C.UTF-8'],
  [Buffer.from('short'), 'C.UTF-8'],
])('localeOf() reads the names of an archive, and no other file (%#)', (bytes, locale) => {
  using stack = aRoot();
  writeFileSync(join(stack.folder, 'locale-archive'), bytes);
  expect(localeOf(stack.root)).toBe(locale);
});
