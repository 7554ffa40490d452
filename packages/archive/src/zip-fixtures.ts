/** Zips built byte by byte, so that every lie can be told: for tests. */
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
}

export function forgeZip(entries: readonly ForgedEntry[]): Buffer {
  const locals: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const entry of entries) {
    const name = Buffer.from(entry.name);
    const content = Buffer.from(entry.content ?? '');
    const data = entry.deflate === true ? deflateRawSync(content) : content;
    const extra = entry.localExtra ?? Buffer.alloc(0);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(entry.flags ?? 0x0800, 2);
    common.writeUInt16LE(entry.method ?? (entry.deflate === true ? 8 : 0), 4);
    common.writeUInt32LE(entry.saidCrc ?? crc32(content), 10);
    common.writeUInt32LE(entry.saidCompressed ?? data.length, 14);
    common.writeUInt32LE(entry.saidSize ?? content.length, 18);
    common.writeUInt16LE(name.length, 22);
    const local = Buffer.from(common);
    local.writeUInt16LE(extra.length, 24);
    locals.push(Buffer.from('PK\x03\x04', 'latin1'), local, name, extra, data);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(((entry.mode ?? 0o100644) << 16) >>> 0, 6);
    rest.writeUInt32LE(entry.saidOffset ?? offset, 10);
    directory.push(Buffer.from('PK\x01\x02\x14\x03', 'latin1'), common, rest, name);
    offset += 30 + name.length + extra.length + data.length;
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
