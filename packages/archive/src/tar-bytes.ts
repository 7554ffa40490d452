/**
 * The bytes of a folder as the plain tar of a layer: the same files give the same bytes, and so the same digest, wherever and whenever they are packed
 * (foundations.md 13): names in bytewise order, times 0, uid and gid 2000, two modes, no extended attributes.
 *
 * Runs under the uid of a build, over what that build left, after it has ended. Sockets, FIFOs and devices are left out: nothing of them could be run.
 * A link to an absolute path below the layer's own mount path is written as the relative link it stands for; any other absolute link is refused, as it is
 * when the layer is unpacked. Apart from `packTar`, so that who needs no digest loads no crypto.
 */
import { closeSync, lstatSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs';
import { join, posix } from 'node:path';
import { ArchiveRefusedError } from '@cupola/model/errors';

/** Uid and gid that an app sees as its own. */
const OWNER = 2000;
const BLOCK = 512;
/** So much is gathered before it is written: 20,000 small files need no 20,000 writes. */
const CHUNK_BYTES = 256 * 1024;
/** Name, and the folder part before it, of a ustar header. */
const NAME_BYTES = 100;
const PREFIX_BYTES = 155;

/**
 * In pieces of some 256 KiB. `prefix` (`home/vcap`, say) begins each name.
 * @throws ArchiveRefusedError for a name that is not UTF-8, or a link that no layer may hold; errors of the disk as they are.
 */
export function* tarBytes(folder: string, prefix: string): Iterable<Buffer> {
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  const gather = (chunk: Buffer): boolean => {
    pending.push(chunk);
    pendingBytes += chunk.length;
    return pendingBytes >= CHUNK_BYTES;
  };
  const take = (): Buffer => {
    const chunk = Buffer.concat(pending);
    pending = [];
    pendingBytes = 0;
    return chunk;
  };
  for (const entry of walk(folder, prefix)) {
    for (const header of tarHeader(entry)) if (gather(header)) yield take();
    if (entry.kind !== 'file') continue;
    for (const chunk of content(join(folder, entry.path), entry)) if (gather(chunk)) yield take();
  }
  gather(tarEnd());
  yield take();
}

/** One entry of a tar. */
export interface TarEntry {
  kind: 'file' | 'folder' | 'link';
  /** Without the slash that ends a folder's. */
  name: string;
  mode: number;
  /** Uid and gid. */
  owner: number;
  /** Of a file. */
  sizeBytes: number;
  /** Of a link. */
  target: string;
  /** Since the epoch, of the content; absent: 0, so that the same files give the same bytes. */
  mtimeSeconds?: number;
}

interface Found extends TarEntry {
  /** Below the packed folder; empty for that folder itself. */
  path: string;
}

/** Each folder before what is in it, names in the order of their UTF-8 bytes, which no locale changes. */
function* walk(folder: string, prefix: string, path = ''): Iterable<Found> {
  const plain = { owner: OWNER, sizeBytes: 0, target: '' };
  yield { ...plain, kind: 'folder', path, name: posix.join(prefix, path), mode: 0o755 };
  const children = readdirSync(join(folder, path), { withFileTypes: true });
  children.sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
  for (const child of children) {
    const below = path === '' ? child.name : `${path}/${child.name}`;
    const name = posix.join(prefix, below);
    if (child.name.includes('\ufffd')) throw new ArchiveRefusedError(below, 'has a name that is not UTF-8');
    if (child.isDirectory()) yield* walk(folder, prefix, below);
    else if (child.isSymbolicLink()) {
      const target = linkTarget(folder, prefix, below);
      yield { ...plain, kind: 'link', path: below, name, mode: 0o777, target };
    } else if (child.isFile()) {
      const { mode, size } = lstatSync(join(folder, below));
      const executable = (mode & 0o100) !== 0;
      yield { ...plain, kind: 'file', path: below, name, mode: executable ? 0o755 : 0o644, sizeBytes: size };
    }
  }
}

function linkTarget(folder: string, prefix: string, path: string): string {
  const target = readlinkSync(join(folder, path));
  if (!target.startsWith('/')) return target;
  const mountPath = `/${prefix}`;
  if (target !== mountPath && !target.startsWith(`${mountPath}/`))
    throw new ArchiveRefusedError(path, `is a link to the absolute path "${target}"`);
  return posix.relative(posix.dirname(posix.join(mountPath, path)), target) || '.';
}

/** A file's bytes, then zeros up to the next whole block. Exactly as many as its header says. */
function* content(file: string, { sizeBytes, path }: Found): Iterable<Buffer> {
  const fd = openSync(file, 'r');
  try {
    for (let at = 0; at < sizeBytes; ) {
      const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, sizeBytes - at));
      const got = readSync(fd, chunk, 0, chunk.length, at);
      if (got === 0) throw new Error(`${path} became shorter while it was packed`);
      at += got;
      yield chunk.subarray(0, got);
    }
  } finally {
    closeSync(fd);
  }
  yield tarPadding(sizeBytes);
}

/** What follows a file's bytes. */
export function tarPadding(sizeBytes: number): Buffer {
  return Buffer.alloc((BLOCK - (sizeBytes % BLOCK)) % BLOCK);
}

/** What follows the last entry. */
export function tarEnd(): Buffer {
  return Buffer.alloc(2 * BLOCK);
}

/** An entry's header, with one before it for a name or target that is too long for it. */
export function* tarHeader(entry: TarEntry): Iterable<Buffer> {
  const name = entry.kind === 'folder' ? `${entry.name}/` : entry.name;
  const split = splitName(name);
  const records: string[] = [];
  if (split === null) records.push(paxRecord('path', name));
  if (Buffer.byteLength(entry.target) > NAME_BYTES) records.push(paxRecord('linkpath', entry.target));
  if (records.length > 0) {
    const body = Buffer.from(records.join(''));
    yield header({ ...entry, name: '././@PaxHeader', type: 'x', mode: 0o644, sizeBytes: body.length, target: '' });
    yield body;
    yield tarPadding(body.length);
  }
  yield header({
    ...entry,
    name: split?.name ?? '././@LongName',
    prefix: split?.prefix ?? '',
    type: entry.kind === 'file' ? '0' : entry.kind === 'link' ? '2' : '5',
    target: Buffer.byteLength(entry.target) > NAME_BYTES ? '' : entry.target,
  });
}

/** Where a long name may be cut so that both halves fit a ustar header; null when nowhere. */
function splitName(name: string): { name: string; prefix: string } | null {
  const bytes = Buffer.from(name);
  if (bytes.length <= NAME_BYTES) return { name, prefix: '' };
  if (bytes.length > NAME_BYTES + 1 + PREFIX_BYTES) return null;
  const slash = bytes.indexOf('/', bytes.length - NAME_BYTES - 1);
  if (slash <= 0 || slash > PREFIX_BYTES || slash === bytes.length - 1) return null;
  return { prefix: bytes.toString('utf8', 0, slash), name: bytes.toString('utf8', slash + 1) };
}

/** `LENGTH key=value` and a newline, where the length counts itself. */
function paxRecord(key: string, value: string): string {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest + 1;
  while (String(length).length + rest !== length) length = String(length).length + rest;
  return `${length} ${key}=${value}\n`;
}

interface HeaderFields extends Omit<TarEntry, 'kind'> {
  prefix?: string;
  type: string;
}

/** POSIX ustar; numbers are octal, a NUL ends each. */
function header({ name, prefix = '', type, mode, owner, sizeBytes, target, mtimeSeconds = 0 }: HeaderFields): Buffer {
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, digits: number): void => {
    block.write(value.toString(8).padStart(digits, '0'), at, 'latin1');
  };
  block.write(name, 0);
  octal(mode, 100, 7);
  octal(owner, 108, 7);
  octal(owner, 116, 7);
  octal(sizeBytes, 124, 11);
  octal(mtimeSeconds, 136, 11);
  block.fill(' ', 148, 156);
  block.write(type, 156);
  block.write(target, 157);
  block.write('ustar\x0000', 257, 'latin1');
  block.write(prefix, 345);
  let sum = 0;
  for (const byte of block) sum += byte;
  octal(sum, 148, 6);
  block[154] = 0;
  return block;
}
