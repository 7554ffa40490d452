import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { neededPackages, readInstalled } from './debian-packages.ts';
import { openStackLayer } from './stack-layer.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cupola-stack-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A small Debian: a merged /usr, three packages of which one is not needed. */
function aDebian(): string {
  const root = join(folder, 'root');
  const write = (path: string, text: string, mode = 0o644): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
    chmodSync(join(root, path), mode);
  };
  const about = (name: string, depends: string): string =>
    `Package: ${name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\nDepends: ${depends}\n`;
  write(
    'var/lib/dpkg/status',
    [
      about('bash', 'libc6 (>= 2.36) | libc6.1, debconf'),
      about('libc6', ''),
      about('debconf', ''),
      about('gcc', ''),
    ].join('\n'),
  );
  write(
    'var/lib/dpkg/info/bash.list',
    '/.\n/bin\n/bin/bash\n/usr/share/doc/bash\n/usr/share/doc/bash/copyright\n/etc/shadow\n',
  );
  write('var/lib/dpkg/info/libc6:amd64.list', '/.\n/lib\n/lib/libc.so.6\n/usr/bin\n/usr/bin/su\n');
  write('usr/bin/bash', 'bash', 0o755);
  write('usr/bin/su', 'su', 0o4755);
  write('usr/lib/libc.so.6', 'libc');
  write('usr/share/doc/bash/copyright', 'text');
  write('etc/shadow', 'secret');
  write('etc/ssl/certs/ca-certificates.crt', 'certificates');
  for (const name of ['bin', 'lib']) symlinkSync(`usr/${name}`, join(root, name));
  return root;
}

function list(file: string): string[] {
  return spawnSync('tar', ['-tvf', file, '--numeric-owner'], { encoding: 'utf8' })
    .stdout.split('\n')
    .filter(line => line !== '')
    .map(line => {
      const [mode = '', owner = '', , , , ...name] = line.split(/\s+/);
      return `${mode} ${owner} ${name.join(' ')}`;
    });
}

test('neededPackages() follows dependencies, and leaves out what only an installation needs', () => {
  const installed = readInstalled(aDebian());
  expect(neededPackages(installed ?? new Map()).map(({ listName }) => listName)).toEqual(['bash', 'libc6:amd64']);
});

test('openStackLayer() holds the files of the packages, as root owns them, and nothing private', async () => {
  const layer = await openStackLayer({ folder, digest: 'd', root: aDebian() });
  const lines = list(join(folder, 'd.tar'));
  expect(lines).toContain('lrwxrwxrwx 0/0 bin -> usr/bin');
  expect(lines).toContain('-rwxr-xr-x 0/0 usr/bin/bash');
  expect(lines).toContain('-rwxr-xr-x 0/0 usr/bin/su');
  expect(lines).toContain('-rw-r--r-- 0/0 usr/lib/libc.so.6');
  expect(lines).toContain('-rw-r--r-- 0/0 etc/passwd');
  expect(lines).toContain('-rw-r--r-- 0/0 etc/ssl/certs/ca-certificates.crt');
  expect(lines).toContain('drwxrwxrwt 0/0 tmp/');
  expect(lines.join('\n')).not.toMatch(/shadow|copyright/);
  const bytes = readFileSync(join(folder, 'd.tar'));
  expect(layer).toMatchObject({ digest: createHash('sha256').update(bytes).digest('hex'), sizeBytes: bytes.length });
});

test('openStackLayer() makes it once for a digest', async () => {
  const root = aDebian();
  const first = await openStackLayer({ folder, digest: 'd', root });
  rmSync(root, { recursive: true });
  expect(await openStackLayer({ folder, digest: 'd', root })).toMatchObject({ digest: first.digest });
});

test('openStackLayer() says what it needs where there is no dpkg, and leaves nothing', async () => {
  mkdirSync(join(folder, 'bare'));
  await expect(openStackLayer({ folder, digest: 'd', root: join(folder, 'bare') })).rejects.toThrow(/only dpkg/);
  expect(existsSync(join(folder, 'd.json'))).toBe(false);
});
