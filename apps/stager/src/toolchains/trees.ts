/** Lays toolchains out as folders: programs in `bin`, packages of npm in `lib/node_modules`. Never runs anything of them. */
import { constants, createReadStream, existsSync } from 'node:fs';
import {
  chmod,
  copyFile,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  symlink,
} from 'node:fs/promises';
import { delimiter, dirname, join, posix } from 'node:path';
import { createGunzip } from 'node:zlib';
import { untar } from '@cupola/archive/untar';
import type { NpmClient } from '../npm-client.ts';

/** Parts of npm that only a person at a terminal reads: half of its files. */
const UNREAD = ['docs', 'man'];

/** A folder that holds one toolchain, while it is made. */
type Make = (tree: string, work: string) => Promise<void>;

/** The binary that runs the platform, as it is. */
export function fromOwnNode(): Make {
  return async tree => {
    await mkdir(join(tree, 'bin'), { recursive: true });
    await copyFile(process.execPath, join(tree, 'bin/node'), constants.COPYFILE_FICLONE);
    await chmod(join(tree, 'bin/node'), 0o755);
  };
}

/** Only the program: headers and pages are as large again. Packages of Node.js 4 and before hold its archive as it was published. */
export function fromNodePackage(npm: NpmClient, wanted: { name: string; version: string }): Make {
  return async (tree, work) => {
    const unpacked = await fetchPackage(npm, wanted, work);
    const archive = (await readdir(unpacked)).find(name => /^node-v[\d.]+-.*\.tar\.gz$/.test(name));
    const home = archive === undefined ? unpacked : await unpackArchive(join(unpacked, archive), work);
    await mkdir(join(tree, 'bin'), { recursive: true });
    await rename(join(home, 'bin/node'), join(tree, 'bin/node'));
    await chmod(join(tree, 'bin/node'), 0o755);
  };
}

/** A package whose programs are scripts for Node.js: npm, pnpm, yarn. */
export function fromPackage(npm: NpmClient, wanted: { name: string; version: string }): Make {
  return async (tree, work) => {
    const unpacked = await fetchPackage(npm, wanted, work);
    const home = join(tree, 'lib/node_modules', wanted.name);
    await mkdir(dirname(home), { recursive: true });
    await rename(unpacked, home);
    await finishPackage(tree, wanted.name);
  };
}

/** The npm that is installed on this machine. */
export function fromInstalledNpm(folder: string): Make {
  return async tree => {
    const home = join(tree, 'lib/node_modules/npm');
    await cp(folder, home, { recursive: true, verbatimSymlinks: true });
    await finishPackage(tree, 'npm');
  };
}

async function fetchPackage(
  npm: NpmClient,
  { name, version }: { name: string; version: string },
  work: string,
): Promise<string> {
  return unpackArchive(await npm.fetch(name, version, await mkdtemp(join(work, 'fetched-'))), work);
}

/** @returns its one folder. */
async function unpackArchive(archive: string, work: string): Promise<string> {
  const unpacked = await mkdtemp(join(work, 'unpacked-'));
  const source = createReadStream(archive);
  const plain = source.pipe(createGunzip());
  source.once('error', error => plain.destroy(error));
  await untar(plain, unpacked);
  const [root, ...others] = await readdir(unpacked);
  if (root === undefined || others.length > 0) throw new Error(`${archive} is no package of npm`);
  return join(unpacked, root);
}

/** Links for its programs, as an installation would make them. */
async function finishPackage(tree: string, name: string): Promise<void> {
  const home = join(tree, 'lib/node_modules', name);
  for (const folder of UNREAD) await rm(join(home, folder), { recursive: true, force: true });
  const { bin = {} } = JSON.parse(await readFile(join(home, 'package.json'), 'utf8')) as {
    bin?: string | Record<string, string>;
  };
  const programs = typeof bin === 'string' ? { [name.split('/').at(-1) ?? name]: bin } : bin;
  await mkdir(join(tree, 'bin'), { recursive: true });
  for (const [program, file] of Object.entries(programs)) {
    const target = posix.join('lib/node_modules', name, file);
    await chmod(join(tree, target), 0o755);
    await symlink(`../${target}`, join(tree, 'bin', program));
  }
}

export interface InstalledNpm {
  folder: string;
  version: string;
  /** The Node.js it runs on, as a range. */
  nodeRange: string | null;
}

/** The npm on PATH, when it is whole: a distribution's may be spread over folders of its own, and is not taken. */
export async function findInstalledNpm(path = process.env.PATH ?? ''): Promise<InstalledNpm | null> {
  for (const place of path.split(delimiter)) {
    if (place === '' || !existsSync(join(place, 'npm'))) continue;
    try {
      const folder = dirname(dirname(await realpath(join(place, 'npm'))));
      if (!existsSync(join(folder, 'node_modules/@npmcli/arborist')) || !existsSync(join(folder, 'bin/npm-cli.js')))
        return null;
      const { version, engines } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as {
        version: string;
        engines?: { node?: string };
      };
      return { folder, version, nodeRange: engines?.node ?? null };
    } catch {
      return null; // A wrapper of some kind: npm is fetched instead.
    }
  }
  return null;
}
