/**
 * A droplet that was uploaded, as `cf download-droplet` gave it or a Cloud Foundry made it (a tar of `./app`, `./deps`, `./profile.d` ...), taken apart into
 * layers: the app's below /home/vcap, and one for each toolchain that a download of ours joined to it (docs/decisions/0002). Nothing is unpacked; names,
 * kinds and sizes are judged by the rules of every archive, so that a cell later takes what was taken here. Owners and times are set anew.
 */
import { createHash } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { join, posix } from 'node:path';
import { Readable } from 'node:stream';
import { ArchiveRefusedError } from '@cupola/model/errors';
import { PUSH_LIMITS } from '@cupola/model/limits';
import { extract, type Header } from 'tar-stream';
import { createPlan } from './plan.ts';
import { type TarEntry, tarEnd, tarHeader, tarPadding } from './tar-bytes.ts';
import { takeTurns } from './turns.ts';
import { NAMES_MAX } from './zip-read.ts';

export interface SplitLayer {
  kind: 'toolchain' | 'app';
  mountPath: string;
  /** The plain tar, beside the others in the folder that was named. */
  file: string;
  /** sha-256, hex. */
  digest: string;
  sizeBytes: number;
}

export interface SplitDroplet {
  /** Toolchains by name, then the app. */
  layers: SplitLayer[];
  /** What its builder says of it; null when it says nothing. */
  stagingInfo: string | null;
}

const HOME = 'home/vcap';
/** An app's own uid and gid; toolchains are root's. */
const VCAP = 2000;
/** Folders that each instance has, whatever the droplet brings. */
const ALWAYS = ['', 'app', 'deps', 'logs', 'profile.d', 'tmp'];
const STAGING_INFO = 'staging_info.yml';
const STAGING_INFO_MAX_BYTES = 64 * 1024;
/** Names of ours: `node-24.21.0`. */
const TOOLCHAIN = /^[A-Za-z0-9][\w.+-]{0,99}$/;
const TOOLCHAINS_MAX = 16;

/**
 * @param source the plain tar.
 * @param folder where the layers' tars are written; of no use when this throws, and the caller's to remove.
 * @throws ArchiveRefusedError naming the entry and the rule; errors of the source and of the disk as they are.
 */
export async function splitDroplet(
  source: AsyncIterable<Buffer>,
  { folder, unpackedMaxBytes }: { folder: string; unpackedMaxBytes: number },
): Promise<SplitDroplet> {
  const layers = new Map<string, LayerWriter>();
  const writerOf = (mountPath: string): LayerWriter => {
    const found = layers.get(mountPath);
    if (found !== undefined) return found;
    if (layers.size > TOOLCHAINS_MAX)
      throw new ArchiveRefusedError(mountPath, `is one too many: at most ${TOOLCHAINS_MAX} toolchains are taken`);
    const opened = openLayer(join(folder, String(layers.size)), mountPath);
    layers.set(mountPath, opened);
    return opened;
  };
  const state = { layers: writerOf, plan: createPlan({ entriesMax: NAMES_MAX }), left: unpackedMaxBytes };
  const app = writerOf(`/${HOME}`);
  for (const name of ALWAYS) app.add(folderEntry(name === '' ? HOME : `${HOME}/${name}`));
  let stagingInfo: string | null = null;
  try {
    const entries = extract();
    const feed = Readable.from(source, { objectMode: false });
    feed.on('error', error => entries.destroy(error));
    feed.pipe(entries);
    const turns = takeTurns();
    for await (const entry of entries) {
      await turns();
      const text = await takeEntry(entry.header, entry as AsyncIterable<Buffer>, state);
      stagingInfo ??= text;
    }
    state.plan.checkedLinks();
  } catch (error) {
    for (const layer of layers.values()) layer.close();
    throw asRefusal(error);
  }
  const finished = [...layers.values()].map(layer => layer.finish());
  return { layers: finished.sort((a, b) => (a.kind === b.kind ? 0 : a.kind === 'app' ? 1 : -1)), stagingInfo };
}

interface State {
  layers(mountPath: string): LayerWriter;
  plan: ReturnType<typeof createPlan>;
  /** Bytes that may still come. */
  left: number;
}

/** Returns the text of the builder's note, and null for all else. */
async function takeEntry(header: Header, content: AsyncIterable<Buffer>, state: State): Promise<string | null> {
  const name = safeName(header.name);
  const place = placeOf(name);
  const layer = place === null ? null : state.layers(place.mountPath);
  const entry = place === null ? null : entryOf(header, place);
  if (entry !== null && layer !== null && judge(state, entry)) layer.add(entry);
  const note: Buffer[] = [];
  for await (const piece of content) {
    if (layer === null) continue;
    state.left -= piece.length;
    if (state.left < 0) throw new ArchiveRefusedError(name, 'makes the droplet larger than the app may be on disk');
    layer.write(piece);
    if (name === STAGING_INFO && (header.size ?? 0) <= STAGING_INFO_MAX_BYTES) note.push(Buffer.from(piece));
  }
  if (entry?.kind === 'file') layer?.write(tarPadding(entry.sizeBytes));
  return note.length === 0 ? null : Buffer.concat(note).toString('utf8');
}

/** The same rules as when a layer is unpacked. False: a folder that is there already. */
function judge({ plan }: State, { kind, name, target }: TarEntry): boolean {
  if (kind === 'folder') {
    if (ALWAYS.some(always => name === posix.join(HOME, always))) return false;
    plan.addFolder(name);
  } else if (kind === 'link') plan.addLink(name, target);
  else plan.addFile(name);
  return true;
}

interface Place {
  mountPath: string;
  /** In the layer's tar. */
  name: string;
}

/** Null for what is only a folder around others. */
function placeOf(name: string): Place | null {
  if (name === '' || name === 'toolchains') return null;
  const [first, toolchain = ''] = name.split('/');
  if (first !== 'toolchains') return { mountPath: `/${HOME}`, name: `${HOME}/${name}` };
  if (!TOOLCHAIN.test(toolchain)) throw new ArchiveRefusedError(name, 'is no toolchain');
  return { mountPath: `/toolchains/${toolchain}`, name };
}

function safeName(raw: string): string {
  const refuse = (rule: string): never => {
    throw new ArchiveRefusedError(raw.slice(0, 200), rule);
  };
  if (raw.includes('\0')) refuse('has a NUL in its name');
  if (raw.startsWith('/')) refuse('has an absolute name');
  const parts = raw.split('/').filter(part => part !== '' && part !== '.');
  if (parts.includes('..')) refuse('leaves the archive by ".."');
  if (parts.length > PUSH_LIMITS.depthMax) refuse(`lies more than ${PUSH_LIMITS.depthMax} folders deep`);
  const name = parts.join('/');
  if (Buffer.byteLength(name) > PUSH_LIMITS.pathMaxBytes)
    refuse(`has a name of more than ${PUSH_LIMITS.pathMaxBytes} bytes`);
  return name;
}

const KINDS: Partial<Record<NonNullable<Header['type']>, TarEntry['kind']>> = {
  file: 'file',
  'contiguous-file': 'file',
  directory: 'folder',
  symlink: 'link',
};

function entryOf({ type, mode, size, linkname }: Header, { name, mountPath }: Place): TarEntry {
  const kind = KINDS[type ?? 'file'];
  if (kind === undefined) throw new ArchiveRefusedError(name, `is a ${type}, not a file, folder or link`);
  const owner = mountPath === `/${HOME}` ? VCAP : 0;
  const runnable = kind === 'folder' || ((mode ?? 0) & 0o100) !== 0;
  return {
    kind,
    name,
    mode: kind === 'link' ? 0o777 : runnable ? 0o755 : 0o644,
    owner,
    sizeBytes: kind === 'file' ? (size ?? 0) : 0,
    target: kind === 'link' ? relativeTarget(name, linkname ?? '') : '',
  };
}

/** A link to an absolute path below the app's folder, as the relative link it stands for; the plan refuses all others. */
function relativeTarget(name: string, target: string): string {
  if (!target.startsWith(`/${HOME}/`)) return target;
  return posix.relative(posix.dirname(`/${name}`), target);
}

const folderEntry = (name: string): TarEntry => ({
  kind: 'folder',
  name,
  mode: 0o755,
  owner: VCAP,
  sizeBytes: 0,
  target: '',
});

interface LayerWriter {
  add(entry: TarEntry): void;
  write(bytes: Buffer): void;
  finish(): SplitLayer;
  close(): void;
}

/** So much is gathered before it is written. */
const WRITE_BYTES = 256 * 1024;

function openLayer(file: string, mountPath: string): LayerWriter {
  const fd = openSync(file, 'wx', 0o600);
  const hash = createHash('sha256');
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  let sizeBytes = 0;
  const flush = (): void => {
    const bytes = Buffer.concat(pending);
    hash.update(bytes);
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
    pending = [];
    pendingBytes = 0;
  };
  const write = (bytes: Buffer): void => {
    pending.push(bytes);
    pendingBytes += bytes.length;
    sizeBytes += bytes.length;
    if (pendingBytes >= WRITE_BYTES) flush();
  };
  return {
    write,
    add: entry => {
      for (const header of tarHeader(entry)) write(header);
    },
    finish: () => {
      write(tarEnd());
      flush();
      closeSync(fd);
      const kind = mountPath === `/${HOME}` ? 'app' : 'toolchain';
      return { kind, mountPath, file, digest: hash.digest('hex'), sizeBytes };
    },
    close: () => closeSync(fd),
  };
}

/** What the parser says of a broken tar or of broken compression is not the disk's fault. */
function asRefusal(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof ArchiveRefusedError) return error;
  if ('code' in error && !/^Z_/.test(String(error.code))) return error;
  return new ArchiveRefusedError('(droplet)', `cannot be read as a gzipped tar: ${error.message}`);
}
