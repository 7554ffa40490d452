/**
 * A registry of Debian's `docker-registry` on loopback, started by hand on a free port with a folder of its own, and images put into it as any client would:
 * by the distribution protocol. Imports nothing of Cupola's.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const INDEX = 'application/vnd.oci.image.index.v1+json';
/** A user of every registry with `login`: bcrypt of its password, as the registry wants it (4 rounds: it is asked at each request). */
export const READER = { username: 'reader', password: 'geheim' } as const;
const PASSWORDS = `reader:$2b$04$gqRPMuGRr49MZlIYf4Zo1ejsZfBEw5bqYZ9qw9l8aT2sgyWRFiY36\n`;

export interface Registry extends AsyncDisposable {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  /** Manifest and blobs; answers the manifest's digest. */
  push(name: string, tag: string, image: PushedImage): Promise<string>;
  /** An index of manifests that are there already. */
  pushIndex(
    name: string,
    tag: string,
    entries: ReadonlyArray<{ digest: string; architecture: string }>,
  ): Promise<string>;
  /** It ends: whoever asks gets no answer. */
  stop(): Promise<void>;
}

export interface PushedImage {
  /** Tars, packed or not, from the bottom. */
  layers: ReadonlyArray<{ bytes: Buffer; mediaType: string }>;
  config: Record<string, unknown>;
  architecture?: string;
}

export async function startRegistry({ login = false }: { login?: boolean } = {}): Promise<Registry> {
  const folder = mkdtempSync(join(tmpdir(), 'cupola-registry-'));
  writeFileSync(join(folder, 'htpasswd'), PASSWORDS);
  const lines = [
    'version: 0.1',
    'storage:',
    '  filesystem:',
    `    rootdirectory: ${folder}/data`,
    'http:',
    '  addr: 127.0.0.1:0',
    ...(login ? ['auth:', '  htpasswd:', '    realm: test', `    path: ${folder}/htpasswd`] : []),
  ];
  writeFileSync(join(folder, 'config.yml'), `${lines.join('\n')}\n`);
  const child = spawn('docker-registry', ['serve', join(folder, 'config.yml')], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<void>((resolve, reject) => {
    child.once('exit', () => resolve());
    child.once('error', reject);
  });
  ended.catch(() => undefined); // Thrown below, where its address is waited for.
  const host = await Promise.race([address(child.stderr, child.stdout), ended.then(() => null)]);
  if (host === null) throw new Error('docker-registry ended at once (Debian package docker-registry)');
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  return {
    host,
    push: (name, tag, image) => pushImage({ host, login }, name, tag, image),
    pushIndex: (name, tag, entries) => pushIndex({ host, login }, name, tag, entries),
    stop,
    [Symbol.asyncDispose]: async () => {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** It says where it listens. */
async function address(...outputs: NodeJS.ReadableStream[]): Promise<string> {
  const found = Promise.withResolvers<string>();
  for (const output of outputs)
    createInterface({ input: output }).on('line', line => {
      const match = /listening on (127\.0\.0\.1:\d+)/.exec(line)?.[1];
      if (match !== undefined) found.resolve(match);
    });
  return found.promise;
}

interface Place {
  host: string;
  login: boolean;
}

async function call(
  { host, login }: Place,
  method: string,
  path: string,
  body?: Buffer,
  type?: string,
): Promise<Response> {
  const { username, password } = READER;
  const url = path.startsWith('http') ? path : `http://${host}/v2/${path}`;
  const answer = await fetch(url, {
    method,
    redirect: 'manual',
    headers: {
      accept: `${MANIFEST}, ${INDEX}`,
      ...(login ? { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` } : {}),
      ...(type === undefined ? {} : { 'content-type': type }),
    },
    ...(body === undefined ? {} : { body: new Uint8Array(body) }),
  });
  if (!answer.ok) throw new Error(`${method} ${url}: ${answer.status} ${await answer.text()}`);
  return answer;
}

const digestOf = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

async function pushBlob(place: Place, name: string, bytes: Buffer): Promise<{ digest: string; size: number }> {
  const begun = await call(place, 'POST', `${name}/blobs/uploads/`);
  const at = new URL(begun.headers.get('location') ?? '', `http://${place.host}`);
  at.searchParams.set('digest', digestOf(bytes));
  await call(place, 'PUT', at.href, bytes, 'application/octet-stream');
  return { digest: digestOf(bytes), size: bytes.length };
}

async function pushImage(
  place: Place,
  name: string,
  tag: string,
  { layers, config, architecture = process.arch === 'arm64' ? 'arm64' : 'amd64' }: PushedImage,
): Promise<string> {
  const text = Buffer.from(
    JSON.stringify({ os: 'linux', architecture, config, rootfs: { type: 'layers', diff_ids: [] } }),
  );
  const manifest = {
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...(await pushBlob(place, name, text)) },
    layers: await Promise.all(
      layers.map(async ({ bytes, mediaType }) => ({ mediaType, ...(await pushBlob(place, name, bytes)) })),
    ),
  };
  const bytes = Buffer.from(JSON.stringify(manifest));
  await call(place, 'PUT', `${name}/manifests/${tag}`, bytes, MANIFEST);
  return digestOf(bytes);
}

async function pushIndex(
  place: Place,
  name: string,
  tag: string,
  entries: ReadonlyArray<{ digest: string; architecture: string }>,
): Promise<string> {
  const manifests = await Promise.all(
    entries.map(async ({ digest, architecture }) => {
      const size = Number((await call(place, 'HEAD', `${name}/manifests/${digest}`)).headers.get('content-length'));
      return { mediaType: MANIFEST, digest, size, platform: { os: 'linux', architecture } };
    }),
  );
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests }));
  await call(place, 'PUT', `${name}/manifests/${tag}`, bytes, INDEX);
  return digestOf(bytes);
}
