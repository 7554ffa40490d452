import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { guessStart } from './guess-start.ts';

function guessOf(files: Record<string, string>): unknown {
  const folder = mkdtempSync(join(tmpdir(), 'cupola-guess-'));
  try {
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), content);
    }
    const { language, start } = guessStart(folder);
    return [language?.value ?? null, language?.from ?? null, start?.value ?? null, start?.from ?? null];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test.each([
  [
    { 'package.json': '{"scripts":{"start":"next start"}}' },
    ['Node.js', 'package.json', 'npm start', 'scripts.start: next start'],
  ],
  [
    { 'package.json': '{"main":"app.js"}', 'app.js': '' },
    ['Node.js', 'package.json', 'node app.js', 'main in package.json'],
  ],
  [{ 'package.json': '{', 'server.js': '' }, ['Node.js', 'package.json', 'node server.js', 'there is a server.js']],
  [
    { 'package.json': '{}', Procfile: 'worker: x\nweb: node a.js\n' },
    ['Node.js', 'package.json', 'node a.js', 'web in Procfile'],
  ],
  [{ Gemfile: '', 'package.json': '{}' }, ['Ruby', 'Gemfile', null, null]],
  [{ 'requirements.txt': '' }, ['Python', 'requirements.txt', null, null]],
  [{ 'app.jar': '', 'package.json': '{}' }, ['Java', 'app.jar', null, null]],
  [{ 'index.html': '' }, [null, null, null, null]],
])('guessStart() of %j', (files, guess) => {
  expect(guessOf(files as Record<string, string>)).toEqual(guess);
});
