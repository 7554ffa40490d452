/** The shim's `spec`: lines of a key and fields between tabs; what could break a line is percent-encoded. */

export interface ShimSpec {
  arch: 'x64' | 'arm64';
  /** Where the instance's root is put together; absent: no root of its own (plain process). */
  root?: string;
  /** An ordinary user's: a user namespace first. */
  uidmap: boolean;
  /** Host uid to become; absent: stay who we are. */
  uid?: number;
  /** Owner of the home and tmp folders on the disk; absent: who we are. */
  owner?: number;
  /** no_new_privs before the tool starts (a tool that must gain nothing). */
  noNewPrivileges: boolean;
  /** Where upper and work folders of overlays lie. */
  disk: string;
  /** Loop image mounted on `disk`; absent: `disk` is a plain folder. */
  image?: string;
  /** Path of the network namespace to enter. */
  netns?: string;
  /** `cgroup.procs` files to join. */
  cgroups: string[];
  /** File with the line `oom_kill N`. */
  oom?: string;
  /** Compiled seccomp filter, for the tool that takes one; its descriptor replaces `{seccomp}` in argv. */
  seccomp?: string;
  /** Bytes a second; -1 is unlimited. */
  logRate: number;
  /** Below the root, with mode and owner (empty: root). */
  folders: Array<{ path: string; mode: number; uid: number | null }>;
  links: Array<{ target: string; path: string }>;
  /** `device` leaves device nodes usable. */
  mounts: Array<{ mode: 'read-only' | 'writable' | 'overlay' | 'device'; source: string; target: string }>;
  argv: string[];
}

/** Percent-encodes what separates or could be misread. */
const encode = (text: string): string =>
  text.replace(/[%\t\n\r\0]/g, character => `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`);

export function formatShimSpec(spec: ShimSpec): string {
  const lines: string[][] = [
    ['arch', spec.arch],
    ['disk', spec.disk],
    ['rate', String(spec.logRate)],
    ...(['root', 'image', 'netns', 'oom', 'seccomp'] as const).flatMap(key =>
      spec[key] === undefined ? [] : [[key, spec[key]]],
    ),
    ...(spec.uidmap ? [['uidmap', '1']] : []),
    ...(spec.noNewPrivileges ? [['nnp', '1']] : []),
    ...(spec.uid === undefined ? [] : [['uid', String(spec.uid)]]),
    ...(spec.owner === undefined ? [] : [['owner', String(spec.owner)]]),
    ...spec.cgroups.map(file => ['cgroup', file]),
    ...spec.folders.map(({ path, mode, uid }) => ['folder', path, mode.toString(8), uid === null ? '' : String(uid)]),
    ...spec.links.map(({ target, path }) => ['link', target, path]),
    ...spec.mounts.map(({ mode, source, target }) => ['mount', mode, source, target]),
    ...spec.argv.map(argument => ['arg', argument]),
  ];
  return `${lines.map(fields => fields.map(encode).join('\t')).join('\n')}\n`;
}

/**
 * The environment as shell assignments, read by the init inside. Names that a shell cannot assign are left out (and told by the caller): they cannot come
 * from Cloud Foundry's own variables.
 */
export function formatEnvironment(environment: Record<string, string>): { text: string; leftOut: string[] } {
  const isName = (name: string): boolean => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name);
  const quote = (value: string): string => `'${value.replaceAll('\0', '').replaceAll("'", `'\\''`)}'`;
  const names = Object.keys(environment);
  return {
    text: `${names
      .filter(isName)
      .map(name => `export ${name}=${quote(environment[name] ?? '')}`)
      .join('\n')}\n`,
    leftOut: names.filter(name => !isName(name)),
  };
}
