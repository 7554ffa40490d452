/** What a jar or war holds, as far as a start needs to know: its manifest, and how many classes it has. Nothing of it is unpacked. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { inflateRawSync } from 'node:zlib';

export interface JarFacts {
  /** Main attributes of META-INF/MANIFEST.MF; empty where there is none. */
  manifest: ReadonlyMap<string, string>;
  /** Of itself, and of what it holds as jars by their number alone. */
  classes: number;
}

/** Of the directory of a jar: one with more than a hundred thousand entries is smaller. */
const DIRECTORY_MAX_BYTES = 32 * 1024 * 1024;
const MANIFEST_MAX_BYTES = 1024 * 1024;
/** A library in a jar: so many classes as an average one has. */
const CLASSES_OF_NESTED = 220;
const END_BYTES = 22;
const COMMENT_MAX_BYTES = 65_535;
const END = 0x06054b50;
const ENTRY = 0x02014b50;

/** Null for what is no zip. */
export function readJar(path: string): JarFacts | null {
  const fd = openSync(path, 'r');
  try {
    return factsOf(fd);
  } catch {
    return null; // Cut off, or something else by that name: the build says so, or the start.
  } finally {
    closeSync(fd);
  }
}

/** Names of all that it holds; none of what is no zip. */
export function namesInJar(path: string): string[] {
  const fd = openSync(path, 'r');
  try {
    return [...entriesOf(readerOf(fd), fd)].map(({ name }) => name);
  } catch {
    return []; // As above.
  } finally {
    closeSync(fd);
  }
}

type Read = (position: number, length: number) => Buffer;

const readerOf =
  (fd: number): Read =>
  (position, length) => {
    const bytes = Buffer.alloc(length);
    if (readSync(fd, bytes, 0, length, position) !== length) throw new Error('it ends too early');
    return bytes;
  };

function factsOf(fd: number): JarFacts {
  const read = readerOf(fd);
  let classes = 0;
  let manifest: ReadonlyMap<string, string> = new Map();
  for (const { name, directory, entry } of entriesOf(read, fd)) {
    if (name.endsWith('.class')) classes++;
    if (name.endsWith('.jar')) classes += CLASSES_OF_NESTED;
    if (name.toUpperCase() === 'META-INF/MANIFEST.MF') manifest = parseManifest(content(read, directory, entry));
  }
  return { manifest, classes };
}

/** What the directory at a zip's end tells. */
function* entriesOf(read: Read, fd: number): Generator<{ name: string; directory: Buffer; entry: number }> {
  const { size } = fstatSync(fd);
  const tailBytes = Math.min(size, END_BYTES + COMMENT_MAX_BYTES);
  const tail = read(size - tailBytes, tailBytes);
  let at = tail.length - END_BYTES;
  while (at >= 0 && tail.readUInt32LE(at) !== END) at--;
  const bytes = tail.readUInt32LE(at + 12);
  if (bytes > DIRECTORY_MAX_BYTES) throw new Error('its directory is too large');
  const directory = read(tail.readUInt32LE(at + 16), bytes);
  for (let entry = 0; entry + 46 <= directory.length && directory.readUInt32LE(entry) === ENTRY; ) {
    const nameBytes = directory.readUInt16LE(entry + 28);
    const name = directory.toString('utf8', entry + 46, entry + 46 + nameBytes);
    yield { name, directory, entry };
    entry += 46 + nameBytes + directory.readUInt16LE(entry + 30) + directory.readUInt16LE(entry + 32);
  }
}

function content(read: Read, directory: Buffer, entry: number): string {
  const method = directory.readUInt16LE(entry + 10);
  const bytes = directory.readUInt32LE(entry + 20);
  const local = directory.readUInt32LE(entry + 42);
  if (bytes > MANIFEST_MAX_BYTES) return '';
  const header = read(local, 30);
  const raw = read(local + 30 + header.readUInt16LE(26) + header.readUInt16LE(28), bytes);
  return (method === 0 ? raw : inflateRawSync(raw, { maxOutputLength: MANIFEST_MAX_BYTES })).toString('utf8');
}

/** Main attributes: lines up to the first empty one; a line that begins with a space goes on with the one before. */
export function parseManifest(text: string): ReadonlyMap<string, string> {
  const main = text.replace(/\r\n?/g, '\n').replace(/\n /g, '').split('\n\n')[0] ?? '';
  return new Map(
    main.split('\n').flatMap(line => {
      const colon = line.indexOf(':');
      return colon < 1 ? [] : [[line.slice(0, colon), line.slice(colon + 1).trim()] as const];
    }),
  );
}
