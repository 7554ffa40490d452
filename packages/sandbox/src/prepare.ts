/** Fills an instance folder while the shim comes up: everything that it reads is in there (README.md, "The instance folder"). */
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cgroup } from './cgroups.ts';
import type { DiskTemplates } from './disk.ts';
import { etcFiles, hostBase, IMAGE_FOLDERS, imageFiles, ownMounts, stackBase } from './host-root.ts';
import { shellMounts } from './host-shell.ts';
import { ENVIRONMENT_INSIDE, hostnameOf, idsInside } from './inside.ts';
import { placeHome } from './process-home.ts';
import type { Rung, RungPlaces } from './rungs.ts';
import type { SandboxSpec } from './sandbox.ts';
import { formatBase, formatEnvironment, formatShimSpec, type ShimFile, type ShimSpec } from './spec-file.ts';

export interface PrepareOptions {
  rung: Rung;
  /** Started as root: own uids, loop images. */
  privileged: boolean;
  /** Empty file systems to copy; null where loop images do not work: disks are plain folders then. */
  disks: DiskTemplates | null;
  /** Compiled seccomp filter; null where there is none for this machine. */
  seccompFile: string | null;
  /**
   * An empty folder that any uid may reach; each sandbox puts its root together there, in a mount namespace of its own. Null for an ordinary user: then in
   * the instance folder, which is its own.
   */
  rootMount: string | null;
}

const rootOf = ({ rootMount }: PrepareOptions, folder: string): string => rootMount ?? join(folder, 'root');

/** In the folder of a sandbox. */
const IMAGE = 'disk.img';

/** What a shim comes up with. */
export interface FolderFacts {
  /** Folder of the stack's root filesystem; null: the host. */
  stackRoot: string | null;
  /** It stands on an image: nothing of its root is known yet. */
  isImage: boolean;
  /** It is not known yet for what; `template` is of the disk that it will most likely need. Null: it is. */
  ahead: { template: string | null } | null;
  /** Name of its control group. */
  group: string | null;
}

const NOTHING = { folders: [], links: [], mounts: [] };

/** The folder, with what a shim needs to come up. */
export function makeFolder(
  options: PrepareOptions,
  folder: string,
  { stackRoot, isImage, ahead, group }: FolderFacts,
): void {
  const { rung } = options;
  // A plain process goes through the host's folders to its home.
  const mode = rung.hasRoot ? 0o700 : 0o711;
  mkdirSync(join(folder, 'disk'), { recursive: true });
  chmodSync(join(folder, 'disk'), mode);
  chmodSync(folder, mode);
  writeFileSync(join(folder, 'rung'), rung.name);
  if (group !== null) writeFileSync(join(folder, 'group'), group);
  if (!rung.hasRoot) return;
  const root = rootOf(options, folder);
  mkdirSync(root, { recursive: true, mode: 0o755 });
  // A folder kept ahead is renamed: the shim, which runs in it, knows its own root by where it is.
  const template = ahead?.template ?? null;
  const made = ahead === null ? null : { image: template === null ? null : { path: IMAGE, template } };
  writeFileSync(
    join(folder, 'base'),
    formatBase(
      options.rootMount ?? 'root',
      isImage ? NOTHING : stackRoot === null ? hostBase() : stackBase(stackRoot),
      made,
    ),
  );
}

/** What the shim is to do, in the file `spec`, and what it needs for it. */
export async function prepare(
  options: PrepareOptions,
  spec: SandboxSpec,
  { folder, cgroup }: { folder: string; cgroup: Cgroup | null },
): Promise<void> {
  const { rung, privileged, disks } = options;
  const places = { ...options, folder, root: rootOf(options, folder), cgroupPath: cgroup?.path ?? null };
  const image = disks !== null && rung.hasRoot ? await disks.path(spec.limits.diskMb) : null;
  const shimSpec: ShimSpec = {
    hostname: hostnameOf(spec.guid),
    disk: join(folder, 'disk'),
    logRate: spec.logRateBytesPerSecond,
    ...(rung.hasRoot ? rootForTool(rung, spec, places) : hostsRoot(rung, spec, places)),
    ...(privileged ? { owner: spec.uid } : {}),
    // The detached tool stays root, and gives its container the uid.
    ...(privileged && rung.kind !== 'detached' ? { uid: spec.uid } : {}),
    ...(spec.network.kind === 'namespace' ? { netns: `/run/netns/${spec.network.name}` } : {}),
    ...(cgroup?.oomFile == null ? {} : { oom: cgroup.oomFile }),
    ...(options.seccompFile !== null && rung.takesSeccomp ? { seccomp: options.seccompFile } : {}),
    ...(image === null ? {} : { image: { path: join(folder, IMAGE), template: image } }),
  };
  writeFileSync(join(folder, 'spec'), formatShimSpec(shimSpec), { mode: 0o600 });
}

/** A rung that sees a root of its own, which its tool enters. */
function rootForTool(
  rung: Rung,
  spec: SandboxSpec,
  places: RungPlaces,
): Pick<ShimSpec, 'root' | 'rootfs' | 'ids' | 'folders' | 'files' | 'mounts' | 'argv'> {
  const { folder, root } = places;
  for (const [name, text] of Object.entries(rung.files(spec, places)))
    writeFileSync(join(folder, name), text, { mode: 0o600 });
  return { root, ...ownRoot(spec, join(folder, 'disk'), places), argv: rung.argv(spec, places) };
}

/** Files, environment and mounts of a sandbox with a root of its own. */
export function ownRoot(
  spec: SandboxSpec,
  disk: string,
  places: Pick<RungPlaces, 'privileged'>,
): Pick<ShimSpec, 'rootfs' | 'ids' | 'folders' | 'files' | 'mounts'> {
  const { image } = spec;
  const etc = Object.entries({ ...(image === undefined ? etcFiles(spec) : imageFiles(spec)), ...spec.files });
  return {
    ...(image === undefined ? {} : { rootfs: image.root, ids: idsInside(spec), folders: IMAGE_FOLDERS }),
    files: [
      ...etc.map(([path, text]): ShimFile => ({ path, mode: '0644', text })),
      ...environmentFiles(spec, ENVIRONMENT_INSIDE, places),
    ],
    mounts: image === undefined ? ownMounts(spec, disk) : [...shellMounts(), ...spec.mounts],
  };
}

/** A plain process: the host's files, a home in the instance folder. */
function hostsRoot(rung: Rung, spec: SandboxSpec, places: RungPlaces): Pick<ShimSpec, 'files' | 'mounts' | 'argv'> {
  const { folder, privileged } = places;
  const moved = placeHome(spec, { home: join(folder, 'disk', 'home'), owner: privileged ? spec.uid : undefined });
  for (const { path, text, owner } of environmentFiles(moved, join(folder, 'environment'), places)) {
    writeFileSync(path, text, { mode: 0o400 });
    if (owner !== undefined) chownSync(path, owner, owner);
  }
  return { files: [], mounts: [], argv: rung.argv(moved, places) };
}

/** Only the app may read them. The second is there where a name is one that no shell can assign. */
export function environmentFiles(
  spec: SandboxSpec,
  path: string,
  { privileged }: Pick<RungPlaces, 'privileged'>,
): ShimFile[] {
  const { shell, more } = formatEnvironment(spec.environment);
  const secret = (name: string, text: string): ShimFile => ({
    path: name,
    mode: '0400',
    ...(privileged ? { owner: spec.uid } : {}),
    text,
  });
  return [secret(path, shell), ...(more === '' ? [] : [secret(`${path}.more`, more)])];
}
