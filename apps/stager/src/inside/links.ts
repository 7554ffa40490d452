/**
 * Links of a droplet that lead out of it, to a program of the stack or to a toolchain: a virtual environment's `python`, say. No layer holds such a link
 * (packages/archive), so they are made at each start, by the first script of `profile.d`. Links that lead into the droplet stay what they are.
 */
import { readdirSync, readlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { StagingFailedError } from '@cupola/model/errors';

/** Each costs a start half a millisecond; a build that has more has copied a system's folder. */
const LINKS_MAX = 200;
/** Where they may lead: what every instance sees, read-only. */
const OUTSIDE = /^\/(usr|bin|sbin|lib|lib64|etc|toolchains|dev|proc|tmp)(\/|$)/;

/** Takes them out of `home`, and writes the script when there are any. @throws StagingFailedError when there are too many. */
export function linkAtStart(home: string): void {
  const links = [...linksOut(home, '')].toSorted((a, b) => (a.path < b.path ? -1 : 1));
  if (links.length === 0) return;
  if (links.length > LINKS_MAX)
    throw new StagingFailedError(
      'BuildpackCompileFailed',
      `The build left ${links.length} links out of the droplet, "${links[0]?.path}" is the first; at most ${LINKS_MAX} are taken. Copy what they lead to.`,
    );
  const lines = links.map(({ path, target }) => `ln -sfn ${quoted(target)} ${quoted(join('/home/vcap', path))}\n`);
  for (const { path } of links) unlinkSync(join(home, path));
  writeFileSync(join(home, 'profile.d/0-links.sh'), lines.join(''));
}

function* linksOut(home: string, path: string): Iterable<{ path: string; target: string }> {
  for (const entry of readdirSync(join(home, path), { withFileTypes: true })) {
    const below = join(path, entry.name);
    if (entry.isDirectory()) yield* linksOut(home, below);
    else if (entry.isSymbolicLink()) {
      const target = readlinkSync(join(home, below));
      if (OUTSIDE.test(target)) yield { path: below, target };
    }
  }
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
