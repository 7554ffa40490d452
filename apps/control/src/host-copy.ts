/**
 * For a cell that runs in a container of the very engine that runs its apps: that engine shows them a /usr of its own machine, not ours. So what sandboxes see
 * of us is copied once to a folder that lies under the same path here and there. All cells of a machine share it; each image of ours has a copy of its own,
 * since apps that run stand on the one that they were started with.
 */
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { mountsOfAll } from '@cupola/images/rootfs/installed-stacks';
import { copyHostBase } from '@cupola/sandbox/host-root';
import { hostStack } from './host-stack.ts';

/** The checkout, of which builds are shown parts. */
const SOURCES = resolve(import.meta.dirname, '../../..');
/** Written by the Dockerfile, once for each image. */
const IMAGE_ID = join(SOURCES, '.image-id');
/** Of an image before this one the cells may not have been swapped yet. */
const KEPT = 2;
const UNFINISHED = '.new-';

/** The copy of what we are, made if there is none. Any number of processes may ask at once. */
export async function hostCopyIn(folder: string): Promise<string> {
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  const id = existsSync(IMAGE_ID) ? readFileSync(IMAGE_ID, 'utf8').trim() : hostStack().digest;
  const copy = join(folder, id);
  if (existsSync(copy)) return copy;
  const unfinished = join(folder, `${UNFINISHED}${randomUUID()}`);
  try {
    await copyHostBase(unfinished, [SOURCES]);
    renameSync(unfinished, copy);
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true });
    // Another has made it meanwhile: as good.
    if (!existsSync(copy)) throw error;
  }
  return copy;
}

/** Removes those of former images that nothing runs on, and what a killed process has begun. */
export function pruneHostCopies(folder: string): void {
  const madeMs = (name: string): number => statSync(join(folder, name)).ctimeMs;
  const names = readdirSync(folder);
  const copies = names.filter(name => !name.startsWith(UNFINISHED)).sort((a, b) => madeMs(b) - madeMs(a));
  const mounted = mountsOfAll();
  const old = copies.slice(KEPT).filter(name => !mounted.includes(name));
  for (const name of [...old, ...names.filter(each => each.startsWith(UNFINISHED))])
    rmSync(join(folder, name), { recursive: true, force: true });
}
