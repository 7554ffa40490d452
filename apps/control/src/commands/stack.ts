/**
 * `stack add|list|remove`: root filesystems beside the machine's own, for apps that need another distribution or other packages than it has. Of one machine,
 * that of a platform or a member of a cluster: what runs and builds apps there offers what lies there.
 */
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { importRootfs } from '@cupola/images/rootfs/import-rootfs';
import { type InstalledStack, pruneStacks, readStacks, writeStacks } from '@cupola/images/rootfs/installed-stacks';
import { HOST_STACK } from '@cupola/model/host-stack';
import { readMember } from '../member-config.ts';
import { offeredStacks } from '../offered-stacks.ts';
import { command, dataFolder, PlainError, stacksFolder } from '../platform-config.ts';
import { askSupervisor } from './running.ts';

interface Flags {
  data?: string;
  json?: boolean;
}

/** CF's own are cflinuxfs4 and the like. */
const NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;
/** As many digits of a digest as tell two versions apart. */
const SHORT = 12;

export async function addStack(source: string, flags: Flags & { name?: string }): Promise<void> {
  const data = existingData(flags);
  const name = flags.name ?? nameOf(source);
  if (!NAME.test(name) || name === HOST_STACK)
    throw new PlainError(
      `"${name}" is no name for a stack: small letters, digits, dots and hyphens, and not "${HOST_STACK}". Choose one with --name.`,
    );
  const folder = stacksFolder(data);
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  const fresh = join(folder, `.new-${process.pid}`);
  const say = flags.json === true ? () => undefined : (text: string) => console.error(text);
  const { digest, abiKey, description } = await importRootfs(source, { folder: fresh, say }).catch((error: Error) => {
    throw new PlainError(`${source} cannot be a stack: ${error.message}`);
  });
  const stack: InstalledStack = {
    ...{ name, folder: `${name}.${digest.slice(0, SHORT)}`, digest, abiKey, description },
    source: existsSync(source) ? resolve(source) : source,
  };
  const place = join(folder, stack.folder);
  // The same once more is the same: what stands on it goes on.
  if (existsSync(place)) rmSync(fresh, { recursive: true, force: true });
  else renameSync(fresh, place);
  const before = readStacks(folder);
  writeStacks(folder, [...before.filter(other => other.name !== name), stack]);
  const former = before.find(other => other.name === name);
  pruneStacks(folder);
  const isMember = readMember(data) !== null;
  const isOffered = !isMember && (await isOfferedSoon(data, stack));
  if (flags.json) return console.log(JSON.stringify({ ...stack, offered: isOffered }));
  console.log(`Stack ${name}: ${description} (${abiKey}).`);
  if (former !== undefined && former.abiKey !== abiKey)
    console.log(
      `Its former version was ${former.abiKey}: instances go on; restage the apps that use it before they are restarted.`,
    );
  const push = `cupola push -s ${name}, or \`stack: ${name}\` in the manifest.`;
  if (isMember)
    console.log(
      `This machine offers it within seconds, while it runs. Add it on each machine that builds or runs apps on it, then: ${push}`,
    );
  else
    console.log(isOffered ? `Push onto it: ${push}` : `It is offered once the platform runs: ${command('up', data)}`);
}

export function listStacks(flags: Flags): void {
  const stacks = readStacks(stacksFolder(existingData(flags)));
  if (flags.json) {
    console.log(JSON.stringify(stacks));
    return;
  }
  console.log(`${'name'.padEnd(20)} ${'system'.padEnd(36)} digest`);
  console.log(`${HOST_STACK.padEnd(20)} ${'this machine itself'.padEnd(36)} -`);
  for (const { name, description, digest } of stacks)
    console.log(`${name.padEnd(20)} ${description.padEnd(36)} ${digest.slice(0, SHORT)}`);
}

export async function removeStack(name: string, flags: Flags): Promise<void> {
  const data = existingData(flags);
  const folder = stacksFolder(data);
  const stacks = readStacks(folder);
  if (!stacks.some(stack => stack.name === name))
    throw new PlainError(`There is no stack ${name} to remove. These were added: ${command('stack list', data)}`);
  writeStacks(
    folder,
    stacks.filter(stack => stack.name !== name),
  );
  pruneStacks(folder);
  if (flags.json) return console.log(JSON.stringify({ name, removed: true }));
  console.log(
    `Stack ${name} is offered no more. Instances that run on it go on until they are stopped; then push their apps onto another: cupola push -s ${HOST_STACK}`,
  );
}

function existingData({ data }: Flags): string {
  const folder = dataFolder(data);
  if (!existsSync(join(folder, 'config.json')) && readMember(folder) === null)
    throw new PlainError(
      `Neither a platform nor a member of a cluster is in ${folder} yet. Start it first: ${command('up', folder)}, or ./cupola join`,
    );
  return folder;
}

/** The cell looks with each of its heartbeats, every 5 s; a busy machine may take longer. */
const OFFERED_MS = 30_000;

/** Whether a platform runs, and offers it: whoever pushes next is not to be told that there is no such stack. */
async function isOfferedSoon(data: string, { name, digest }: InstalledStack): Promise<boolean> {
  if ((await askSupervisor(data, '/status')) === null) return false;
  for (const end = performance.now() + OFFERED_MS; performance.now() < end; ) {
    if ((await offeredStacks(data)).some(stack => stack.name === name && stack.digest === digest)) return true;
    await new Promise(resolve => setTimeout(resolve, 100));
  }
  return false;
}

function nameOf(source: string): string {
  const last = basename(source.replace(/[@:][^/]*$/, ''));
  return last.replace(/(\.(tar|tgz|txz|oci|docker))?(\.(gz|xz|zst))?$/, '').toLowerCase();
}
