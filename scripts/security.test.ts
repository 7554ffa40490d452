/** docs/security.md and docs/sandboxes.md name tests: each of them is there. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const read = (name: string): string => readFileSync(join(ROOT, 'docs', name), 'utf8');
const text = read('security.md');

test.each([
  ['security.md', 50],
  ['sandboxes.md', 15],
])('docs/%s names only tests that are there', (name, atLeast) => {
  const named = [...read(name).matchAll(/`([\w/.-]+\.(?:test|contract)\.ts)`: "([^"]+)"/g)];
  const missing = named.filter(([, file = '', title = '']) => {
    const path = join(ROOT, file);
    return (
      !existsSync(path) || !readFileSync(path, 'utf8').replaceAll("\\'", "'").includes(title.replaceAll(/\s+/g, ' '))
    );
  });
  expect(missing.map(([row]) => row)).toEqual([]);
  expect(named.length).toBeGreaterThan(atLeast);
});

test('docs/security.md has a row for each class that touches what is built', () => {
  const rows = [...text.matchAll(/^\| (\d+) \|/gm)].map(([, number]) => Number(number));
  const built = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 30, 31, 32,
  ];
  expect(rows).toEqual(built);
});
