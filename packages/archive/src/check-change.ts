/**
 * The tar of a change of a development app, looked at as it passes: nothing is written, nothing kept but its names. It holds to the rules of `untar`, by which
 * it is laid out on its cell later, so that what was taken here is never refused there; and to its own (`@cupola/model/development`).
 */
import { Readable } from 'node:stream';
import { DEVELOPMENT_LIMITS, FILES_ENTRY, isChangePath, REMOVED_ENTRY, RESTART_ENTRY } from '@cupola/model/development';
import { ArchiveRefusedError } from '@cupola/model/errors';
import { extract, type Header } from 'tar-stream';
import { createPlan, type Plan } from './plan.ts';
import { asRefusal, safePath } from './untar.ts';

/** What a change brings. */
export interface ChangeFacts {
  /** Files and links put in place. */
  files: number;
  /** Paths taken away. */
  removed: number;
  restart: boolean;
}

export interface CheckedChange {
  /** The tar's bytes as they come; ends with an error where it is refused. */
  passed: Readable;
  /** @throws ArchiveRefusedError; errors of the source as they are. To be awaited once `passed` was read. */
  facts: Promise<ChangeFacts>;
}

/** Of a list of paths. */
const REMOVED_MAX_BYTES = DEVELOPMENT_LIMITS.pathsMax * (DEVELOPMENT_LIMITS.pathMaxCharacters + 1);

export function checkChange(source: AsyncIterable<Buffer>): CheckedChange {
  const unpack = extract();
  const facts = readEntries(unpack);
  facts.catch(error => unpack.destroy(error)); // Told to whoever awaits it, and to who reads `passed`.
  return { passed: Readable.from(pass(source, unpack, facts), { objectMode: false }), facts };
}

type Unpack = ReturnType<typeof extract>;

async function* pass(
  source: AsyncIterable<Buffer>,
  unpack: Unpack,
  facts: Promise<ChangeFacts>,
): AsyncGenerator<Buffer> {
  let bytes = 0;
  try {
    for await (const chunk of source) {
      bytes += chunk.length;
      if (bytes > DEVELOPMENT_LIMITS.changeMaxBytes)
        throw new ArchiveRefusedError('(archive)', `is larger than ${DEVELOPMENT_LIMITS.changeMaxBytes} bytes`);
      if (!unpack.write(chunk))
        await Promise.race([new Promise<void>(resolve => unpack.once('drain', () => resolve())), facts]);
      yield chunk;
    }
    unpack.end(Buffer.alloc(0));
    await facts;
  } catch (error) {
    unpack.destroy(error as Error);
    throw error;
  }
}

async function readEntries(unpack: Unpack): Promise<ChangeFacts> {
  const plan = createPlan({ entriesMax: DEVELOPMENT_LIMITS.pathsMax * 2 });
  const found = { files: 0, removed: 0, restart: false, hasFolder: false };
  try {
    for await (const entry of unpack) {
      const { header } = entry;
      const path = safePath(header);
      addTo(plan, header, path);
      const [first, ...below] = path.split('/');
      if (path === REMOVED_ENTRY && header.type === 'file') found.removed = countRemoved(await textOf(entry, header));
      else if (path === RESTART_ENTRY && header.type === 'file') found.restart = true;
      else if (first !== FILES_ENTRY) throw new ArchiveRefusedError(header.name, 'is no part of a change');
      else if (below.length === 0) found.hasFolder ||= header.type === 'directory';
      else if (!isChangePath(below.join('/')))
        throw new ArchiveRefusedError(header.name, 'is no name a change can have');
      else if (header.type !== 'directory') found.files++;
      entry.resume();
    }
    plan.checkedLinks();
  } catch (error) {
    throw asRefusal(error);
  }
  if (!found.hasFolder) throw new ArchiveRefusedError('(archive)', `has no folder "${FILES_ENTRY}"`);
  if (found.files + found.removed > DEVELOPMENT_LIMITS.pathsMax)
    throw new ArchiveRefusedError('(archive)', `changes more than ${DEVELOPMENT_LIMITS.pathsMax} files`);
  const { files, removed, restart } = found;
  return { files, removed, restart };
}

function addTo(plan: Plan, { type, linkname }: Header, path: string): void {
  if (type === 'directory') plan.addFolder(path);
  else if (type === 'symlink') plan.addLink(path, linkname ?? '');
  else plan.addFile(path);
}

async function textOf(entry: AsyncIterable<unknown>, { name, size }: Header): Promise<string> {
  if ((size ?? 0) > REMOVED_MAX_BYTES) throw new ArchiveRefusedError(name, 'lists more than a change may');
  return Buffer.concat(await Array.fromAsync(entry as AsyncIterable<Buffer>)).toString();
}

function countRemoved(text: string): number {
  const paths = text.split('\n').filter(line => line !== '');
  if (paths.length > 0 && !text.endsWith('\n'))
    throw new ArchiveRefusedError(REMOVED_ENTRY, 'does not end with a line end');
  const wrong = paths.find(path => !isChangePath(path));
  if (wrong !== undefined)
    throw new ArchiveRefusedError(REMOVED_ENTRY, `names ${JSON.stringify(wrong)}, which is no path below the app`);
  return paths.length;
}
