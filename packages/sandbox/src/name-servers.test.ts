import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { tempFolder } from './fixtures.ts';
import { readNameServers } from './name-servers.ts';

test('readNameServers() passes over loopback and other families, and asks the next file where nothing is left', () => {
  using folder = tempFolder();
  const [first, second] = [join(folder.path, 'resolv.conf'), join(folder.path, 'upstream')];
  writeFileSync(first, '# made by a machine\nnameserver 127.0.0.53\nnameserver ::1\noptions edns0\n');
  writeFileSync(second, 'nameserver 192.0.2.53\n nameserver 192.0.2.54\nnameserver fe80::1\n');
  expect(readNameServers([first, second])).toEqual(['192.0.2.53', '192.0.2.54']);
  expect(readNameServers([first])).toEqual([]);
  expect(readNameServers([join(folder.path, 'none'), second])).toHaveLength(2);
});
