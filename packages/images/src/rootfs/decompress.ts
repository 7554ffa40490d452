/** The content of a file without its compression, told by its first bytes: gzip, Zstandard, xz, or none. */
import { spawn } from 'node:child_process';
import { closeSync, createReadStream, openSync, readSync } from 'node:fs';
import { Duplex, pipeline, type Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';

const MAGIC: ReadonlyArray<readonly [open: () => Duplex, bytes: Buffer]> = [
  [createGunzip, Buffer.from([0x1f, 0x8b])],
  [createZstdDecompress, Buffer.from([0x28, 0xb5, 0x2f, 0xfd])],
  [unxz, Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00])],
];
const LONGEST = 6;

/** What goes wrong with the file or its packing is an error of the stream. */
export function openPlain(file: string): Readable {
  const head = Buffer.alloc(LONGEST);
  const fd = openSync(file, 'r');
  readSync(fd, head, 0, LONGEST, 0);
  closeSync(fd);
  const source = createReadStream(file);
  const open = MAGIC.find(([, bytes]) => head.subarray(0, bytes.length).equals(bytes))?.[0];
  if (open === undefined) return source;
  const out = open();
  pipeline(source, out, () => undefined); // An error destroys `out`, whose reader is told.
  return out;
}

/** Node.js has no xz: the machine's own is used. */
function unxz(): Duplex {
  const child = spawn('xz', ['-dc'], { stdio: ['pipe', 'pipe', 'ignore'] });
  const out = Duplex.from({ writable: child.stdin, readable: child.stdout });
  child.once('error', () =>
    out.destroy(new Error('it is packed with xz, which is not installed here (Debian package xz-utils)')),
  );
  child.once('exit', code => {
    if (code !== 0) out.destroy(new Error('it is not packed as xz, or damaged'));
  });
  return out;
}
