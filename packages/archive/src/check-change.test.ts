import { buffer } from 'node:stream/consumers';
import { DEVELOPMENT_LIMITS } from '@cupola/model/development';
import { type Header, pack } from 'tar-stream';
import { expect, test } from 'vitest';
import { checkChange } from './check-change.ts';

type Entry = [header: Partial<Header> & { name: string }, text?: string];
const FILES: Entry = [{ name: 'files', type: 'directory' }];

function tarOf(entries: readonly Entry[]): AsyncIterable<Buffer> {
  const tar = pack();
  for (const [header, text = ''] of entries) tar.entry(header, text);
  tar.finalize();
  return tar as AsyncIterable<Buffer>;
}

async function check(...entries: Entry[]) {
  const { passed, facts } = checkChange(tarOf(entries));
  await buffer(passed);
  return facts;
}

test('checkChange() counts what a change brings, and passes its bytes on as they are', async () => {
  const entries: Entry[] = [
    [{ name: 'removed' }, 'old.js\nlib/gone\n'],
    [{ name: 'restart' }],
    [{ name: 'files/', type: 'directory' }],
    [{ name: 'files/app.js', mode: 0o755 }, 'x'.repeat(200_000)],
    [{ name: 'files/link.js', type: 'symlink', linkname: 'app.js' }],
  ];
  const whole = Buffer.concat(
    await Array.fromAsync(tarOf(entries.map(([header, text]) => [{ ...header, mtime: new Date(0) }, text ?? '']))),
  );
  async function* pieces(): AsyncGenerator<Buffer> {
    for (let at = 0; at < whole.length; at += 1_000) yield whole.subarray(at, at + 1_000);
  }
  const { passed, facts } = checkChange(pieces());
  expect((await buffer(passed)).equals(whole)).toBe(true);
  expect(await facts).toEqual({ files: 2, removed: 2, restart: true });
});

test.each<[string, RegExp, Entry[]]>([
  ['no folder of files', /has no folder "files"/, [[{ name: 'restart' }]]],
  ['a part that is none', /is no part of a change/, [FILES, [{ name: 'etc/passwd' }]]],
  ['a way out', /leaves the archive/, [FILES, [{ name: 'files/../../etc/passwd' }]]],
  ['a link out', /link/, [FILES, [{ name: 'files/a', type: 'symlink', linkname: '../../etc' }]]],
  [
    'a file below a link',
    /which is a link/,
    [FILES, [{ name: 'files/a', type: 'symlink', linkname: '.' }], [{ name: 'files/a/b' }]],
  ],
  ['a hard link', /hard link/, [FILES, [{ name: 'files/a', type: 'link', linkname: 'files/b' }]]],
  ['the same file twice', /twice/, [FILES, [{ name: 'files/a' }], [{ name: 'files/a' }]]],
  ['a name of more than a line', /no name a change can have/, [FILES, [{ name: 'files/a\nb' }]]],
  ['a removal that leads out', /no path below the app/, [FILES, [{ name: 'removed' }, 'a\n../b\n']]],
  ['a removal without its end', /line end/, [FILES, [{ name: 'removed' }, 'a']]],
])('checkChange() refuses %s', async (_what, why, entries) => {
  await expect(check(...entries)).rejects.toThrow(why);
});

test('checkChange() refuses what is no tar, or more than a change may be', async () => {
  async function* noise(): AsyncGenerator<Buffer> {
    yield Buffer.alloc(2_048, 'x');
  }
  const bad = checkChange(noise());
  await expect(buffer(bad.passed)).rejects.toThrow(/cannot be read as a tar/);
  await expect(bad.facts).rejects.toThrow(/cannot be read as a tar/);
  async function* endless(): AsyncGenerator<Buffer> {
    const header = Buffer.concat(await Array.fromAsync(tarOf([[{ name: 'files/a', size: 1 }, 'a']])));
    yield header.subarray(0, 512);
    for (let sent = 0; sent <= DEVELOPMENT_LIMITS.changeMaxBytes; sent += 8_388_608) yield Buffer.alloc(8_388_608);
  }
  await expect(buffer(checkChange(endless()).passed)).rejects.toThrow();
});
