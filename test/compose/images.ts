/**
 * One image that stands in for those that docker-compose.yml names (postgres, redis, versitygw, node), since CI reaches no registry of images. It is made of the
 * files of Debian's packages on this machine, so what it proves is the versions that are installed here (on Debian 12: PostgreSQL 15, Redis 7.0), the S3 server
 * of the other tests, and the Node.js that runs this; that the makers' own images take the same words, it does not prove.
 *
 * And our own image, of the same files: what the Dockerfile would have put together, and its last words on how it is run. Building it as the Dockerfile says
 * takes a minute of both processors, fetches all libraries, and is done where the test is asked for it.
 */
import { execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  cpSync,
  existsSync,
  globSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { basename, delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { s3Program } from '@cupola/blobs/s3-server';
import type { DockerEngine } from '@cupola/sandbox/docker/engine-server';

const run = promisify(execFile);

/** What runs in some container; what they stand on comes along. */
const PACKAGES = [
  ...['bash', 'coreutils', 'dash', 'findutils', 'grep', 'sed', 'mawk', 'tar', 'gzip', 'xz-utils', 'unzip', 'hostname'],
  ...[
    'util-linux',
    'mount',
    'perl-base',
    'e2fsprogs',
    'nftables',
    'iproute2',
    'iptables',
    'ca-certificates',
    'openssl',
  ],
  ...['libc-bin', 'base-files', 'wget', 'git', 'libstdc++6', 'redis-server', 'redis-tools'],
] as const;
/** Of no use here, and half of all: documents, translations, PostgreSQL's compiler of queries, Perl beyond its base. */
const LEFT_OUT =
  /^\/usr\/share\/(?!ca-certificates|postgresql|zoneinfo\/UTC)|libLLVM|libz3|llvmjit|\/perl\/5|^\/usr\/lib\/(modules|systemd|udev)|^\/(var|boot|srv|media|mnt|run|proc|sys|dev|home|root)\//;
const MERGED = /^\/(bin|sbin|lib|lib32|lib64|libx32)(?=\/|$)/;

/** Users with the ids that they have in the images that this one stands for. */
const PASSWD = `root:x:0:0:root:/root:/bin/sh
postgres:x:999:999::/var/lib/postgresql:/bin/sh
redis:x:999:999::/data:/bin/sh
node:x:1000:1000::/tmp:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/bin/false
`;

/** How this machine's Node.js and npm reach registries: the image's do as they do. */
const WAY_OUT = /^(?:https?_proxy|no_proxy|npm_config_(?:registry|https?_proxy|noproxy))$/i;
const extraCa = process.env.NODE_EXTRA_CA_CERTS;
const EXTRA_CA = '/etc/ssl/extra-ca.pem';

interface Making {
  /** The checkout. */
  root: string;
  /** An empty one, for what is put together. */
  folder: string;
  /** Of the image that stands in for others. */
  name: string;
  /** Of ours; null: it is built by the Dockerfile, on the other one. */
  ours: string | null;
}

/** Makes them in the engine. */
export async function makeImages(engine: DockerEngine, { root, folder, name, ours }: Making): Promise<void> {
  const own = join(folder, 'root');
  furnish(own, await s3Program(), { builds: ours === null });
  if (ours !== null) furnishOurs(own, root);
  const lists = [writeList(folder, 'packages', await filesOfPackages())];
  if (ours !== null) lists.push(writeList(folder, 'ours', await filesOfOurs(root)));
  const tar = spawn(
    'tar',
    [
      ...['--create', '--directory=/', '--null', '--no-recursion', ...lists.map(list => `--files-from=${list}`)],
      ...[`--transform=s,^${root.slice(1).replaceAll(/[^\w/-]/g, '\\$&')}/,${OURS.slice(1)}/,`, '--recursion'],
      ...[`--directory=${own}`, '.'],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  await engine.dockerFrom(tar.stdout, 'import', ...standInSettings(), '-', name);
  if (ours === null) return;
  const container = (await engine.docker('create', name, 'true')).trim();
  await engine.docker('commit', ...dockerfileSettings(root), container, ours);
  await engine.docker('rm', container);
}

function writeList(folder: string, name: string, paths: readonly string[]): string {
  const file = join(folder, name);
  writeFileSync(file, paths.map(path => `${path.slice(1)}\0`).join(''));
  return file;
}

function standInSettings(): string[] {
  return [
    'ENTRYPOINT ["/usr/local/bin/stand-in"]',
    'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    ...(extraCa === undefined ? [] : [`ENV NODE_EXTRA_CA_CERTS=${EXTRA_CA}`]),
    ...Object.entries(process.env).flatMap(([key, value]) =>
      WAY_OUT.test(key) && value ? [`ENV ${key}=${value}`] : [],
    ),
  ].flatMap(line => ['--change', line]);
}

/** Of the last image that the Dockerfile makes: how it is run. */
function dockerfileSettings(root: string): string[] {
  const last =
    readFileSync(join(root, 'Dockerfile'), 'utf8')
      .split(/^FROM /m)
      .at(-1) ?? '';
  return (last.match(/^(?:LABEL|WORKDIR|USER|ENV|ENTRYPOINT|CMD) .*/gm) ?? []).flatMap(line => ['--change', line]);
}

/** Where our files lie in our image. */
const OURS = '/cupola';
/** As .dockerignore has it; and of libraries what is for whoever writes code with them. */
const NOT_OURS = /^(bench|docs|examples|test|\.ci)\/|\.test\.ts$/;
const FOR_WRITERS = /\.(?:map|md|d\.[cm]?ts)$/;
/** What the programs and the dashboard are made with, and what is for other JavaScript machines than Node.js: 50 MB that nothing here loads. */
const FOR_MAKING = /\/node_modules\/(?:@rolldown|rolldown|vite|lightningcss|react|@fontsource|@tanstack|bare-|jiti)/;

/** What runs of this checkout: its sources, the libraries that it needs, the programs that its launcher has made. */
async function filesOfOurs(root: string): Promise<string[]> {
  const buffer = { cwd: root, maxBuffer: 64 * 1024 * 1024 };
  const git = ['-c', 'safe.directory=*', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  const { stdout: listed } = await run('git', git, buffer);
  const sources = listed.split('\0').filter(path => path !== '' && !NOT_OURS.test(path));
  // Folders of libraries; one that lies in another one's comes with it.
  const { stdout: needed } = await run('npm', ['ls', '--omit=dev', '--all', '--parseable'], buffer);
  const libraries = needed
    .split('\n')
    .filter(path => path.split('/node_modules/').length === 2 && !FOR_MAKING.test(path));
  const inLibraries = libraries.flatMap(path =>
    lstatSync(path).isSymbolicLink() ? [path] : globSync(`${path}/**`).filter(file => !FOR_WRITERS.test(file)),
  );
  const programs = realpathSync(join(root, '.programs/current'));
  return [
    ...sources.map(path => join(root, path)),
    ...inLibraries,
    ...globSync(`${programs}/**`),
    join(root, '.programs/current'),
  ].filter(isFileOrLink);
}

/** What the Dockerfile makes besides. */
function furnishOurs(own: string, root: string): void {
  mkdirSync(join(own, OURS), { recursive: true });
  writeFileSync(join(own, OURS, '.image-id'), randomUUID());
  for (const name of readdirSync(join(root, 'compose')))
    symlinkSync(join(OURS, 'compose', name), join(own, 'usr/local/bin', name));
  chmodSync(join(own, 'data'), 0o700);
  chownSync(join(own, 'data'), 1000, 1000);
}

/** Absolute, where they really lie. */
async function filesOfPackages(): Promise<string[]> {
  const postgres = basename(dirname(dirname(globSync('/usr/lib/postgresql/*/bin/initdb').sort().at(-1) ?? '')));
  const wanted = [...PACKAGES, `postgresql-${postgres}`, `postgresql-client-${postgres}`];
  const depends = [
    'depends',
    '--recurse',
    '--installed',
    '--no-recommends',
    '--no-suggests',
    '--no-conflicts',
    '--no-breaks',
    '--no-replaces',
    '--no-enhances',
  ];
  const { stdout: closure } = await run('apt-cache', [...depends, ...wanted], { maxBuffer: 64 * 1024 * 1024 });
  const names = closure.split('\n').filter(line => /^[a-z0-9]/.test(line));
  const { stdout: installed } = await run('dpkg', ['--get-selections'], { maxBuffer: 64 * 1024 * 1024 });
  const known = new Map(
    installed.split('\n').flatMap(line => {
      const [name = '', state] = line.split('\t').filter(Boolean);
      return state === 'install' || state === 'hold' ? [[name.replace(/:.*/, ''), name] as const] : [];
    }),
  );
  const there = names.flatMap(one => known.get(one.replace(/:.*/, '')) ?? []);
  const { stdout: listed } = await run('dpkg-query', ['--listfiles', ...new Set(there)], {
    maxBuffer: 64 * 1024 * 1024,
  });
  // What update-alternatives makes is in no package's list.
  const chosen = globSync('/usr/{bin,sbin}/*').filter(
    path => lstatSync(path).isSymbolicLink() && readlinkSync(path).startsWith('/etc/alternatives/'),
  );
  const more = [
    ...globSync('/etc/alternatives/*'),
    ...globSync('/etc/ssl/certs/*'),
    '/etc/ssl/certs',
    '/etc/ld.so.cache',
    '/bin',
    '/sbin',
    '/lib',
    '/lib64',
  ];
  const all = [...listed.split('\n'), ...chosen, ...more]
    .filter(path => path.startsWith('/') && !LEFT_OUT.test(path))
    .map(path => (path.lastIndexOf('/') > 0 ? path.replace(MERGED, merged => realpathSync(merged)) : path))
    .filter(path => path !== '/etc/passwd' && path !== '/etc/group' && isFileOrLink(path));
  return [...new Set(all)];
}

/** An archive may name nothing twice, and folders come with what is in them. */
function isFileOrLink(path: string): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false });
  return found?.isFile() === true || found?.isSymbolicLink() === true;
}

/** What is in no package, or not as it is here. */
function furnish(root: string, s3: string, { builds }: { builds: boolean }): void {
  for (const path of [
    'usr/local/bin',
    'usr/local/lib/node_modules',
    'etc',
    'root',
    'srv',
    'tmp',
    'run',
    'var/tmp',
    'var/lib',
    'data',
    'proc',
    'sys',
    'dev',
    'home',
  ])
    mkdirSync(join(root, path), { recursive: true });
  for (const path of ['tmp', 'var/tmp']) chmodSync(join(root, path), 0o1777);
  symlinkSync('/run', join(root, 'var/run'));
  const bin = join(root, 'usr/local/bin');
  copyFileSync(join(import.meta.dirname, 'stand-in.sh'), join(bin, 'stand-in'));
  copyFileSync(process.execPath, join(bin, 'node'));
  copyFileSync(s3, join(bin, 'versitygw'));
  // In the package's own place it is a script of Debian's, in Perl.
  symlinkSync(globSync('/usr/lib/postgresql/*/bin/pg_isready').sort().at(-1) ?? '', join(bin, 'pg_isready'));
  writeFileSync(join(root, 'etc/passwd'), PASSWD);
  writeFileSync(join(root, 'etc/group'), PASSWD.replaceAll(/^(\w+):x:\d+:(\d+):.*$/gm, '$1:x:$2:'));
  mkdirSync(join(root, 'etc/ssl'));
  if (extraCa !== undefined) copyFileSync(extraCa, join(root, EXTRA_CA));
  if (!builds) return;
  cpSync(npmFolder(), join(root, 'usr/local/lib/node_modules/npm'), { recursive: true, verbatimSymlinks: true });
  for (const name of ['npm', 'npx']) symlinkSync(`../lib/node_modules/npm/bin/${name}-cli.js`, join(bin, name));
  // Where this machine's npm gets packages, without its logins.
  const npmrc = join(homedir(), '.npmrc');
  if (existsSync(npmrc)) writeFileSync(join(root, 'root/.npmrc'), withoutLogins(npmrc));
}

/** Found as a shell would find it. */
function npmFolder(): string {
  const found = (process.env.PATH ?? '')
    .split(delimiter)
    .map(folder => join(folder, 'npm'))
    .find(path => existsSync(path));
  if (found === undefined) throw new Error('npm is not here');
  return dirname(dirname(realpathSync(found)));
}

const withoutLogins = (file: string): string =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter(line => !/auth|token|password|username/i.test(line))
    .join('\n');
