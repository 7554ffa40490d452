/**
 * `./cupola script scripts/pack-client.ts FOLDER`: the client library as npm's package, one tarball in FOLDER, whose path is printed. A file for each module that
 * others may import, with its types; zod and undici stay libraries, since the types name them.
 */
import { spawnSync } from 'node:child_process';
import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { commonFacts, packInto, ROOT } from './npm-package.ts';

/** As users import them -> the source. `reads`: the schemas of what the API answers, for `read` and `list`. */
const MODULES: Readonly<Record<string, string>> = {
  'cloud-client': 'packages/client/src/cloud-client.ts',
  errors: 'packages/client/src/errors.ts',
  login: 'packages/client/src/login.ts',
  logs: 'packages/client/src/logs.ts',
  reads: 'packages/contract/src/v3/client-reads.ts',
  stream: 'packages/client/src/stream.ts',
  transport: 'packages/client/src/transport.ts',
  upload: 'packages/client/src/upload.ts',
};
const LIBRARIES = ['undici', 'zod'];

async function bundle(work: string): Promise<void> {
  const { rolldown } = await import('rolldown');
  const build = await rolldown({
    cwd: ROOT,
    platform: 'node',
    tsconfig: false,
    external: LIBRARIES,
    input: { ...MODULES },
    transform: { target: 'node22.19' },
    onLog: () => undefined,
  });
  await build.write({
    dir: join(work, 'lib'),
    format: 'esm',
    entryFileNames: '[name].mjs',
    chunkFileNames: '[name]-[hash].mjs',
  });
  await build.close();
}

/** tsc writes those of the files that it is given: what they import of our own packages is given to it in turn, until nothing is missing. */
function writeTypes(work: string): void {
  const types = join(work, 'types');
  const sources = new Set(Object.values(MODULES));
  for (let known = 0; known !== sources.size; ) {
    known = sources.size;
    emitTypes(types, [...sources]);
    for (const file of globSync('**/*.d.ts', { cwd: types }))
      for (const [, name, path] of readFileSync(join(types, file), 'utf8').matchAll(OURS))
        sources.add(`packages/${name}/src/${path}.ts`);
  }
  for (const file of globSync('**/*.d.ts', { cwd: types })) {
    const text = readFileSync(join(types, file), 'utf8')
      .replaceAll(OURS, (_, name, path) => {
        const to = relative(dirname(file), `${name}/src/${path}.js`);
        return `'${to.startsWith('.') ? to : `./${to}`}'`;
      })
      .replaceAll(/(from |import\()(['"]\.[^'"]*)\.ts(['"])/g, '$1$2.js$3');
    writeFileSync(join(types, file), text);
  }
}
const OURS = /['"]@cupola\/([a-z]+)\/([^'"]+)['"]/g;

function emitTypes(into: string, sources: readonly string[]): void {
  const options = ['--declaration', '--emitDeclarationOnly', '--outDir', into, '--rootDir', 'packages'];
  const language = ['--module', 'nodenext', '--target', 'es2024', '--lib', 'es2024,esnext', '--types', 'node'];
  const strict = ['--strict', '--exactOptionalPropertyTypes', '--skipLibCheck', '--allowImportingTsExtensions'];
  const tsc = join(ROOT, 'node_modules/.bin/tsc');
  const { status, stdout } = spawnSync(tsc, ['--ignoreConfig', ...options, ...language, ...strict, ...sources], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`tsc could not write the types: ${stdout}`);
}

async function make(work: string): Promise<Record<string, unknown>> {
  mkdirSync(join(work, 'lib'));
  await bundle(work);
  writeTypes(work);
  writeFileSync(join(work, 'README.md'), readFileSync(join(ROOT, 'docs/how-to/client-library.md')));
  const exported = Object.entries(MODULES).map(([name, source]) => [
    `./${name}`,
    { types: source.replace('packages/', './types/').replace(/\.ts$/, '.d.ts'), default: `./lib/${name}.mjs` },
  ]);
  return {
    ...commonFacts('packages/client'),
    description: 'Typed client of the Cloud Foundry v3 API.',
    type: 'module',
    exports: Object.fromEntries(exported),
    dependencies: Object.fromEntries(LIBRARIES.map(name => [name, versionOf(name)])),
    files: ['lib', 'types'],
  };
}

function versionOf(library: string): string {
  return `^${JSON.parse(readFileSync(join(ROOT, 'node_modules', library, 'package.json'), 'utf8')).version}`;
}

console.log(await packInto(resolve(process.argv[2] ?? '.'), make));
