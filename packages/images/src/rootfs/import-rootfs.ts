/** A root filesystem out of whatever an operator has of it: a tar of it, an image as a file or a folder, or the name of one in a registry. */
import { createHash } from 'node:crypto';
import {
  closeSync,
  createReadStream,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar-stream';
import { parseReference } from '../registry/reference.ts';
import { openPlain } from './decompress.ts';
import { type ImageLayers, isLayout, readLayout } from './layout.ts';
import { pullImage } from './pull-image.ts';
import { unpackLayer } from './unpack-layer.ts';
import { fileWithin } from './within.ts';

export interface ImportedRootfs {
  /** Of what it was made of, hex: the same source gives the same. */
  digest: string;
  /** What compiled code needs to be the same: kind of machine and C library, distribution and its release. */
  abiKey: string;
  /** As its os-release calls itself. */
  description: string;
}

interface Options {
  /** Made here; must not exist. Its parent is where files lie meanwhile. */
  folder: string;
  say(text: string): void;
}

/** In an archive of an image these come first, in some order; no root filesystem begins so. */
const OF_IMAGE =
  /^(?:\.\/)?(?:oci-layout|index\.json|manifest\.json|repositories|blobs\/?|blobs\/.*|[0-9a-f]{64}(?:\.json|\/.*)?)$/;

/**
 * Lays it out in `folder`. When it throws, nothing is left.
 * @throws Error in words for the operator: what it is not, or lacks.
 */
export async function importRootfs(source: string, { folder, say }: Options): Promise<ImportedRootfs> {
  const work = mkdtempSync(join(dirname(folder), '.import-'));
  try {
    const { digest, files } = await layersOf(source, work, say);
    mkdirSync(folder, { mode: 0o755 });
    for (const [index, file] of files.entries()) {
      say(`unpacking layer ${index + 1} of ${files.length}`);
      await unpackLayer(openPlain(file), folder);
    }
    return { digest, ...checkRootfs(folder) };
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function layersOf(source: string, work: string, say: Options['say']): Promise<ImageLayers> {
  const seen = lstatSync(source, { throwIfNoEntry: false });
  if (seen === undefined) {
    const reference = parseReference(source);
    if (reference === null)
      throw new Error(
        `There is no file ${source}, and it names no image of a registry: write HOST/NAME:TAG, with the registry's host.`,
      );
    return await pullImage(reference, { folder: work, say });
  }
  if (seen.isDirectory()) {
    if (isLayout(source)) return await readLayout(source);
    throw new Error(`${source} is a folder and no OCI layout: give a tar of the root filesystem instead.`);
  }
  if (!(await holdsImage(source))) return { digest: await digestOf(source), files: [source] };
  const layout = join(work, 'image');
  mkdirSync(layout);
  await unpackLayer(openPlain(source), layout);
  return await readLayout(layout);
}

async function holdsImage(file: string): Promise<boolean> {
  const unpack = extract();
  const source = openPlain(file);
  source.once('error', error => unpack.destroy(error));
  source.pipe(unpack);
  try {
    for await (const entry of unpack) return OF_IMAGE.test(entry.header.name);
    return false;
  } catch (error) {
    throw new Error(`${file} cannot be read as a tar: ${(error as Error).message}`);
  } finally {
    source.destroy();
  }
}

async function digestOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

/** ELF's e_machine (its specification, figure 4). */
const MACHINES: Record<number, string> = { 62: 'x64', 183: 'arm64' };

/** What apps and builds need of a stack. @throws Error that says what it lacks. */
function checkRootfs(root: string): Pick<ImportedRootfs, 'abiKey' | 'description'> {
  const shell = fileWithin(root, '/bin/bash');
  if (shell === null)
    throw new Error('It has no /bin/bash, which starts every app. Use another image, or add bash to it.');
  const machine = MACHINES[machineOf(shell)] ?? 'another kind of machine';
  if (machine !== process.arch) throw new Error(`Its programs are for ${machine}; this machine is ${process.arch}.`);
  const loader = machine === 'x64' ? '/lib64/ld-linux-x86-64.so.2' : '/lib/ld-linux-aarch64.so.1';
  if (fileWithin(root, loader) === null)
    throw new Error(
      `It has no ${loader}: buildpacks need the GNU C library. Alpine has another one; use Debian or Ubuntu.`,
    );
  const file = fileWithin(root, '/etc/os-release') ?? fileWithin(root, '/usr/lib/os-release');
  const release = file === null ? '' : readFileSync(file, 'utf8');
  const field = (name: string): string => new RegExp(`^${name}="?([^"\n]*)`, 'm').exec(release)?.[1] ?? '';
  return {
    abiKey: ['linux', machine, 'glibc', field('ID') || 'unknown', field('VERSION_ID')].join('-'),
    description: field('PRETTY_NAME') || 'A root filesystem',
  };
}

/** Of an ELF file. */
function machineOf(file: string): number {
  const head = Buffer.alloc(20);
  const fd = openSync(file, 'r');
  readSync(fd, head, 0, head.length, 0);
  closeSync(fd);
  return head.readUInt16LE(18);
}
