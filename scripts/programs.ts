/**
 * `scripts/programs.ts`, run by the launcher when a source has changed: makes plain JavaScript of the programs that Cupola consists of, so that a start strips
 * no types, resolves few files and finds its code compiled (docs/decisions/0009). Everything lies in a folder of its own:
 *
 *     .programs/ID/.made             inode of this file, ID, root: by which the launcher knows its own work, and what is newer than it
 *     .programs/ID/control.mjs ...   one file for each program, and the pieces they share
 *     .programs/ID/compile/          V8's compile cache of them
 *     .programs/current -> ID        swapped as the last act: killed before, the former programs stay
 *
 * What cannot be made leaves a folder with nothing but `.made`: the launcher runs the sources then, and tries again when one of them has changed.
 */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  fstatSync,
  lchownSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import type { Plugin } from 'rolldown';
import { plainHttp, plainUndici } from './bundle-plugins.ts';

/** Name -> the module that runs when the program is started. */
const PROGRAMS: Record<string, string> = {
  control: 'apps/control/src/main.ts',
  router: 'apps/router/src/main.ts',
  cli: 'apps/cli/src/main.ts',
  // Alone, in a cluster: `./cupola program api`.
  api: 'apps/api/src/main.ts',
  scheduler: 'apps/scheduler/src/main.ts',
  git: 'apps/git/src/main.ts',
};
/** The platform's own uids, under which root starts control, router and git (apps/control/src/platform-config.ts), and that of its image (Dockerfile): they read root's compile cache. */
const PLATFORM_UIDS = [64_000, 64_001, 1_000];
/** A launcher that has just read `current` needs what it names for a moment more. */
const KEPT_MS = 60_000;

/** The program's first file. Not by environment: children would inherit the cache. The cache of a folder that is not the user's is read-only: they use one of their own. */
const starter = (program: string): string => `import module from 'node:module';
import { homedir } from 'node:os';
const { status } = module.enableCompileCache({ directory: \`\${import.meta.dirname}/compile\`, portable: true });
if (status === module.constants.compileCacheStatus.FAILED)
  module.enableCompileCache(\`\${process.env.XDG_CACHE_HOME || \`\${homedir()}/.cache\`}/cupola/compile\`);
await import('./${program}-main.mjs');
`;

/** Loads every piece but those that run at once, so that V8 keeps what it compiled. */
const warmer = (pieces: readonly string[]): string => `import module from 'node:module';
module.enableCompileCache({ directory: \`\${process.cwd()}/compile\`, portable: true });
for (const piece of ${JSON.stringify(pieces)}) await import(\`\${process.cwd()}/\${piece}\`);
process.exit();
`;

/** Makes the programs of the checkout `root` and the link `current` to them. */
async function makePrograms(root: string): Promise<void> {
  const programs = join(root, '.programs');
  mkdirSync(programs, { recursive: true });
  const id = `${Date.now().toString(36)}-${process.pid}`;
  const folder = join(programs, id);
  mkdirSync(folder);
  // Before any source is read: what changes from now on is newer than this file.
  mark(join(folder, '.made'), id, root);
  try {
    const pieces = await bundle(root, folder);
    for (const name of Object.keys(PROGRAMS)) writeFileSync(join(folder, `${name}.mjs`), starter(name));
    warm(folder, pieces);
  } catch (error) {
    for (const name of readdirSync(folder))
      if (name !== '.made') rmSync(join(folder, name), { recursive: true, force: true });
    console.error(
      `cupola: the programs could not be bundled, so they run from their sources, slower: ${String(error)}`,
    );
  }
  giveToOwner(root, folder);
  const link = join(programs, `current.${process.pid}`);
  rmSync(link, { force: true });
  symlinkSync(id, link);
  renameSync(link, join(programs, 'current'));
  giveToOwner(root, programs);
  removeOthers(programs, id);
}

function mark(file: string, id: string, root: string): void {
  const fd = openSync(file, 'wx', 0o644);
  writeSync(fd, `${fstatSync(fd).ino} ${id} ${root}\n`);
  closeSync(fd);
}

/** Names of the files that may be loaded without running a program. */
async function bundle(root: string, folder: string): Promise<string[]> {
  const { rolldown } = await import('rolldown');
  const build = await rolldown({
    cwd: root,
    platform: 'node',
    tsconfig: false,
    // Loaded where they are wanted, out of node_modules: with what it stands on the one is larger than all the rest, and the other has parts in C++.
    external: ['dockerode', 'ssh2'],
    input: Object.fromEntries(Object.entries(PROGRAMS).map(([name, file]) => [`${name}-main`, file])),
    plugins: [ownFolders(root), plainHttp(), plainUndici()],
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
  for (const { fileName, code } of pieces) writeFileSync(join(folder, fileName), ascii(code));
  return pieces.filter(({ isEntry }) => !isEntry).map(({ fileName }) => fileName);
}

/**
 * V8 keeps a source for as long as it runs, in twice the bytes if a single character is beyond U+00FF: those are written as escapes. Neither stands where that
 * would be another text: behind a backslash, in a template's raw text.
 */
function ascii(code: string): string {
  const misread = /\\[^\0-\x7f]|String\.raw`[^`]*[^\0-\x7f]/.exec(code);
  if (misread !== null) throw new Error(`write an escape for the character beyond ASCII in ${misread[0]}`);
  return code.replaceAll(/[^\0-\x7f]/g, unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Scripts of the sandbox, our package.json and the like are still found where they are, seen from where the bundle lies. */
function ownFolders(root: string): Plugin {
  return {
    name: 'own-folders',
    transform: {
      filter: { code: /import\.meta\.(dirname|url|filename)/ },
      handler: (code, module) => {
        if (!isAbsolute(module) || module.includes('node_modules')) return null;
        if (/import\.meta\.(url|filename)/.test(code)) throw new Error(`${module}: write import.meta.dirname`);
        const place = JSON.stringify(`/../../${relative(root, dirname(module))}`);
        return { code: code.replaceAll('import.meta.dirname', `(import.meta.dirname + ${place})`), map: null };
      },
    },
  };
}

function warm(folder: string, pieces: readonly string[]): void {
  mkdirSync(join(folder, 'compile'));
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', warmer(pieces)], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  if (status !== 0) throw new Error(stderr.toString('utf8'));
  const uid = process.getuid?.();
  if (uid !== 0) return;
  // V8's cache is kept by uid. The platform's own read root's, and can write to neither.
  for (const name of readdirSync(join(folder, 'compile')))
    if (name.endsWith(`-${uid}`))
      for (const own of PLATFORM_UIDS)
        symlinkSync(name, join(folder, 'compile', `${name.slice(0, -String(uid).length)}${own}`));
}

/** Made by root in another's checkout: theirs, to remove and to make anew. */
function giveToOwner(root: string, path: string): void {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = statSync(root);
  lchownSync(path, uid, gid);
  for (const entry of readdirSync(path, { withFileTypes: true, recursive: true }))
    lchownSync(join(entry.parentPath, entry.name), uid, gid);
}

/** Removes former programs, and what a killed maker has left, unless they are fresh or a process that runs was started from there. */
function removeOthers(programs: string, own: string): void {
  const running = commandLines();
  for (const name of readdirSync(programs)) {
    if (name === own || name === 'current') continue;
    const path = join(programs, name);
    const age = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0);
    if (age > KEPT_MS && !running.includes(name)) rmSync(path, { recursive: true, force: true });
  }
}

function commandLines(): string {
  if (process.platform !== 'linux') return spawnSync('ps', ['-axo', 'args']).stdout?.toString('utf8') ?? '';
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(pid => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      } catch {
        return ''; // It has just ended.
      }
    })
    .join('\n');
}

await makePrograms(resolve(import.meta.dirname, '..'));
