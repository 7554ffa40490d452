/** A registry of npm packages in memory, on loopback: what a build installs from it needs no other network. */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { tarBytes } from '@cupola/archive/tar-bytes';

export interface TestRegistry extends AsyncDisposable {
  /** With a slash at its end. */
  url: string;
  /** What was asked for, in order. */
  asked: string[];
  /** A package-lock.json for an app with these packages, and the dependencies for its package.json. */
  lock(app: { name: string; version: string }): { dependencies: Record<string, string>; lockfile: string };
}

interface Package {
  name: string;
  version: string;
  files: Record<string, string | Buffer>;
}

/** What npm fetches of a package. */
export function packageArchive({ name, version, files }: Package): Buffer {
  return archiveOf('package', { 'package.json': JSON.stringify({ name, version }), ...files });
}

/** A tar.gz with one folder in it. */
export function archiveOf(root: string, files: Record<string, string | Buffer>): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'cupola-package-'));
  try {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    return gzipSync(Buffer.concat([...tarBytes(folder, root)]));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export async function startRegistry(packages: Package[]): Promise<TestRegistry> {
  const asked: string[] = [];
  const archives = new Map(packages.map(known => [known.name, { ...known, archive: packageArchive(known) }]));
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? '/').slice(1);
    asked.push(path);
    const found = archives.get(path.split('/-/')[0] ?? '');
    if (found === undefined) response.writeHead(404).end('{}');
    else if (path.includes('/-/')) response.end(found.archive);
    else response.setHeader('content-type', 'application/json').end(JSON.stringify(about(found, url)));
  }).listen(0, '127.0.0.1');
  await new Promise(resolve => server.once('listening', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return {
    url,
    asked,
    lock: app => {
      const dependencies = Object.fromEntries([...archives.values()].map(({ name, version }) => [name, version]));
      const entries = [...archives.values()].map(({ name, version, archive }) => [
        `node_modules/${name}`,
        { version, resolved: tarballOf({ name, version }, url), integrity: integrityOf(archive) },
      ]);
      const root = { ...app, dependencies };
      return {
        dependencies,
        lockfile: JSON.stringify({
          ...app,
          lockfileVersion: 3,
          packages: { '': root, ...Object.fromEntries(entries) },
        }),
      };
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise(resolve => server.close(resolve));
    },
  };
}

const tarballOf = ({ name, version }: { name: string; version: string }, url: string): string =>
  `${url}${name}/-/${name}-${version}.tgz`;
const integrityOf = (archive: Buffer): string => `sha512-${createHash('sha512').update(archive).digest('base64')}`;

function about({ name, version, archive }: Package & { archive: Buffer }, url: string): unknown {
  const dist = { tarball: tarballOf({ name, version }, url), integrity: integrityOf(archive) };
  return { name, 'dist-tags': { latest: version }, versions: { [version]: { name, version, dist } } };
}
