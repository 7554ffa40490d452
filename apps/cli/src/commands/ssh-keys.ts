/** ssh-keys add, list, remove: the public keys by which git push knows you over SSH. */
import { existsSync, readFileSync } from 'node:fs';
import { homedir, hostname } from 'node:os';
import { join } from 'node:path';
import { sshKey } from '@cupola/contract/v3/ssh-key';
import { usageError, WordedError } from '@cupola/push/failures';
import { z } from 'zod';
import type { CliContext } from '../context.ts';

const USUAL = ['id_ed25519.pub', 'id_ecdsa.pub', 'id_rsa.pub'];
const keys = z.object({ resources: z.array(sshKey) });

export async function addKey(context: CliContext, file: string | undefined, flags: { name?: string }): Promise<void> {
  const path = file ?? USUAL.map(name => join(homedir(), '.ssh', name)).find(existsSync);
  if (path === undefined)
    throw usageError(
      'There is no public key in ~/.ssh.',
      'Make one: ssh-keygen -t ed25519, or name one: cupola ssh-keys add FILE',
    );
  if (!existsSync(path)) throw usageError(`There is no ${path}.`, 'cupola ssh-keys add ~/.ssh/id_ed25519.pub');
  const text = readFileSync(path, 'utf8').trim();
  if (text.includes('PRIVATE KEY'))
    throw usageError(
      `${path} is a private key, which nobody else may have.`,
      `Name the public one: cupola ssh-keys add ${path}.pub`,
    );
  const name = flags.name ?? text.split(/\s+/).slice(2).join(' ') ?? '';
  const made = await context.client().read(sshKey, {
    method: 'POST',
    path: '/v3/ssh_keys',
    json: { name: name === '' ? hostname() : name, public_key: text },
  });
  context.result(made, `Added ${made.name} (${made.fingerprint}). Use it: cupola git:remote APP --ssh`);
}

async function own(context: CliContext): Promise<z.infer<typeof keys>['resources']> {
  return (await context.client().read(keys, { path: '/v3/ssh_keys' })).resources;
}

export async function listKeys(context: CliContext): Promise<void> {
  const all = await own(context);
  const rows = all.map(({ name, algorithm, fingerprint, created_at }) => [name, algorithm, fingerprint, created_at]);
  context.result(
    { ssh_keys: all },
    all.length === 0
      ? 'no keys; add yours: cupola ssh-keys add'
      : context.table([['name', 'kind', 'fingerprint', 'added'], ...rows]),
  );
}

export async function removeKey(context: CliContext, which: string): Promise<void> {
  const found = (await own(context)).filter(({ name, fingerprint, guid }) => [name, fingerprint, guid].includes(which));
  const [one] = found;
  if (one === undefined || found.length > 1)
    throw new WordedError(
      one === undefined ? `You have no key "${which}".` : `You have ${found.length} keys "${which}".`,
      {
        next: 'Name it by its fingerprint: cupola ssh-keys list',
      },
    );
  await context.client().act({ method: 'DELETE', path: `/v3/ssh_keys/${one.guid}` });
  context.result({ removed: one.guid }, `Removed ${one.name} (${one.fingerprint}).`);
}
