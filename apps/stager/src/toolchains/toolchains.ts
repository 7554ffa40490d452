/**
 * Toolchains, made once for all apps (docs/decisions/0002): a folder here, shown read-only to every build, and a layer in the blob store, named by every
 * droplet that needs it. A record under a key tells other stagers that it is made. No code of an app takes part in the making.
 */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { packTar, type TarInfo } from '@cupola/archive/tar';
import { tarBytes } from '@cupola/archive/tar-bytes';
import { untar } from '@cupola/archive/untar';
import type { ToolchainAsk, ToolchainName } from '@cupola/buildpacks/buildpack';
import { layer as layerSchema } from '@cupola/contract/internal';
import type { Layer } from '@cupola/model/run-spec';
import type { InternalClient, LayerOwner } from '../internal-client.ts';
import type { NpmClient } from '../npm-client.ts';
import { type AskVersions, rememberVersions } from './registry-versions.ts';
import {
  findInstalledNpm,
  fromInstalledNpm,
  fromNodePackage,
  fromOwnNode,
  fromPackage,
  type InstalledNpm,
} from './trees.ts';
import { type Choice, chooseFrom, chooseHere, type Known, packageOf } from './versions.ts';

export interface MadeToolchain {
  name: ToolchainName;
  version: string;
  /** Its folder's name, here and below /toolchains: `node-24.21.0`. */
  folderName: string;
  layer: Layer;
}

export interface Toolchains {
  /** One folder for each toolchain; shown whole to every build, so that one that is made while a build runs appears in it. */
  readonly folder: string;
  /** Chooses, makes if need be, and sees to it that the API has its layer. @throws StagingFailedError when there is none in that range. */
  ensure(ask: ToolchainAsk, owner?: LayerOwner): Promise<MadeToolchain>;
}

interface Options {
  client: Pick<InternalClient, 'hasLayer' | 'openLayer' | 'putLayer' | 'toolchain' | 'putToolchain'>;
  npm: NpmClient;
  /** Of the stager; three folders are made in it. */
  folder: string;
  now(): number;
}

export function openToolchains({ client, npm, folder, now }: Options): Toolchains {
  const trees = join(folder, 'toolchains');
  const layers = join(folder, 'toolchain-layers');
  const work = join(folder, 'toolchain-work');
  rmSync(work, { recursive: true, force: true });
  mkdirSync(trees, { recursive: true, mode: 0o755 });
  for (const path of [layers, work]) mkdirSync(path, { recursive: true, mode: 0o700 });
  const versionsOf = rememberVersions(npm, join(folder, 'registry'), now);
  const making = new Map<string, Promise<MadeToolchain>>();
  const recorded = new Set<string>();
  const installed = findInstalledNpm();
  const choose = chooser({ trees, installed, versionsOf });

  /** The layer of a tree: remembered beside it, taken over from another stager's record, or packed to be known. */
  const layerOf = async (key: string, folderName: string, makeIt: () => Promise<void>): Promise<Layer> => {
    const tree = join(trees, folderName);
    const note = join(layers, `${key}.json`);
    if (existsSync(tree) && existsSync(note)) return layerSchema.parse(JSON.parse(await readFile(note, 'utf8')));
    let layer: Layer | null = null;
    if (!existsSync(tree)) {
      const record = await client.toolchain(key);
      if (record !== null && (await client.hasLayer(record.layer.digest))) {
        await unpackLayer(await client.openLayer(record.layer.digest), folderName, { trees, work });
        layer = record.layer;
      } else await makeIt();
    }
    layer ??= { ...(await measure(tree, folderName)), kind: 'toolchain', mountPath: `/toolchains/${folderName}` };
    await writeFile(`${note}.new`, JSON.stringify(layer));
    await rename(`${note}.new`, note);
    return layer;
  };

  const make = async (name: ToolchainName, choice: Choice): Promise<MadeToolchain> => {
    const folderName = `${name}-${choice.version}`;
    const key = keyOf(name, choice.version);
    const layer = await layerOf(key, folderName, () =>
      makeTree({ name, choice, target: join(trees, folderName) }, { work, npm, installed }),
    );
    return { name, version: choice.version, folderName, layer };
  };

  const publish = async ({ name, version, folderName, layer }: MadeToolchain, owner: LayerOwner): Promise<void> => {
    const key = keyOf(name, version);
    if (await client.hasLayer(layer.digest)) {
      // The layer without its record: whoever stored it was cut off in between.
      if (recorded.has(key) || (await client.toolchain(key)) !== null) return void recorded.add(key);
    } else
      await client.putLayer(
        {
          ...layer,
          open: () =>
            Readable.from(tarBytes(join(trees, folderName), `toolchains/${folderName}`), { objectMode: false }),
        },
        owner,
      );
    await client.putToolchain({ key, version, layer });
    recorded.add(key);
  };

  /** One making of a toolchain at a time, however many builds ask for it. One that failed for another is tried again. */
  const once = async (key: string, start: () => Promise<MadeToolchain>): Promise<MadeToolchain> => {
    const others = await making.get(key)?.catch(() => null);
    if (others) return others;
    const running = making.get(key) ?? start().finally(() => making.delete(key));
    making.set(key, running);
    return running;
  };

  return {
    folder: trees,
    ensure: async (ask, owner) => {
      const choice = await choose(ask);
      const key = keyOf(ask.name, choice.version);
      return once(key, async () => {
        const made = await make(ask.name, choice);
        await publish(made, owner ?? { toolchain: key });
        return made;
      });
    },
  };
}

function chooser(here: {
  trees: string;
  installed: Promise<InstalledNpm | null>;
  versionsOf: AskVersions;
}): (ask: ToolchainAsk) => Promise<Choice> {
  return async ask => {
    const known: Known = {
      ownNode: process.platform === 'linux' ? process.versions.node : null,
      installedNpm: await here.installed,
      made: await madeVersions(here.trees, ask.name),
    };
    return chooseHere(ask, known) ?? chooseFrom(ask, { ...(await here.versionsOf(packageOf(ask))), known });
  };
}

/** Lays it out beside, and moves it to its place when it is whole. */
async function makeTree(
  { name, choice, target }: { name: ToolchainName; choice: Choice; target: string },
  { work, npm, installed }: { work: string; npm: NpmClient; installed: Promise<InstalledNpm | null> },
): Promise<void> {
  const { version, source } = choice;
  const packageName = packageOf({ name, range: version });
  const npmHere = await installed;
  const fetched = name === 'node' ? fromNodePackage : fromPackage;
  const make =
    source === 'own'
      ? fromOwnNode()
      : source === 'installed' && npmHere !== null
        ? fromInstalledNpm(npmHere.folder)
        : fetched(npm, { name: packageName, version });
  const place = await mkdtemp(join(work, 'make-'));
  const tree = join(place, 'tree');
  await mkdir(tree, { mode: 0o755 });
  await make(tree, place);
  await rename(tree, target);
  await rm(place, { recursive: true, force: true });
}

/** Node.js differs by machine; what runs on it does not. */
function keyOf(name: ToolchainName, version: string): string {
  return name === 'node' ? `node-${version}-${process.platform}-${process.arch}` : `${name}-${version}`;
}

async function madeVersions(trees: string, name: ToolchainName): Promise<string[]> {
  return (await readdir(trees)).flatMap(folder =>
    folder.startsWith(`${name}-`) ? [folder.slice(name.length + 1)] : [],
  );
}

async function measure(tree: string, folderName: string): Promise<TarInfo> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => void setImmediate(done) });
  return packTar(tree, `toolchains/${folderName}`, nowhere);
}

async function unpackLayer(
  source: Readable,
  folderName: string,
  { trees, work }: { trees: string; work: string },
): Promise<void> {
  const place = await mkdtemp(join(work, 'layer-'));
  await untar(source, place);
  await rename(join(place, 'toolchains', folderName), join(trees, folderName));
  await rm(place, { recursive: true, force: true });
}
