/**
 * The layer below an app in an image: the part of this machine that the stack `host` promises, small enough to carry, or the whole of an added stack. Made
 * once for a stack's digest, by whoever saves the first image; a host of 5 GB gives some 60 MB. Owners are root, times 0, no setuid bit: the same packages give the same layer.
 */
import { createHash, randomUUID } from 'node:crypto';
import {
  closeSync,
  createReadStream,
  createWriteStream,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
} from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { finished } from 'node:stream/promises';
import { type TarEntry, tarEnd, tarHeader, tarPadding } from '@cupola/archive/tar-bytes';
import { filesOf, neededPackages, readInstalled } from './debian-packages.ts';
import type { ImageLayer } from './oci-image.ts';

const CHUNK_BYTES = 256 * 1024;
/** Read by people, or by tools that no app runs. */
const LEFT_OUT =
  /^\/usr\/share\/(doc|man|info|locale|lintian|bug|bash-completion|doc-base|menu|common-licenses)(\/|$)|^\/(var|boot|root|home|media|mnt|srv|opt|run|proc|sys|dev|tmp)(\/|$)|^\/(usr\/)?lib\/systemd(\/|$)/;
/** Of /etc: what the sandbox shows too, and no users, keys or names of this machine. */
const ETC_SHOWN =
  /^\/etc$|^\/etc\/(alternatives|ca-certificates|ld\.so\.conf\.d|ssl|profile\.d)(\/|$)|^\/etc\/(debian_version|ld\.so\.conf|os-release|issue\.net|protocols|services|rpc|ethertypes|ca-certificates\.conf)$/;
/** Made by packages as they were installed, so in no list. */
const GENERATED = ['/etc/ld.so.cache', '/etc/ssl/certs/ca-certificates.crt'];
/** Of every image: an app's user, and a resolver that the engine sets up. */
const WRITTEN: Readonly<Record<string, string>> = {
  '/etc/passwd':
    'root:x:0:0:root:/root:/bin/bash\nvcap:x:2000:2000:vcap:/home/vcap:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n',
  '/etc/group': 'root:x:0:\nvcap:x:2000:\nnogroup:x:65534:\n',
  '/etc/nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n',
};
const FOLDERS: ReadonlyArray<readonly [path: string, mode: number]> = [
  ['/dev', 0o755],
  ['/etc/alternatives', 0o755],
  ['/home', 0o755],
  ['/proc', 0o755],
  ['/root', 0o700],
  ['/run', 0o755],
  ['/sys', 0o755],
  ['/tmp', 0o1777],
  ['/toolchains', 0o755],
  ['/var', 0o755],
  ['/var/tmp', 0o1777],
];

interface Piece extends Omit<TarEntry, 'owner' | 'name'> {
  /** Where its bytes are: a file, or the text itself. */
  source: { file: string } | { text: string } | null;
}

/**
 * The stack's layer, from `folder` if it was made before for this `digest`.
 * @throws Error where there is no dpkg to say what belongs together.
 */
export async function openStackLayer({
  folder,
  digest,
  root = '/',
  added = null,
}: {
  folder: string;
  digest: string;
  root?: string;
  /** Root filesystem of an added stack, instead of the host. */
  added?: string | null;
}): Promise<ImageLayer> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, `${digest}.tar`);
  const note = join(folder, `${digest}.json`);
  if (!existsSync(note)) {
    // Two who save their first image at once both make it, each beside the other: the results are equal.
    const beside = `.${randomUUID()}.new`;
    const made = await writeStack(added === null ? collect(root) : collectWhole(added), file + beside);
    await rename(file + beside, file);
    await writeFile(note + beside, JSON.stringify(made));
    await rename(note + beside, note);
  }
  const made = JSON.parse(await readFile(note, 'utf8')) as { digest: string; sizeBytes: number };
  return { ...made, open: () => createReadStream(file) };
}

async function writeStack(
  pieces: ReadonlyMap<string, Piece>,
  file: string,
): Promise<{ digest: string; sizeBytes: number }> {
  const out = createWriteStream(file, { mode: 0o600 });
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for (const bytes of tarOf(pieces)) {
    hash.update(bytes);
    sizeBytes += bytes.length;
    if (!out.write(bytes)) await new Promise<void>(resolve => out.once('drain', () => resolve()));
  }
  out.end();
  await finished(out);
  return { digest: hash.digest('hex'), sizeBytes };
}

/** Path -> what lies there, links of a merged /usr resolved. */
function collect(root: string): Map<string, Piece> {
  const installed = readInstalled(root);
  if (installed === null)
    throw new Error(
      'An image needs the parts of this machine that the app runs on, and only dpkg (Debian, Ubuntu) can say which these are.',
    );
  const pieces = new Map<string, Piece>();
  const listed = neededPackages(installed).flatMap(known => filesOf(root, known));
  const links = topLinks(root);
  for (const path of [...listed, ...GENERATED, ...alternativesOf(root)]) {
    const real = mergedPath(path, links);
    if (LEFT_OUT.test(real) || (real.startsWith('/etc') && !ETC_SHOWN.test(real) && !GENERATED.includes(real)))
      continue;
    const piece = pieceAt(root, real);
    if (piece !== null) pieces.set(real, piece);
  }
  for (const [path, target] of links)
    pieces.set(path, { kind: 'link', mode: 0o777, sizeBytes: 0, target, source: null });
  return furnished(pieces);
}

/** All of a root filesystem: what an app was built on there may be any part of it. */
function collectWhole(root: string): Map<string, Piece> {
  const pieces = new Map<string, Piece>();
  const walk = (folder: string): void => {
    for (const name of readdirSync(join(root, folder))) {
      const path = `${folder}/${name}`;
      const piece = LEFT_OUT.test(path) ? null : pieceAt(root, path);
      if (piece === null) continue;
      pieces.set(path, piece);
      if (piece.kind === 'folder') walk(path);
    }
  };
  walk('');
  return furnished(pieces);
}

/** With what every image has. */
function furnished(pieces: Map<string, Piece>): Map<string, Piece> {
  for (const [path, mode] of FOLDERS)
    pieces.set(path, { kind: 'folder', mode, sizeBytes: 0, target: '', source: null });
  for (const [path, text] of Object.entries(WRITTEN))
    pieces.set(path, { kind: 'file', mode: 0o644, sizeBytes: Buffer.byteLength(text), target: '', source: { text } });
  return pieces;
}

/** /bin -> usr/bin and the like, where /usr is merged: dpkg's lists still name files below them. */
function topLinks(root: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const path of ['/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'])
    if (lstatSync(join(root, path), { throwIfNoEntry: false })?.isSymbolicLink())
      found.set(path, readlinkSync(join(root, path)));
  return found;
}

function mergedPath(path: string, links: ReadonlyMap<string, string>): string {
  const top = `/${path.split('/')[1] ?? ''}`;
  const target = links.get(top);
  return target === undefined ? path : posix.join('/', target, path.slice(top.length));
}

/** awk, say, is a link to a link in /etc/alternatives, which no package lists. */
function alternativesOf(root: string): string[] {
  return ['awk', 'nawk'].flatMap(name => {
    const link = `/usr/bin/${name}`;
    return lstatSync(join(root, link), { throwIfNoEntry: false }) === undefined
      ? []
      : [link, `/etc/alternatives/${name}`];
  });
}

function pieceAt(root: string, path: string): Piece | null {
  const stat = lstatSync(join(root, path), { throwIfNoEntry: false });
  if (stat === undefined) return null;
  const plain = { sizeBytes: 0, target: '', source: null };
  if (stat.isDirectory()) return { ...plain, kind: 'folder', mode: stat.mode & 0o755 };
  if (stat.isSymbolicLink()) return { ...plain, kind: 'link', mode: 0o777, target: readlinkSync(join(root, path)) };
  if (!stat.isFile() || (stat.mode & 0o004) === 0) return null;
  return {
    kind: 'file',
    mode: stat.mode & 0o755,
    sizeBytes: stat.size,
    target: '',
    source: { file: join(root, path) },
  };
}

function* tarOf(pieces: ReadonlyMap<string, Piece>): Iterable<Buffer> {
  const order = [...pieces.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  for (const path of order) {
    const piece = pieces.get(path) as Piece;
    yield* tarHeader({ ...piece, name: path.slice(1), owner: 0 });
    if (piece.source === null) continue;
    if ('text' in piece.source) yield Buffer.from(piece.source.text);
    else yield* bytesOf(piece.source.file, piece.sizeBytes);
    yield tarPadding(piece.sizeBytes);
  }
  yield tarEnd();
}

function* bytesOf(file: string, sizeBytes: number): Iterable<Buffer> {
  const fd = openSync(file, 'r');
  try {
    for (let at = 0; at < sizeBytes; ) {
      const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, sizeBytes - at));
      const got = readSync(fd, chunk, 0, chunk.length, at);
      if (got === 0) throw new Error(`${file} became shorter while it was packed`);
      at += got;
      yield chunk.subarray(0, got);
    }
  } finally {
    closeSync(fd);
  }
}
