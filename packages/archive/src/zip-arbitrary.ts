/** Zips that lie, for property tests: of names, links, types, sizes, offsets and checksums, and with bytes turned anywhere. */
import fc from 'fast-check';
import { type ForgedEntry, forgeZip } from './zip-fixtures.ts';

const part = fc.constantFrom('a', 'b', 'link', '..', '.', '', 'C:', 'x\\y', '\0');
const path = fc.array(part, { minLength: 1, maxLength: 4 }).map(parts => parts.join('/'));
const lie: fc.Arbitrary<ForgedEntry> = fc.record(
  {
    name: path,
    content: fc.oneof(path, fc.string({ maxLength: 40 }), fc.constant('/etc/passwd')),
    mode: fc.constantFrom(0, 0o100644, 0o120777, 0o040755, 0o104755, 0o020666),
    deflate: fc.boolean(),
    saidSize: fc.nat(100),
    saidCompressed: fc.nat(100),
    saidOffset: fc.nat(200),
    flags: fc.constantFrom(0, 0x0800, 0x0008, 1),
    descriptor: fc.boolean(),
    localExtra: fc.uint8Array({ maxLength: 80 }).map(bytes => Buffer.from(bytes)),
    zip64: fc.record(
      { size: fc.bigInt(0n, 2n ** 64n - 1n), compressed: fc.bigInt(0n, 300n), offset: fc.bigInt(0n, 2n ** 64n - 1n) },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: ['name', 'content'] },
);
/** Honest, and often in the way of another one. */
const honest: fc.Arbitrary<ForgedEntry> = fc.record(
  {
    name: fc.constantFrom('a', 'b', 'c/d', 'c/e', 'c/', 'f/g/h', './i', 'c/link', 'j'),
    content: fc.constantFrom('a', 'b', '..', 'c/d', '../b', 'x'.repeat(300)),
    mode: fc.constantFrom(0, 0o100644, 0o100755, 0o120777),
    deflate: fc.boolean(),
    descriptor: fc.boolean(),
    zip64: fc.constant({}),
  },
  { requiredKeys: ['name', 'content'] },
);
const entry = fc.oneof({ arbitrary: honest, weight: 9 }, { arbitrary: lie, weight: 1 });
const flips = fc.oneof(
  { arbitrary: fc.constant([]), weight: 2 },
  { arbitrary: fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 3 }), weight: 1 },
);

/** The bytes of a zip file; now and then of a good one. */
export const hostileZip: fc.Arbitrary<Buffer> = fc
  .tuple(fc.array(entry, { maxLength: 6 }), flips)
  .map(([entries, turned]) => {
    const bytes = forgeZip(entries);
    for (const [at, value] of turned) bytes.writeUInt8(value, at % bytes.length);
    return bytes;
  });
