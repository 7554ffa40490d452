import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { forbiddenArrows } from './arrows.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'cupola-arrows-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

test('this repository has no forbidden arrow', () => {
  expect(forbiddenArrows(join(import.meta.dirname, '..'))).toEqual([]);
});

test('a package that imports another than it may is found', () => {
  write('packages/model/src/a.ts', `import { x } from '@cupola/store/store';\n`);
  expect(forbiddenArrows(root)).toEqual(['packages/model/src/a.ts: imports @cupola/store/store']);
});

test('an app that imports another app is found, a type or a lazy import too', () => {
  write('apps/agent/src/a.ts', `import type { Api } from '@cupola/api/start';\n`);
  write('apps/router/src/a.ts', `const api = await import('@cupola/api/start');\n`);
  expect(forbiddenArrows(root)).toHaveLength(2);
});

test('control may import the start of an app, and nothing else of it', () => {
  write('apps/control/src/good.ts', `import { start } from '@cupola/api/start';\n`);
  write('apps/control/src/bad.ts', `import { x } from '@cupola/api/deps';\n`);
  expect(forbiddenArrows(root)).toEqual(['apps/control/src/bad.ts: imports @cupola/api/deps']);
});

test('a relative path that leaves its workspace is found', () => {
  write('apps/api/src/deep/a.ts', `import { x } from '../../../agent/src/b.ts';\n`);
  expect(forbiddenArrows(root)).toEqual(['apps/api/src/deep/a.ts: leaves its workspace by ../../../agent/src/b.ts']);
});
