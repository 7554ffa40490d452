/**
 * manifest.yml as cf reads it: YAML 1.1 with anchors and merges, variables, several apps; flags override the one app they can mean. What comes out is sent
 * to the API as it is, unknown keys too: the API knows them better.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve, sep } from 'node:path';
import { type DevelopmentManifest, developmentManifest } from '@cupola/model/development-manifest';
import { PUSH_LIMITS } from '@cupola/model/limits';
import { previewManifest } from '@cupola/model/previews';
import { parseDocument } from 'yaml';
import { usageError } from '../failures.ts';
import { interpolate } from './interpolate.ts';
import { unknownKeys } from './unknown-keys.ts';

export type AppManifest = Record<string, unknown> & { name: string };

export interface PushFlags {
  /** `-f`: a manifest, or a folder with one. */
  readonly manifest?: string | undefined;
  readonly noManifest?: boolean;
  readonly var?: readonly string[];
  readonly varsFile?: readonly string[];
  readonly path?: string | undefined;
  readonly buildpack?: readonly string[];
  readonly memory?: string | undefined;
  readonly disk?: string | undefined;
  readonly instances?: number | undefined;
  readonly command?: string | undefined;
  readonly healthCheckType?: string | undefined;
  readonly endpoint?: string | undefined;
  readonly startTimeout?: number | undefined;
  readonly stack?: string | undefined;
  readonly dockerImage?: string | undefined;
  readonly dockerUsername?: string | undefined;
  readonly noRoute?: boolean;
  readonly randomRoute?: boolean;
  /** A folder that `path` of a manifest may not lead out of, where the manifest is somebody else's. */
  readonly within?: string;
  /** The app is another one, beside that of the manifest. */
  readonly preview?: { readonly name: string; readonly isFork: boolean };
  /** The app is the one for developing beside that of the manifest: NAME-dev, unless it has another name. */
  readonly development?: { readonly name: string | undefined; readonly variables: Readonly<Record<string, string>> };
  /** The name of an app where neither manifest nor user gives one, by its folder; without it that is refused. @throws usage error */
  nameless?(folder: string): string;
}

/** What an app runs instead of files. */
export interface PushedImage {
  readonly name: string;
  /** Of its registry; null: it is for everyone. */
  readonly username: string | null;
}

export interface ManifestPlan {
  /** Absolute; null: there is none. */
  readonly file: string | null;
  /** Sent to `apply_manifest`: JSON, which is YAML that every parser reads alike. */
  readonly body: string;
  /** What is pushed, in the manifest's order; `folder` is absolute, and of no use where there is an `image`. */
  /** What of it does nothing, a sentence each. */
  readonly notes: readonly string[];
  readonly apps: readonly { readonly name: string; readonly folder: string; readonly image: PushedImage | null }[];
  /** Of an app for developing: what of the manifest does not hold for it. */
  readonly leftOut: Pick<DevelopmentManifest, 'services' | 'leftOut'>;
}

function previewed(apps: AppManifest[], { preview }: PushFlags): AppManifest[] {
  return preview === undefined ? apps : apps.map(app => ({ ...previewManifest(app, preview), name: preview.name }));
}

/** The first of them: there is one. */
function developed(
  apps: AppManifest[],
  { development }: PushFlags,
): { apps: AppManifest[]; leftOut: ManifestPlan['leftOut'] } {
  const [app] = apps;
  if (development === undefined || app === undefined) return { apps, leftOut: { services: [], leftOut: [] } };
  if (apps.length > 1)
    throw usageError(
      `The manifest names ${apps.map(({ name }) => name).join(', ')}.`,
      `Name one: cupola dev ${app.name}`,
    );
  const { entry, ...leftOut } = developmentManifest(app, development);
  return { apps: [{ ...entry, name: development.name ?? `${app.name}-dev` }], leftOut };
}

const ALIASES_MAX = 100;
const DEPTH_MAX = 32;
const FILE_NAMES = ['manifest.yml', 'manifest.yaml'];

/** Reads, interpolates, picks and overrides. `cwd` is absolute. Throws usage errors that name the file and the key. */
export function planManifest(name: string | undefined, flags: PushFlags, cwd: string): ManifestPlan {
  const file = flags.noManifest ? null : locate(flags.manifest, cwd);
  const known: Record<string, unknown> = file === null ? { applications: [{}] } : readManifest(file, flags);
  const applications = readApplications(known, file);
  const named = name ?? (file === null ? flags.nameless?.(resolve(cwd, flags.path ?? '.')) : undefined);
  const picked = pick(applications, named, file);
  const { apps: overridden, leftOut } = developed(previewed(override(picked, flags), flags), flags);
  const images = overridden.map(imageOf);
  const folders = overridden.map((app, at) => (images[at] === null ? folderOf(app, flags, { file, cwd }) : cwd));
  const sent = overridden.map(({ path: _, ...app }) => withDefaultRoute(app as AppManifest));
  return {
    file,
    body: JSON.stringify(
      { ...(known.version === undefined ? {} : { version: known.version }), applications: sent },
      null,
      2,
    ),
    notes: picked.flatMap(unknownKeys),
    apps: sent.map((app, at) => ({ name: app.name, folder: folders[at] as string, image: images[at] ?? null })),
    leftOut,
  };
}

function locate(flag: string | undefined, cwd: string): string | null {
  const place = resolve(cwd, flag ?? '.');
  if (flag !== undefined && !existsSync(place))
    throw usageError(`There is no ${place}.`, 'Name the manifest with -f FILE, or push without one: --no-manifest');
  if (!statSync(place).isDirectory()) return place;
  const found = FILE_NAMES.map(name => join(place, name)).find(existsSync);
  if (found === undefined && flag !== undefined)
    throw usageError(
      `There is no manifest.yml in ${place}.`,
      'Name the manifest with -f FILE, or push without one: --no-manifest',
    );
  return found ?? null;
}

function readManifest(file: string, { var: pairs = [], varsFile = [] }: PushFlags): Record<string, unknown> {
  const variables: Record<string, unknown> = {};
  for (const path of varsFile) Object.assign(variables, asMap(parseYaml(path), path));
  for (const pair of pairs) {
    const equals = pair.indexOf('=');
    if (equals <= 0) throw usageError(`--var ${pair} is not NAME=VALUE.`, 'Write it like --var host=shop');
    variables[pair.slice(0, equals)] = parseText(pair.slice(equals + 1), `--var ${pair}`);
  }
  return asMap(interpolate(asMap(parseYaml(file), file), variables), file);
}

function parseYaml(file: string): unknown {
  let text: string;
  try {
    if (statSync(file).size > PUSH_LIMITS.manifestMaxBytes)
      throw usageError(`${file} is larger than 1 MiB.`, 'A manifest describes apps; put data into files of the app.');
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    throw usageError(`${file} cannot be read: ${(error as Error).message}`, 'Check the path.');
  }
  return parseText(text, file);
}

/** Go's yaml.v2, which cf uses, reads YAML 1.1 but neither `1:30` as a number nor dates as dates. */
function parseText(text: string, source: string): unknown {
  const document = parseDocument(text, {
    version: '1.1',
    customTags: tags =>
      tags
        .filter(tag => typeof tag !== 'object' || !('format' in tag) || tag.format !== 'TIME')
        .filter(tag => typeof tag !== 'object' || tag.tag !== 'tag:yaml.org,2002:timestamp'),
  });
  const fault = document.errors[0] ?? document.warnings[0];
  if (fault !== undefined) throw usageError(`${source} is not valid YAML: ${fault.message}`, 'Mend that line.');
  try {
    const value: unknown = document.toJS({ maxAliasCount: ALIASES_MAX });
    if (depthOf(value) > DEPTH_MAX)
      throw usageError(`${source} is nested deeper than ${DEPTH_MAX} levels.`, 'A manifest needs five.');
    return value;
  } catch (error) {
    if (error instanceof ReferenceError)
      throw usageError(`${source} uses more than ${ALIASES_MAX} aliases.`, 'Write the values out.');
    throw error;
  }
}

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

function asMap(value: unknown, source: string): Record<string, unknown> {
  if (value === null || value === undefined) return {};
  if (typeof value !== 'object' || Array.isArray(value))
    throw usageError(`${source} is not a map of names to values.`, 'A manifest begins with "applications:".');
  return value as Record<string, unknown>;
}

function readApplications(manifest: Record<string, unknown>, file: string | null): Record<string, unknown>[] {
  const { applications } = manifest;
  if (manifest.inherit !== undefined)
    throw usageError(`${file} uses "inherit", which cf has dropped.`, 'Use YAML anchors, or --vars-file, instead.');
  if (!Array.isArray(applications) || applications.length === 0)
    throw usageError(
      `${file} names no app under "applications:".`,
      'Add one, or push without a manifest: --no-manifest',
    );
  return applications.map(app => normalize(asMap(app, `an entry of "applications" in ${file}`), file));
}

/** `disk_quota` is the old spelling of `disk-quota`. */
function normalize(app: Record<string, unknown>, file: string | null): Record<string, unknown> {
  if (app.disk_quota !== undefined && app['disk-quota'] !== undefined)
    throw usageError(`${file} gives both disk_quota and disk-quota.`, 'Keep one of them.');
  const { disk_quota: old, ...rest } = app;
  return old === undefined ? rest : { ...rest, 'disk-quota': old };
}

function pick(
  applications: readonly Record<string, unknown>[],
  name: string | undefined,
  file: string | null,
): AppManifest[] {
  const isNamed = (app: Record<string, unknown>): app is AppManifest => typeof app.name === 'string' && app.name !== '';
  if (applications.length > 1 && !applications.every(isNamed))
    throw usageError(`${file} has an app without a name.`, 'Give each entry a "name:".');
  if (name === undefined) {
    if (applications.every(isNamed)) return [...applications] as AppManifest[];
    throw usageError(
      file === null ? 'Which name shall the app have?' : `${file} gives the app no name.`,
      'cupola push NAME',
    );
  }
  const found = applications.find(app => app.name === name);
  if (found !== undefined) return [found as AppManifest];
  if (applications.length === 1) return [{ ...applications[0], name }];
  throw usageError(
    `${file} has no app "${name}"; it has ${applications.map(app => app.name).join(', ')}.`,
    'Name one of these, or none to push all.',
  );
}

/** Sets a key under one spelling; CF reads `no-route` and `no_route` alike, so both at once would contradict each other. */
function set(app: Record<string, unknown>, key: string, value: unknown): void {
  delete app[key.replaceAll('-', '_')];
  delete app[key.replaceAll('_', '-')];
  app[key] = value;
}

const CHANGE_THE_APP = [
  'path',
  'buildpack',
  'memory',
  'disk',
  'instances',
  'command',
  'healthCheckType',
  'endpoint',
  'startTimeout',
  'stack',
  'dockerImage',
  'dockerUsername',
  'noRoute',
  'randomRoute',
] as const satisfies readonly (keyof PushFlags)[];

function override(apps: readonly AppManifest[], flags: PushFlags): AppManifest[] {
  const given = CHANGE_THE_APP.filter(name => {
    const value = flags[name];
    return value !== undefined && value !== false && !(Array.isArray(value) && value.length === 0);
  });
  if (given.length === 0) return [...apps];
  if (apps.length > 1)
    throw usageError(
      'Flags that change an app cannot be used when several apps are pushed.',
      'Name one app, or put the values into the manifest.',
    );
  const app = structuredClone(apps[0] as AppManifest);
  const web = Array.isArray(app.processes)
    ? (app.processes as Record<string, unknown>[]).find(process => process?.type === 'web')
    : undefined;
  const scaled: Record<string, unknown> = web ?? app;
  if (flags.memory !== undefined) set(scaled, 'memory', flags.memory);
  if (flags.disk !== undefined) set(scaled, web === undefined ? 'disk-quota' : 'disk_quota', flags.disk);
  if (flags.instances !== undefined) set(scaled, 'instances', flags.instances);
  if (flags.command !== undefined) set(scaled, 'command', isReset(flags.command) ? null : flags.command);
  if (flags.startTimeout !== undefined) set(scaled, 'timeout', flags.startTimeout);
  if (flags.healthCheckType !== undefined) {
    set(scaled, 'health-check-type', flags.healthCheckType === 'none' ? 'process' : flags.healthCheckType);
    if (flags.healthCheckType !== 'http')
      for (const key of ['health-check-http-endpoint', 'health_check_http_endpoint']) delete scaled[key];
  }
  if (flags.endpoint !== undefined) set(scaled, 'health-check-http-endpoint', flags.endpoint);
  if (flags.buildpack !== undefined && flags.buildpack.length > 0) {
    delete app.buildpack;
    set(app, 'buildpacks', isReset(flags.buildpack[0] ?? '') ? [] : flags.buildpack);
  }
  if (flags.stack !== undefined) set(app, 'stack', flags.stack);
  if (flags.dockerImage !== undefined || flags.dockerUsername !== undefined) overrideImage(app, flags);
  if (flags.noRoute) set(app, 'no-route', true);
  if (flags.randomRoute) set(app, 'random-route', true);
  return [app];
}

/** As cf: an image is no folder, and nothing is built of it. */
function overrideImage(app: AppManifest, { dockerImage, dockerUsername, path, buildpack }: PushFlags): void {
  if (path !== undefined || (buildpack !== undefined && buildpack.length > 0))
    throw usageError('--docker-image goes neither with -p nor with -b.', 'Push the image, or the files.');
  const known = typeof app.docker === 'object' && app.docker !== null ? app.docker : {};
  app.docker = {
    ...known,
    ...(dockerImage === undefined ? {} : { image: dockerImage }),
    ...(dockerUsername === undefined ? {} : { username: dockerUsername }),
  };
  if (imageOf(app) === null)
    throw usageError('--docker-username is the user of an image.', 'Name the image: --docker-image HOST/NAME:TAG');
}

/** What is no image is left to the API, which says what is wrong with it. */
function imageOf({ docker }: AppManifest): PushedImage | null {
  if (typeof docker !== 'object' || docker === null) return null;
  const { image, username } = docker as Record<string, unknown>;
  if (typeof image !== 'string') return null;
  return { name: image, username: typeof username === 'string' && username !== '' ? username : null };
}

function isReset(value: string): boolean {
  return value === 'null' || value === 'default';
}

/** As cf: where neither is wanted, CF makes NAME.DOMAIN for an app that has no route yet. */
function withDefaultRoute(app: AppManifest): AppManifest {
  const wants = (key: string): boolean => app[key] === true || app[key.replaceAll('-', '_')] === true;
  if (wants('no-route') || wants('random-route')) return app;
  return { ...app, 'default-route': true };
}

/** `-p` counts from here, a manifest's `path` from the manifest, and without both it is this folder. */
function folderOf(app: AppManifest, flags: PushFlags, { file, cwd }: { file: string | null; cwd: string }): string {
  const { path, within } = flags;
  const own = typeof app.path === 'string' ? resolve(dirname(file ?? cwd), app.path) : cwd;
  const folder = path === undefined ? own : resolve(cwd, path);
  if (within !== undefined && folder !== within && !folder.startsWith(`${within}${sep}`))
    throw usageError(`"path" of ${app.name} leads out of the tree.`, 'Name a folder below the manifest.');
  if (!existsSync(folder))
    throw usageError(
      `There is no ${folder} to push.`,
      path === undefined ? `Mend "path" of ${app.name} in ${file}.` : 'Check -p.',
    );
  return folder;
}
