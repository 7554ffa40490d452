import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { listenAddress, readSettings } from './settings.ts';

const schema = z.object({
  CUPOLA_DATABASE_URL: z.url({ protocol: /^postgres$/, error: 'write postgres://USER:PASSWORD@HOST/DATABASE' }),
  CUPOLA_LISTEN: listenAddress,
  CUPOLA_ZONE: z.string().default('z1'),
});
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cupola-settings-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('a setting is its variable, or what lies in the file that is named instead', () => {
  const file = join(folder, 'url');
  writeFileSync(file, 'postgres://cupola:secret@db/cupola\n');
  expect(readSettings(schema, { CUPOLA_DATABASE_URL_FILE: file, CUPOLA_LISTEN: '[::]:8081' })).toEqual({
    CUPOLA_DATABASE_URL: 'postgres://cupola:secret@db/cupola',
    CUPOLA_LISTEN: { host: '::', port: 8081 },
    CUPOLA_ZONE: 'z1',
  });
});

test('everything that is wrong is said at once, and nothing of what was given', () => {
  const missing = join(folder, 'none');
  const read = (environment: Record<string, string>) => () => readSettings(schema, environment);
  expect(read({})).toThrow(
    'CUPOLA_DATABASE_URL is not set (or CUPOLA_DATABASE_URL_FILE)\nCUPOLA_LISTEN is not set (or CUPOLA_LISTEN_FILE)',
  );
  expect(read({ CUPOLA_DATABASE_URL: 'mysql://secret@db', CUPOLA_LISTEN: '8081' })).toThrow(
    /^CUPOLA_DATABASE_URL: write postgres:\/\/USER:PASSWORD@HOST\/DATABASE\nCUPOLA_LISTEN: write HOST:PORT, for example 0\.0\.0\.0:8081$/,
  );
  expect(read({ CUPOLA_DATABASE_URL_FILE: missing, CUPOLA_LISTEN: 'a:1', CUPOLA_LISTEN_FILE: missing })).toThrow(
    `CUPOLA_DATABASE_URL_FILE: ${missing} cannot be read (ENOENT)\nCUPOLA_LISTEN and CUPOLA_LISTEN_FILE are both set: keep one of them`,
  );
});
