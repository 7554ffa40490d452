import { expect, test } from 'vitest';
import { centralHeader, nameOf } from './zip-headers.ts';
import { shiftRecords } from './zip-own.ts';

const FOUR_GIB = 2 ** 32;
const entry = { path: 'a', kind: 'file', mode: 0o644, method: 0, crc32: 1 } as const;
const record = (offset: number, sizeBytes = 7): Buffer =>
  centralHeader({ ...entry, sizeBytes, compressedBytes: sizeBytes }, nameOf(entry), { offset, isDescribed: false });

test('shiftRecords() moves each entry, and no other byte', () => {
  const before = Buffer.concat([record(100), record(200)]);
  expect(shiftRecords(before, 60)).toEqual(Buffer.concat([record(40), record(140)]));
  expect(before).toEqual(Buffer.concat([record(100), record(200)]));
});

test('shiftRecords() moves what lies beyond 4 GiB, and keeps its long number', () => {
  expect(shiftRecords(record(FOUR_GIB + 100), 60)).toEqual(record(FOUR_GIB + 40));
  const shorter = shiftRecords(record(FOUR_GIB + 100), 200);
  expect(shorter.readUInt32LE(42)).toBe(0xffff_ffff);
  expect(Number(shorter.readBigUInt64LE(shorter.length - 8))).toBe(FOUR_GIB - 100);
});

test('shiftRecords() keeps long sizes of an entry whose place is short', () => {
  const large = record(100, FOUR_GIB);
  expect(shiftRecords(large, 60)).toEqual(record(40, FOUR_GIB));
});
