import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatBytes, parseLogRate, parseSize, parseSizeMb } from './size.ts';

const unit = fc.constantFrom('B', 'K', 'KB', 'KiB', 'M', 'MB', 'MiB', 'G', 'GB', 'GiB', 'T', 'TB', 'TiB');
const factor: Record<string, number> = { B: 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4 };

test('parseSize() multiplies by the unit, whatever its case', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4_000 }), unit, fc.boolean(), (count, name, isLower) => {
      const text = `${count}${isLower ? name.toLowerCase() : name}`;
      expect(parseSize(text, 'Memory')).toEqual({ bytes: count * (factor[name[0] ?? ''] ?? Number.NaN) });
    }),
  );
});

test('parseSize() takes back what formatBytes() says', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 45 }), bytes => {
      expect(parseSize(formatBytes(bytes), 'Log rate')).toEqual({ bytes });
    }),
  );
});

test('parseSizeMb() never answers more than was asked, and cuts less than 1 MB off', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 40 }), bytes => {
      const size = parseSizeMb(`${bytes}B`, 'Memory');
      const mb = 'mb' in size ? size.mb : Number.NaN;
      expect(mb * 1024 ** 2).toBeLessThanOrEqual(bytes);
      expect((mb + 1) * 1024 ** 2).toBeGreaterThan(bytes);
    }),
  );
});

test('parseSize() answers a sentence, and never throws, for any text', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.double(), fc.boolean(), fc.constant(null), fc.object()), value => {
      const size = parseSize(value, 'Memory');
      expect(
        'bytes' in size
          ? Number.isSafeInteger(size.bytes) || Math.abs(size.bytes) > 2 ** 53
          : /^Memory /.test(size.error),
      ).toBe(true);
    }),
  );
});

test.each([
  ['512', 'Memory must use a supported unit: B, K, KB, M, MB, G, GB, T, or TB'],
  ['1X', 'Memory must use a supported unit: B, K, KB, M, MB, G, GB, T, or TB'],
  ['big', 'Memory is not a number'],
  ['', 'Memory is not a number'],
  ['M', 'Memory is not a number'],
])('parseSize() says what is wrong with %j as CF does', (text, error) => {
  expect(parseSize(text, 'Memory')).toEqual({ error });
});

test('parseSizeMb() reads halves', () => {
  expect(parseSizeMb('1.5G', 'Memory')).toEqual({ mb: 1_536 });
  expect(parseSizeMb(' 64M ', 'Memory')).toEqual({ mb: 64 });
});

test('parseLogRate() knows no limit and no logs', () => {
  expect(parseLogRate(-1, 'Log rate')).toEqual({ bytes: -1 });
  expect(parseLogRate('0', 'Log rate')).toEqual({ bytes: 0 });
  expect(parseLogRate('16K', 'Log rate')).toEqual({ bytes: 16_384 });
});
