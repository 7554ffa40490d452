/**
 * An app as an OCI image: the stack's layer, its toolchains', its own, and a small one with the script that starts it as an agent would. Written as one tar
 * that is an OCI layout and, for `docker load`, carries Docker's manifest.json too. Layers are plain tars, so their digests are their DiffIDs, and nothing
 * is packed again: the same droplet gives the same image, byte for byte.
 */
import { createHash } from 'node:crypto';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type TarEntry, tarEnd, tarHeader, tarPadding } from '@cupola/archive/tar-bytes';

export interface ImageLayer {
  /** sha-256 of the plain tar, hex. */
  digest: string;
  sizeBytes: number;
  open(): Readable;
}

export interface ImageRequest {
  /** As `docker images` shows it: `hello:latest`. */
  name: string;
  /** From the bottom up. */
  layers: ImageLayer[];
  /** Run by bash in /home/vcap/app, after the profile scripts. */
  command: string;
  /** Of the app; PORT, HOME and the like are set here, and may be overridden. */
  environment: Readonly<Record<string, string>>;
  /** Node's name of it. */
  architecture: 'x64' | 'arm64';
}

export interface SavedImage {
  /** sha-256 of the manifest, hex: what a registry calls the image's digest. */
  digest: string;
  /** sha-256 of the config, hex: what Docker calls the image's id. */
  id: string;
  sizeBytes: number;
}

/** Uid and gid of an app. */
const VCAP = 2000;
const PORT = 8080;
/** Every time in an image: its content says all there is to say. */
const NO_TIME = '1970-01-01T00:00:00Z';
const LAUNCHER_PATH = 'cupola/launch';
/**
 * As an agent starts an instance: profile scripts of the buildpacks, then the app's, then its command; several arguments are a command of their own. The first
 * process of a container is not ended by a signal that it does not handle, and an app's shell or npm hands none on: so a stop goes to all that it started,
 * as our shim does it. With a terminal the command is the first process, and has the terminal.
 */
const LAUNCHER = `#!/bin/bash
cd /home/vcap/app || exit 1
for script in /home/vcap/profile.d/*.sh /home/vcap/app/.profile.d/*.sh /home/vcap/app/.profile; do
  if [ -f "$script" ]; then . "$script"; fi
done
export VCAP_APP_PORT="$PORT"
if [ $# -eq 1 ]; then set -- /bin/bash -c "$1"; fi
if [ -t 0 ]; then exec "$@"; fi
set -m
"$@" &
child=$!
trap 'kill -TERM -- "-$child"' TERM
trap 'kill -INT -- "-$child"' INT
while kill -0 "$child" 2>/dev/null; do wait "$child"; done
wait "$child"
`;

/** Writes the image to `out` and ends it. */
export async function saveImage(request: ImageRequest, out: Writable): Promise<SavedImage> {
  const described = describeImage(request);
  let sizeBytes = 0;
  const bytes = async function* (): AsyncIterable<Buffer> {
    for await (const chunk of archive(described)) {
      sizeBytes += chunk.length;
      yield chunk;
    }
  };
  await pipeline(Readable.from(bytes(), { objectMode: false }), out);
  return { digest: described.manifest.digest, id: described.config.digest, sizeBytes };
}

export interface Blob {
  digest: string;
  bytes: Buffer;
}
export interface DescribedImage {
  /** With the launcher's, which is the last. */
  layers: ImageLayer[];
  config: Blob;
  manifest: Blob;
  name: string;
}

const TYPES = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
} as const;

const blob = (bytes: Buffer): Blob => ({ bytes, digest: createHash('sha256').update(bytes).digest('hex') });
const json = (value: unknown): Blob => blob(Buffer.from(JSON.stringify(value)));

/** What an image is, before any layer is read: its digest is known from the digests of its layers. */
export function describeImage({ name, layers, command, environment, architecture }: ImageRequest): DescribedImage {
  const all = [...layers, launcherLayer()];
  const config = json({
    architecture: architecture === 'x64' ? 'amd64' : 'arm64',
    os: 'linux',
    created: NO_TIME,
    config: {
      User: `${VCAP}:${VCAP}`,
      WorkingDir: '/home/vcap/app',
      Env: imageEnvironment(environment),
      Entrypoint: ['/bin/bash', `/${LAUNCHER_PATH}`],
      Cmd: [command],
      ExposedPorts: { [`${PORT}/tcp`]: {} },
    },
    rootfs: { type: 'layers', diff_ids: all.map(({ digest }) => `sha256:${digest}`) },
    history: all.map(() => ({ created: NO_TIME, created_by: 'cupola' })),
  });
  const manifest = json({
    schemaVersion: 2,
    mediaType: TYPES.manifest,
    config: { mediaType: TYPES.config, digest: `sha256:${config.digest}`, size: config.bytes.length },
    layers: all.map(({ digest, sizeBytes }) => ({
      mediaType: TYPES.layer,
      digest: `sha256:${digest}`,
      size: sizeBytes,
    })),
  });
  return { layers: all, config, manifest, name };
}

function imageEnvironment(environment: Readonly<Record<string, string>>): string[] {
  const defaults = {
    PATH: '/usr/local/bin:/usr/bin:/bin',
    HOME: '/home/vcap/app',
    USER: 'vcap',
    LANG: 'C.UTF-8',
    TMPDIR: '/home/vcap/tmp',
    DEPS_DIR: '/home/vcap/deps',
    PORT: String(PORT),
    VCAP_APP_HOST: '0.0.0.0',
    VCAP_APP_PORT: String(PORT),
    CF_INSTANCE_INDEX: '0',
  };
  return Object.entries({ ...defaults, ...environment })
    .map(([name, value]) => `${name}=${value}`)
    .sort();
}

const file = (name: string, sizeBytes: number): TarEntry => ({
  kind: 'file',
  name,
  mode: 0o644,
  owner: 0,
  sizeBytes,
  target: '',
});
const folder = (name: string): TarEntry => ({ kind: 'folder', name, mode: 0o755, owner: 0, sizeBytes: 0, target: '' });

function launcherLayer(): ImageLayer {
  const text = Buffer.from(LAUNCHER);
  const { bytes, digest } = blob(
    Buffer.concat([
      ...tarHeader(folder('cupola')),
      ...tarHeader({ ...file(LAUNCHER_PATH, text.length), mode: 0o755 }),
      text,
      tarPadding(text.length),
      tarEnd(),
    ]),
  );
  return { digest, sizeBytes: bytes.length, open: () => Readable.from([bytes]) };
}

/** The archive's entries, each blob once. */
async function* archive({ layers, config, manifest, name }: DescribedImage): AsyncIterable<Buffer> {
  const blobPath = (digest: string): string => `blobs/sha256/${digest}`;
  const index = json({
    schemaVersion: 2,
    mediaType: TYPES.index,
    manifests: [
      {
        mediaType: TYPES.manifest,
        digest: `sha256:${manifest.digest}`,
        size: manifest.bytes.length,
        annotations: {
          'io.containerd.image.name': `docker.io/library/${name}`,
          'org.opencontainers.image.ref.name': name.split(':')[1] ?? 'latest',
        },
      },
    ],
  });
  const forDocker = json([
    { Config: blobPath(config.digest), RepoTags: [name], Layers: layers.map(({ digest }) => blobPath(digest)) },
  ]);
  const written = new Set<string>();
  for (const path of ['blobs', 'blobs/sha256']) yield* tarHeader(folder(path));
  for (const { digest, bytes } of [config, manifest]) yield* whole(blobPath(digest), bytes);
  for (const layer of layers) {
    if (written.has(layer.digest)) continue;
    written.add(layer.digest);
    yield* tarHeader(file(blobPath(layer.digest), layer.sizeBytes));
    yield* checked(layer);
    yield tarPadding(layer.sizeBytes);
  }
  yield* whole('index.json', index.bytes);
  yield* whole('manifest.json', forDocker.bytes);
  yield* whole('oci-layout', Buffer.from('{"imageLayoutVersion":"1.0.0"}'));
  yield tarEnd();
}

function* whole(name: string, bytes: Buffer): Iterable<Buffer> {
  yield* tarHeader(file(name, bytes.length));
  yield bytes;
  yield tarPadding(bytes.length);
}

/** A layer's bytes. @throws Error when they are not what its digest says: an image is never silently another. */
async function* checked({ digest, sizeBytes, open }: ImageLayer): AsyncIterable<Buffer> {
  const hash = createHash('sha256');
  let read = 0;
  for await (const chunk of open() as AsyncIterable<Buffer>) {
    read += chunk.length;
    if (read > sizeBytes) break;
    hash.update(chunk);
    yield chunk;
  }
  if (read !== sizeBytes || hash.digest('hex') !== digest) throw new Error(`the layer ${digest} is damaged`);
}
