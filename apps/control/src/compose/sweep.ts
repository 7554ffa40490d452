/**
 * `compose sweep`: what cells that run no more, and will not again, may have left outside of their folders: containers with the engine, networks of this
 * machine. Those that ended in order have left nothing; this is for those that were killed.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { sweepDocker } from '@cupola/sandbox/docker/open-docker';
import { openNetworks } from '@cupola/sandbox/networks';
import { readMember } from '../member-config.ts';

/** Prints the folder, which holds the data folders of the cells: who has asked does not know where it is. */
export async function sweep(folder: string, { keepData }: { keepData: boolean }): Promise<void> {
  console.log(folder);
  for (const name of readdirSync(folder)) await sweepCell(join(folder, name));
  if (keepData) return;
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true, force: true });
}

async function sweepCell(data: string): Promise<void> {
  const member = readMember(data);
  if (member?.dockerHost == null) return;
  for (const kind of ['instances', 'builds']) await sweepDocker(member.dockerHost, join(data, 'cell', kind));
  const networks = join(data, 'cell', 'networks');
  if (!existsSync(join(networks, 'networks.json'))) return;
  const log = { info: () => undefined, warn: (_: object, text: string) => console.error(text) };
  const opened = await openNetworks({ folder: networks, installation: member.installation, log });
  await opened?.close({ remove: true });
}
