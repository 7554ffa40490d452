/**
 * Where the rung is a plain process, nothing can be shown where it is not: /home/vcap is a folder on the host, layers are copied or linked into it, and
 * its path takes the place of /home/vcap in command, environment and working folder. Mounts elsewhere are left out: their paths mean the host's own.
 */
import { chownSync, cpSync, lchownSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { HOME } from './inside.ts';
import type { SandboxSpec } from './sandbox.ts';

export function placeHome(
  spec: SandboxSpec,
  { home, owner }: { home: string; owner: number | undefined },
): SandboxSpec {
  mkdirSync(home, { recursive: true, mode: 0o755 });
  for (const { source, target, mode } of spec.mounts) {
    if (target !== HOME && !target.startsWith(`${HOME}/`)) continue;
    const place = join(home, target.slice(HOME.length));
    mkdirSync(dirname(place), { recursive: true });
    if (mode === 'overlay') cpSync(source, place, { recursive: true, verbatimSymlinks: true });
    else symlinkSync(source, place);
  }
  if (owner !== undefined) giveTo(owner, home);
  const here = (text: string): string => text.replaceAll(HOME, home);
  return {
    ...spec,
    cwd: here(spec.cwd),
    argv: spec.argv.map(here),
    environment: Object.fromEntries(Object.entries(spec.environment).map(([name, value]) => [name, here(value)])),
  };
}

function giveTo(owner: number, folder: string): void {
  chownSync(folder, owner, owner);
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true }))
    lchownSync(join(entry.parentPath, entry.name), owner, owner);
}
