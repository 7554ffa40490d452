import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { saveImage } from '../oci-image.ts';
import { parseReference } from '../registry/reference.ts';
import { importRootfs } from './import-rootfs.ts';

let work: string;
let tar: string;
let count = 0;
let folder: string;
const said: string[] = [];
beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), 'cupola-rootfs-'));
  const root = join(work, 'root');
  const place = (path: string): string => join(root, path);
  for (const name of ['bin', 'lib', 'lib64']) {
    mkdirSync(place(`usr/${name}`), { recursive: true });
    symlinkSync(`usr/${name}`, place(name));
  }
  const libraries = spawnSync('ldd', ['/bin/bash'], { encoding: 'utf8' }).stdout.match(/\/\S+/g) ?? [];
  for (const path of ['/bin/bash', ...libraries]) {
    mkdirSync(dirname(place(path)), { recursive: true });
    copyFileSync(path, place(path));
  }
  mkdirSync(place('etc'));
  writeFileSync(place('usr/lib/os-release'), 'PRETTY_NAME="Sample Linux 7"\nID=sample\nVERSION_ID="7"\n');
  symlinkSync('../usr/lib/os-release', place('etc/os-release'));
  tar = join(work, 'root.tar');
  run('tar', '-C', root, '-cf', tar, '.');
});
afterAll(() => rmSync(work, { recursive: true, force: true }));
beforeEach(() => {
  folder = join(work, `stack-${++count}`);
  said.length = 0;
});

function run(program: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program}: ${stderr}`);
}
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const imported = (source: string) => importRootfs(source, { folder, say: text => void said.push(text) });
const ABI = `linux-${process.arch}-glibc-sample-7`;

test('importRootfs() of a tar gives its digest, its ABI and its name', async () => {
  const facts = await imported(tar);
  expect(facts).toEqual({ digest: sha256(readFileSync(tar)), abiKey: ABI, description: 'Sample Linux 7' });
  expect(statSync(join(folder, 'bin/bash')).size).toBe(statSync('/bin/bash').size);
  expect(readdirSync(work).filter(name => name.startsWith('.import-'))).toEqual([]);
});

test.each([
  ['gzip', ['-k', '-c']],
  ['xz', ['-k', '-c', '-0']],
])('importRootfs() takes it packed with %s', async (program, args) => {
  const { stdout } = spawnSync(program, [...args, tar], { maxBuffer: 64 * 1024 * 1024 });
  writeFileSync(join(work, 'packed'), stdout);
  expect((await imported(join(work, 'packed'))).abiKey).toBe(ABI);
});

/** An image of that root in two layers, the second of which removes a file and adds one. */
async function savedImage(): Promise<string> {
  const upper = join(work, 'upper');
  rmSync(upper, { recursive: true, force: true });
  mkdirSync(join(upper, 'opt'), { recursive: true });
  mkdirSync(join(upper, 'etc'));
  writeFileSync(join(upper, 'opt/added'), 'yes');
  writeFileSync(join(upper, 'etc/.wh.gone'), '');
  const layers = [tar, join(work, 'upper.tar')];
  run('tar', '-C', upper, '-cf', layers[1] ?? '', '.');
  const file = join(work, 'image.tar');
  const layer = (path: string) => ({
    digest: sha256(readFileSync(path)),
    sizeBytes: statSync(path).size,
    open: () => createReadStream(path),
  });
  await saveImage(
    {
      name: 'a:b',
      layers: layers.map(layer),
      command: 'true',
      environment: {},
      architecture: process.arch === 'arm64' ? 'arm64' : 'x64',
    },
    createWriteStream(file),
  );
  return file;
}

test('importRootfs() takes an image, as one file and as a layout on disk', async () => {
  const file = await savedImage();
  const first = await imported(file);
  expect(readFileSync(join(folder, 'opt/added'), 'utf8')).toBe('yes');
  const layout = join(work, 'layout');
  mkdirSync(layout);
  run('tar', '-C', layout, '-xf', file);
  folder = `${folder}-again`;
  expect(await imported(layout)).toEqual(first);
  rmSync(join(layout, 'index.json'));
  folder = `${folder}-docker`;
  expect(await imported(layout)).toMatchObject({ abiKey: ABI });
});

test('importRootfs() of an image whose layer was changed is refused, and leaves nothing', async () => {
  const file = await savedImage();
  const layout = join(work, 'damaged');
  mkdirSync(layout);
  run('tar', '-C', layout, '-xf', file);
  writeFileSync(join(layout, 'blobs/sha256', sha256(readFileSync(tar))), 'other');
  await expect(imported(layout)).rejects.toThrow(/has other bytes than its name says/);
  expect(existsSync(folder)).toBe(false);
});

test.each([
  ['no-such-file', /There is no file no-such-file, and it names no image of a registry: write HOST\/NAME:TAG/],
  ['.', /is a folder and no OCI layout/],
])('importRootfs(%s) says what to give instead', async (source, words) => {
  await expect(imported(source)).rejects.toThrow(words);
});

test('importRootfs() of a root without bash says what it lacks', async () => {
  run('tar', '-C', join(work, 'root'), '-cf', join(work, 'bare.tar'), './etc', './usr/lib/os-release');
  await expect(imported(join(work, 'bare.tar'))).rejects.toThrow(/no \/bin\/bash/);
  expect(existsSync(folder)).toBe(false);
});

test.each([
  ['registry.example/team/base:1', { host: 'registry.example', name: 'team/base', reference: '1' }],
  ['localhost:5000/base', { host: 'localhost:5000', name: 'base', reference: 'latest' }],
  [
    `r.example/base@sha256:${'a'.repeat(64)}`,
    { host: 'r.example', name: 'base', reference: `sha256:${'a'.repeat(64)}` },
  ],
  ['ubuntu:24.04', null],
  ['library/ubuntu', null],
])('parseReference(%s)', (text, reference) => {
  expect(parseReference(text)).toEqual(reference);
});

describe('from a registry', () => {
  /** Serves the image under index, manifest and blobs, to who has the token. */
  async function registry(change: (path: string, bytes: Buffer) => Buffer = (_path, bytes) => bytes) {
    const layout = mkdtempSync(join(work, 'served-'));
    run('tar', '-C', layout, '-xf', await savedImage());
    const blob = (digest: string): Buffer => readFileSync(join(layout, 'blobs/sha256', digest));
    const manifest = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')).manifests[0];
    const platform = (architecture: string) => ({ ...manifest, platform: { os: 'linux', architecture } });
    const ours = process.arch === 'arm64' ? 'arm64' : 'amd64';
    const other = { ...platform('s390x'), digest: `sha256:${'0'.repeat(64)}` };
    const index = Buffer.from(JSON.stringify({ manifests: [other, platform(ours)] }));
    const server = http.createServer((request, response) => {
      const url = new URL(request.url ?? '/', `http://${request.headers.host}`);
      const send = (bytes: Buffer): void => void response.end(change(url.pathname, bytes));
      if (url.pathname === '/token') {
        const isAsked =
          url.searchParams.get('scope') === 'repository:team/base:pull' && url.searchParams.get('service') === 'us';
        return send(Buffer.from(JSON.stringify(isAsked ? { token: 'let-me-in' } : {})));
      }
      if (request.headers.authorization !== 'Bearer let-me-in')
        return void response
          .writeHead(401, { 'www-authenticate': `Bearer realm="http://${request.headers.host}/token",service="us"` })
          .end();
      if (url.pathname === '/v2/team/base/manifests/7') return send(index);
      const digest = /^\/v2\/team\/base\/(?:manifests|blobs)\/sha256:([0-9a-f]{64})$/.exec(url.pathname)?.[1];
      if (digest === undefined) return void response.writeHead(404).end();
      send(blob(digest));
    });
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    return {
      host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
      layer: sha256(readFileSync(tar)),
      [Symbol.asyncDispose]: async () => {
        server.closeAllConnections();
        await new Promise(resolve => server.close(resolve));
      },
    };
  }

  test('importRootfs() fetches the image for this kind of machine, with a token', async () => {
    await using served = await registry();
    expect(await imported(`${served.host}/team/base:7`)).toMatchObject({ abiKey: ABI, description: 'Sample Linux 7' });
    expect(readFileSync(join(folder, 'opt/added'), 'utf8')).toBe('yes');
    expect(said.filter(line => line.startsWith('fetching'))).toHaveLength(3);
  });

  test('importRootfs() refuses a layer that came with other bytes, and leaves nothing', async () => {
    await using served = await registry((path, bytes) => (path.includes('/blobs/') ? Buffer.from('other') : bytes));
    await expect(imported(`${served.host}/team/base:7`)).rejects.toThrow(/has other bytes than its name says/);
    expect(existsSync(folder)).toBe(false);
  });

  test('importRootfs() of what is not there names the registry and what it said', async () => {
    await using served = await registry();
    await expect(imported(`${served.host}/team/base:8`)).rejects.toThrow(
      /127\.0\.0\.1:\d+ answered 404 for team\/base/,
    );
    await expect(imported(`${served.host}/other/base:7`)).rejects.toThrow(/does not give other\/base to everyone/);
  });
});
