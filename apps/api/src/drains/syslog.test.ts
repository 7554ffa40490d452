import fc from 'fast-check';
import { expect, test } from 'vitest';
import { framed, syslogMessage } from './syslog.ts';

const names = {
  appGuid: 'app-guid',
  appName: 'My App_1',
  spaceGuid: 'space-guid',
  spaceName: 'dev',
  organizationGuid: 'org-guid',
  organizationName: 'a "b" ] c',
};
const line = {
  appGuid: 'app-guid',
  sourceType: 'APP/PROC/WEB',
  instanceId: '2',
  type: 'OUT' as const,
  timestampNs: 1_767_323_045_123_456_789n,
  line: 'hello',
};

test('syslogMessage() is RFC 5424 with the fields of CF', () => {
  const tags = [
    'app_id="app-guid"',
    'app_name="My App_1"',
    'instance_id="2"',
    'organization_id="org-guid"',
    'organization_name="a \\"b\\" \\] c"',
    'process_type="web"',
    'source_type="APP/PROC/WEB"',
    'space_id="space-guid"',
    'space_name="dev"',
  ].join(' ');
  const head = '<14>1 2026-01-02T03:04:05.123456+00:00 a-b--c.dev.My-App1 app-guid [APP/PROC/WEB/2] -';
  expect(syslogMessage(names, line)).toBe(`${head} [tags@47450 ${tags}] hello\n`);
});

test('syslogMessage() of stderr is an error', () => {
  expect(syslogMessage(names, { ...line, type: 'ERR' })).toMatch(/^<11>1 /);
});

test('syslogMessage() keeps a name that forges fields within its quotes', () => {
  const appName = 'x" app_id="victim"] <11>1';
  expect(syslogMessage({ ...names, appName }, line)).toContain('app_name="x\\" app_id=\\"victim\\"\\] <11>1"');
});

test('framed() counts octets, not characters', () => {
  expect(framed('é\n').toString()).toBe('3 é\n');
});

test('a receiver that counts octets finds every message again', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary' }), { minLength: 1, maxLength: 20 }), lines => {
      const messages = lines.map(text => syslogMessage(names, { ...line, line: text }));
      const stream = Buffer.concat(messages.map(framed));
      const found: string[] = [];
      for (let at = 0; at < stream.length; ) {
        const blank = stream.indexOf(' ', at);
        const length = Number(stream.subarray(at, blank));
        found.push(stream.subarray(blank + 1, blank + 1 + length).toString());
        at = blank + 1 + length;
      }
      expect(found).toEqual(messages.map(text => Buffer.from(text).toString()));
    }),
  );
});
