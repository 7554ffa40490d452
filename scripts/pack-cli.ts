/**
 * `./cupola script scripts/pack-cli.ts FOLDER`: the CLI as npm's package, one tarball in FOLDER, whose path is printed. Files really inside `node_modules` are not
 * stripped of types, and nobody wants twenty libraries for a command: all of it is bundled, for the oldest Node.js that the libraries work on, with their licences.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { plainHttp, plainUndici } from './bundle-plugins.ts';
import { commonFacts, OLDEST_NODE, packInto, ROOT } from './npm-package.ts';

/** In words that Node.js of ten years ago reads: whoever has an old one is told, instead of being shown a SyntaxError. */
const STARTER = `#!/usr/bin/env node
'use strict';
var have = process.versions.node.split('.').map(Number);
var oldest = [${OLDEST_NODE.split('.').join(', ')}];
var isOld = have[0] !== oldest[0] ? have[0] < oldest[0] : have[1] < oldest[1];
if (isOld) {
  console.error('cupola: this is Node.js ' + process.versions.node + ', and ${OLDEST_NODE} or newer is needed.');
  console.error('Install one (https://nodejs.org), or for this once: npx --package=node@24 --package=@cupola/cli cupola');
  process.exitCode = 2;
} else {
  try {
    var path = require('node:path');
    var cache = path.join(process.env.XDG_CACHE_HOME || path.join(require('node:os').homedir(), '.cache'), 'cupola', 'compile');
    require('node:fs').mkdirSync(cache, { recursive: true, mode: 448 });
    require('node:module').enableCompileCache(cache);
  } catch (error) {
    // No place for a cache: only slower.
  }
  import('./lib/main.mjs');
}
`;

const README = `# @cupola/cli

The command line of [Cupola](https://www.npmjs.com/package/@cupola/cli), Cloud Foundry in one command, and of any other Cloud Foundry v3 API.

    npx @cupola/cli login -a https://api.example.com
    npx @cupola/cli push my-app

or, to have \`cupola\` as a command: \`npm install --global @cupola/cli\`. Node.js ${OLDEST_NODE} or newer. \`cupola --help\` lists all commands, \`cupola COMMAND --help\` has examples of one.
`;

interface Piece {
  readonly moduleIds: readonly string[];
}

async function bundle(folder: string): Promise<Piece[]> {
  const { rolldown } = await import('rolldown');
  const build = await rolldown({
    cwd: ROOT,
    platform: 'node',
    tsconfig: false,
    input: { main: 'apps/cli/src/main.ts' },
    transform: { target: 'node22.19' },
    plugins: [plainHttp(), plainUndici()],
    onLog: () => undefined,
  });
  const { output } = await build.generate({
    format: 'esm',
    entryFileNames: '[name].mjs',
    chunkFileNames: '[name]-[hash].mjs',
    comments: { jsdoc: false },
  });
  await build.close();
  const pieces = output.filter(file => file.type === 'chunk');
  mkdirSync(join(folder, 'lib'));
  for (const { fileName, code } of pieces) writeFileSync(join(folder, 'lib', fileName), code);
  return pieces;
}

/** Of every library that something was taken of. @throws when one of them has no licence that we find. */
function licences(pieces: readonly Piece[]): string {
  const folders = new Set(
    pieces
      .flatMap(({ moduleIds }) => moduleIds)
      .flatMap(id => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(id)?.[0] ?? [])
      .filter(folder => !folder.includes('/@cupola/')),
  );
  return [...folders]
    .toSorted()
    .map(folder => {
      const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
      const file = readdirSync(folder).find(entry => /^licen[cs]e/i.test(entry));
      if (file === undefined && typeof license !== 'string') throw new Error(`${name} says nowhere how it is licensed`);
      const text = file === undefined ? `Licence: ${license}` : readFileSync(join(folder, file), 'utf8').trim();
      return `${name} ${version}\n\n${text}\n`;
    })
    .join(`\n${'-'.repeat(80)}\n\n`);
}

async function make(work: string): Promise<Record<string, unknown>> {
  const pieces = await bundle(work);
  writeFileSync(join(work, 'cupola.cjs'), STARTER, { mode: 0o755 });
  writeFileSync(join(work, 'README.md'), README);
  writeFileSync(join(work, 'THIRD-PARTY-LICENSES.txt'), licences(pieces));
  return {
    ...commonFacts('apps/cli'),
    description: 'Push and run apps on Cupola, or any Cloud Foundry.',
    bin: { cupola: 'cupola.cjs' },
    files: ['cupola.cjs', 'lib', 'THIRD-PARTY-LICENSES.txt'],
  };
}

console.log(await packInto(resolve(process.argv[2] ?? '.'), make));
