import { StagingFailedError } from '@cupola/model/errors';
import { expect, test } from 'vitest';
import { aFolder } from './fixtures.ts';
import { parseProcfile, readProcfile } from './procfile.ts';

test('parseProcfile() reads a line for each process type, comments and empty lines aside', async () => {
  const text = '# how it runs\nweb: node server.js --port $PORT\n\nworker:  node worker.js  \r\n';
  expect(await parseProcfile(text)).toEqual({ web: 'node server.js --port $PORT', worker: 'node worker.js' });
});

test('parseProcfile() takes a colon or a hash in a command as it stands', async () => {
  expect(await parseProcfile('web: ./run "a: b" # twice')).toEqual({ web: './run "a: b" # twice' });
});

test('parseProcfile() reads quotes and blocks as YAML', async () => {
  expect(await parseProcfile(`---\nweb: "echo 'hi'"\nworker: >\n  node\n  worker.js\n`)).toEqual({
    web: "echo 'hi'",
    worker: 'node worker.js',
  });
});

test('parseProcfile() refuses what is no list of commands', async () => {
  await expect(parseProcfile('web: [a, b]')).rejects.toThrow(/the command of "web" is no text/);
  await expect(parseProcfile('just words')).rejects.toThrow(/invalid YAML.*"web: node server.js"/);
  await expect(parseProcfile('just words')).rejects.toMatchObject({ title: 'BuildpackReleaseFailed' });
});

test('readProcfile() is empty without a Procfile, and says when it is a folder', async () => {
  using none = aFolder({});
  using folder = aFolder({ 'Procfile/x': '' });
  expect(await readProcfile(none.path)).toEqual({});
  await expect(readProcfile(folder.path)).rejects.toBeInstanceOf(StagingFailedError);
});
