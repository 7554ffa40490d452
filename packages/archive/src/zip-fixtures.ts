/** Zips built byte by byte, so that every lie can be told: for tests. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { crc32, deflateRawSync } from 'node:zlib';

export interface ForgedEntry {
  name: string;
  content?: string | Buffer;
  /** Unix mode with its type bits; 0: none, as Windows writes. */
  mode?: number;
  deflate?: boolean;
  /** Lies: what headers say instead of the truth. */
  saidSize?: number;
  saidCompressed?: number;
  saidCrc?: number;
  saidOffset?: number;
  flags?: number;
  method?: number;
  /** Bytes between local header and data. */
  localExtra?: Buffer;
  /** Sizes and checksum behind the data, as streaming writers do it (Go, Java): the local header has zeros. */
  descriptor?: boolean;
  /** Sizes and offset in a Zip64 field of the directory, 0xffffffff in their places. Left out ones are true. */
  zip64?: { size?: bigint; compressed?: bigint; offset?: bigint };
}

const DESCRIPTOR = 0x0008;
const MAX_32 = 0xffff_ffff;

export function forgeZip(entries: readonly ForgedEntry[]): Buffer {
  const locals: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const entry of entries) {
    const name = Buffer.from(entry.name);
    const content = Buffer.from(entry.content ?? '');
    const data = entry.deflate === true ? deflateRawSync(content) : content;
    const said = {
      crc: entry.saidCrc ?? crc32(content),
      compressed: entry.saidCompressed ?? data.length,
      size: entry.saidSize ?? content.length,
    };
    const local = common(entry, name, entry.descriptor ? { crc: 0, compressed: 0, size: 0 } : said);
    const extra = entry.localExtra ?? Buffer.alloc(0);
    local.writeUInt16LE(extra.length, 24);
    const behind = entry.descriptor ? descriptorOf(said) : Buffer.alloc(0);
    const written = [Buffer.from('PK\x03\x04', 'latin1'), local, name, extra, data, behind];
    locals.push(...written);
    directory.push(...centralOf(entry, name, { ...said, offset: entry.saidOffset ?? offset }));
    offset += Buffer.concat(written).length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 0, 'latin1');
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, central, end]);
}

interface Said {
  crc: number;
  compressed: number;
  size: number;
}

/** What local and central headers have in common, from the version on. */
function common(entry: ForgedEntry, name: Buffer, { crc, compressed, size }: Said): Buffer {
  const bytes = Buffer.alloc(26);
  bytes.writeUInt16LE(20, 0);
  bytes.writeUInt16LE((entry.flags ?? 0x0800) | (entry.descriptor ? DESCRIPTOR : 0), 2);
  bytes.writeUInt16LE(entry.method ?? (entry.deflate === true ? 8 : 0), 4);
  bytes.writeUInt32LE(crc, 10);
  bytes.writeUInt32LE(compressed, 14);
  bytes.writeUInt32LE(size, 18);
  bytes.writeUInt16LE(name.length, 22);
  return bytes;
}

function centralOf(entry: ForgedEntry, name: Buffer, { offset, ...said }: Said & { offset: number }): Buffer[] {
  const { zip64 } = entry;
  const extra =
    zip64 === undefined
      ? Buffer.alloc(0)
      : zip64Field([
          zip64.size ?? BigInt(said.size),
          zip64.compressed ?? BigInt(said.compressed),
          zip64.offset ?? BigInt(offset),
        ]);
  const shown = zip64 === undefined ? said : { ...said, size: MAX_32, compressed: MAX_32 };
  const head = common(entry, name, shown);
  head.writeUInt16LE(extra.length, 24);
  const rest = Buffer.alloc(14);
  rest.writeUInt32LE(((entry.mode ?? 0o100644) << 16) >>> 0, 6);
  rest.writeUInt32LE(zip64 === undefined ? offset : MAX_32, 10);
  return [Buffer.from('PK\x01\x02\x14\x03', 'latin1'), head, rest, name, extra];
}

function zip64Field(values: readonly bigint[]): Buffer {
  const field = Buffer.alloc(4 + values.length * 8);
  field.writeUInt16LE(1, 0);
  field.writeUInt16LE(values.length * 8, 2);
  for (const [at, value] of values.entries()) field.writeBigUInt64LE(value, 4 + at * 8);
  return field;
}

function descriptorOf({ crc, compressed, size }: Said): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.write('PK\x07\x08', 0, 'latin1');
  bytes.writeUInt32LE(crc, 4);
  bytes.writeUInt32LE(compressed, 8);
  bytes.writeUInt32LE(size, 12);
  return bytes;
}

/** Everything below a folder, links as links: `readdir`'s own recursion goes where they lead. */
export function everythingBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap(found => {
    const path = join(folder, found.name);
    return found.isDirectory() ? [path, ...everythingBelow(path)] : [path];
  });
}
