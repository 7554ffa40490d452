import { expect, test } from 'vitest';
import { isLost, lostFiles } from './lost-files.ts';

test.each([
  ['/home/vcap/app/data.db', true],
  ['/home/vcap/app/uploads/a.png', true],
  ['/home/vcap/app/log/production.log', false],
  ['/home/vcap/app/node_modules/.cache/x', false],
  ['/home/vcap/app/server.pid', false],
  ['/home/vcap/app/data.db (deleted)', false],
  ['/home/vcap/logs/x', false],
  ['/tmp/x', false],
  ['socket:[1]', false],
])('isLost(%j) is %s', (path, lost) => {
  expect(isLost(path)).toBe(lost);
});

test('lostFiles() of a process that is not there is empty', async () => {
  expect(await lostFiles(2 ** 22 + 1)).toEqual([]);
});
