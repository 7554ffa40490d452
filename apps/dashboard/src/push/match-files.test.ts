import { afterEach, expect, test, vi } from 'vitest';
import { matchFiles } from './match-files.ts';

afterEach(() => vi.unstubAllGlobals());

const LARGE = 'x'.repeat(70_000);
const aFile = (path: string, text: string) => ({ path, file: new File([text], path) });
/** SHA-1 of the two, by sha1sum. */
const OF_LARGE = 'c470329cc624dc097102eb4fc87a0ecfdf013186';
const OF_SCRIPT = '8ba27a5c52aadda081f0346f31b2e3044f15894c';

/** An API that has files of these checksums. */
function anApiWith(...checksums: string[]): unknown[] {
  const asked: unknown[] = [];
  const known = new Set(checksums);
  vi.stubGlobal('fetch', async (_url: string, init: { body: string }) => {
    const { resources } = JSON.parse(init.body) as { resources: Array<{ checksum: { value: string } }> };
    asked.push(...resources);
    return Response.json({ resources: resources.filter(({ checksum }) => known.has(checksum.value)) });
  });
  return asked;
}

test('matchFiles() finds what is there already by checksum and size, with the mode that it would have in a zip', async () => {
  const asked = anApiWith(OF_LARGE, OF_SCRIPT);
  const files = [aFile('a.bin', LARGE), aFile('run', '#!/bin/sh'), aFile('new', 'new'), aFile('empty', '')];
  expect(await matchFiles(files, new AbortController().signal)).toEqual([
    { path: 'a.bin', mode: '644', checksum: { value: OF_LARGE }, size_in_bytes: 70_000 },
    { path: 'run', mode: '755', checksum: { value: OF_SCRIPT }, size_in_bytes: 9 },
  ]);
  expect(asked).toHaveLength(3);
});

test('matchFiles() asks nothing about a small folder, nor where a browser hashes nothing', async () => {
  const asked = anApiWith(OF_LARGE);
  expect(await matchFiles([aFile('a', 'small')], new AbortController().signal)).toEqual([]);
  vi.stubGlobal('crypto', {});
  expect(await matchFiles([aFile('a', LARGE)], new AbortController().signal)).toEqual([]);
  expect(asked).toEqual([]);
});
