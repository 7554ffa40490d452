import type { LogLine } from '@cupola/logs/log-store';
import { expect, test } from 'vitest';
import type { ScopedApp } from '../apps/find-app.ts';
import { createEnvelopes } from './envelopes.ts';

const app = {
  guid: 'app',
  name: 'web',
  space_guid: 'space',
  space_name: 'dev',
  organization_guid: 'org',
  organization_name: 'cupola',
} as ScopedApp;
const line: LogLine = {
  appGuid: 'app',
  sourceType: 'APP/PROC/WEB',
  instanceId: '3',
  type: 'OUT',
  timestampNs: 12n,
  line: 'größer "x"',
};
const batch = (text: Buffer) => JSON.parse(text.toString()).envelopes.batch;

test('createEnvelopes() gives all readers the same text of a line, and another one once the app has another name', () => {
  const envelopes = createEnvelopes();
  const read = (of: ScopedApp) => batch(envelopes.batchOf([{ line, answeredNs: 12n }], of))[0];
  expect(read(app)).toEqual(read(app));
  expect(read(app)).toMatchObject({
    timestamp: '12',
    tags: { app_name: 'web', source_type: 'APP/PROC/WEB', instance_id: '3' },
    log: { payload: Buffer.from(line.line).toString('base64'), type: 'OUT' },
  });
  expect(read({ ...app, name: 'shop' }).tags.app_name).toBe('shop');
  expect(read(app).tags.app_name).toBe('web');
});

test('createEnvelopes() answers a time that was set back to whom it was set back for, and nobody else', () => {
  const envelopes = createEnvelopes();
  const times = (...answered: bigint[]): string[] =>
    batch(
      envelopes.batchOf(
        answered.map(answeredNs => ({ line, answeredNs })),
        app,
      ),
    ).map(({ timestamp }: { timestamp: string }) => timestamp);
  expect([times(12n, 5n, 12n), times(12n), times()]).toEqual([['12', '5', '12'], ['12'], []]);
});
