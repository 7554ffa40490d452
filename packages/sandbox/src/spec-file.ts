/** The shim's `base` and `spec`: lines of a key and fields between tabs; what could break a line is percent-encoded. And the files that carry an environment. */

/** How the app's processes come to be. */
export type ShimKind =
  /** The shim's child is pid 1 of a pid namespace of its own. */
  | 'namespaces'
  /** By a tool that stays above them. */
  | 'exec'
  /** By a tool that ends and leaves a file `pid`. */
  | 'detached'
  /** By Docker's engine, which is their shim too: ours only makes what the engine cannot mount, and ends once they run. */
  | 'guest'
  /** Without anything of their own. */
  | 'process';

export interface ShimMount {
  mode: 'read-only' | 'writable' | 'overlay';
  source: string;
  /** Below the root. */
  target: string;
}

/** A file of the root, which is read-only once the app runs. */
export interface ShimFile {
  /** Inside. */
  path: string;
  mode: '0400' | '0644';
  /** Host uid and gid; absent: who we are. */
  owner?: number;
  text: string;
}

/** What is the same in every root. */
export interface Furniture {
  folders: string[];
  links: Array<{ target: string; path: string }>;
  mounts: ShimMount[];
}

export interface ShimSpec {
  /** Where the instance's root is put together; absent: no root of its own (plain process). */
  root?: string;
  /** Host uid to become before the tool runs; absent: stay who we are. */
  uid?: number;
  /** Owner of the home and tmp folders on the disk; absent: who we are. */
  owner?: number;
  hostname: string;
  /** Where upper and work folders of overlays lie. */
  disk: string;
  /** Loop image to make from the template and to mount on `disk`; absent: `disk` is a plain folder. */
  image?: ShimImage;
  /** Path of the network namespace to enter. */
  netns?: string;
  /** File with the line `oom_kill N`. */
  oom?: string;
  /** Compiled seccomp filter. For a tool that takes one its descriptor replaces `{seccomp}` in argv. */
  seccomp?: string;
  /** Bytes a second; -1 is unlimited. */
  logRate: number;
  /** Folder of an image's root, over which the rest is put; absent: the root is what `base` says. */
  rootfs?: string;
  /** Uid and gid as they are seen inside; absent: 2000. */
  ids?: { uid: number; gid: number };
  /** Of the root, made where they are not. */
  folders?: string[];
  files: ShimFile[];
  mounts: ShimMount[];
  argv: string[];
  /** Of a guest: which of its mounts are moved into it, with all that is below them. */
  attach?: string[];
  /** Of a guest: what its engine has mounted read-only, and may be writable further down. */
  seal?: string[];
}

/** Percent-encodes what separates or could be misread. */
const encode = (text: string): string =>
  text.replace(/[%\t\n\r\0]/g, character => `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`);

/** A loop image to make from the template. */
export interface ShimImage {
  path: string;
  template: string;
}

/** The shim's `base`. `ahead`: for a shim kept ahead, which makes a disk in its own folder; null image: a plain one. */
export function formatBase(
  root: string,
  { folders, links, mounts }: Furniture,
  ahead: { image: ShimImage | null } | null,
): string {
  const disk = ahead?.image ?? null;
  return format([
    ['root', root],
    ...(ahead === null ? [] : [['ahead', '1']]),
    ...(disk === null
      ? []
      : [
          ['disk', 'disk'],
          ['image', disk.path],
          ['template', disk.template],
        ]),
    ...folders.map(path => ['folder', path]),
    ...links.map(({ target, path }) => ['link', target, path]),
    ...mounts.map(mountLine),
  ]);
}
const mountLine = ({ mode, source, target }: ShimMount): string[] => ['mount', mode, source, target];
const format = (lines: string[][]): string => `${lines.map(fields => fields.map(encode).join('\t')).join('\n')}\n`;

export function formatShimSpec(spec: ShimSpec): string {
  const optional: Array<[key: string, value: string | number | undefined]> = [
    ['root', spec.root],
    ['uid', spec.uid],
    ['owner', spec.owner],
    ['image', spec.image?.path],
    ['template', spec.image?.template],
    ['netns', spec.netns],
    ['oom', spec.oom],
    ['seccomp', spec.seccomp],
    ['rootfs', spec.rootfs],
    ['inside_uid', spec.ids?.uid],
    ['inside_gid', spec.ids?.gid],
  ];
  const lines: string[][] = [
    ['hostname', spec.hostname],
    ['disk', spec.disk],
    ['rate', String(spec.logRate)],
    ...optional.flatMap(([key, value]) => (value === undefined ? [] : [[key, String(value)]])),
    ...(spec.folders ?? []).map(path => ['folder', path]),
    ...spec.files.map(({ path, mode, owner, text }) => ['file', path, mode, String(owner ?? ''), text]),
    ...spec.mounts.map(mountLine),
    ...spec.argv.map(argument => ['arg', argument]),
    ...(spec.attach ?? []).map(path => ['attach', path]),
    ...(spec.seal ?? []).map(path => ['seal', path]),
  ];
  return format(lines);
}

/** `shell`: assignments that the init reads; `more`: names that a shell cannot assign, as NAME=value with NUL after. */
export function formatEnvironment(environment: Record<string, string>): { shell: string; more: string } {
  const entries = Object.entries(environment).map(([name, value]) => [name, value.replaceAll('\0', '')] as const);
  const isShellName = (name: string): boolean => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name);
  const isName = (name: string): boolean => name !== '' && !/[=\0]/.test(name);
  const quote = (value: string): string => `'${value.replaceAll("'", `'\\''`)}'`;
  return {
    shell: entries
      .filter(([name]) => isShellName(name))
      .map(([name, value]) => `export ${name}=${quote(value)}\n`)
      .join(''),
    more: entries
      .filter(([name]) => isName(name) && !isShellName(name))
      .map(([name, value]) => `${name}=${value}\0`)
      .join(''),
  };
}
