/** docs/security.md names tests: each of them is there. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const text = readFileSync(join(ROOT, 'docs/security.md'), 'utf8');

test('docs/security.md names only tests that are there', () => {
  const named = [...text.matchAll(/`([\w/.-]+\.(?:test|contract)\.ts)`: "([^"]+)"/g)];
  const missing = named.filter(([, file = '', title = '']) => {
    const path = join(ROOT, file);
    return !existsSync(path) || !readFileSync(path, 'utf8').replaceAll("\\'", "'").includes(title);
  });
  expect(missing.map(([name]) => name)).toEqual([]);
  expect(named.length).toBeGreaterThan(50);
});

test('docs/security.md has a row for each class that touches what is built', () => {
  const rows = [...text.matchAll(/^\| (\d+) \|/gm)].map(([, number]) => Number(number));
  const built = [
    1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 28, 30, 31, 32,
  ];
  expect(rows).toEqual(built);
});
