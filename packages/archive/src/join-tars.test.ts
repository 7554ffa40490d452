import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { extract, type Header, pack } from 'tar-stream';
import { expect, test } from 'vitest';
import { joinTars } from './join-tars.ts';

function aTar(entries: Array<Partial<Header> & { name: string } & { text?: string }>): Readable {
  const tar = pack();
  for (const { text, ...header } of entries) tar.entry(header, text ?? '');
  tar.finalize();
  return Readable.from(tar);
}

async function read(tar: Readable): Promise<Array<[name: string, type: string, text: string]>> {
  const entries = extract();
  tar.pipe(entries);
  const found: Array<[string, string, string]> = [];
  for await (const entry of entries) {
    const text = (await buffer(entry)).toString();
    found.push([entry.header.name, entry.header.type ?? '', entry.header.linkname ?? text]);
  }
  return found;
}

test('joinTars() gives the entries of all tars under their new names, in order, with contents, links and modes', async () => {
  const one = aTar([
    { name: 'home/vcap/', type: 'directory', mode: 0o755 },
    { name: 'home/vcap/app/server.js', mode: 0o644, text: 'x'.repeat(1_000) },
    { name: 'home/vcap/app/link', type: 'symlink', linkname: 'server.js' },
  ]);
  const two = aTar([{ name: 'toolchains/node/bin/node', mode: 0o755, text: 'ELF' }]);
  const tar = joinTars([async () => one, async () => two], name =>
    name === 'home/vcap' ? null : name.replace(/^home\/vcap\//, ''),
  );
  expect(await read(tar)).toEqual([
    ['app/server.js', 'file', 'x'.repeat(1_000)],
    ['app/link', 'symlink', 'server.js'],
    ['toolchains/node/bin/node', 'file', 'ELF'],
  ]);
});

test('joinTars() opens a tar when the one before it has been read', async () => {
  const opened: string[] = [];
  const source = (name: string) => async () => {
    opened.push(name);
    return aTar([{ name, text: name }]);
  };
  const tar = joinTars([source('one'), source('two')], name => name);
  expect(opened).toEqual([]);
  await read(tar);
  expect(opened).toEqual(['one', 'two']);
});

test('joinTars() ends with the error of a source that breaks, and closes it', async () => {
  const broken = new Readable({
    read() {
      this.destroy(new Error('damaged'));
    },
  });
  await expect(buffer(joinTars([async () => broken], name => name))).rejects.toThrow('damaged');
  const whole = aTar([{ name: 'a', text: 'x'.repeat(1_000_000) }]);
  const tar = joinTars([async () => whole], name => name);
  tar.once('data', () => tar.destroy());
  await new Promise(resolve => tar.once('close', resolve));
  await new Promise(resolve => (whole.destroyed ? resolve(null) : whole.once('close', resolve)));
  expect(whole.destroyed).toBe(true);
});
