/** `compose tokens`: gives each member of docker-compose.yml that is none yet, or whose certificate has run out, a token to join with. Runs at each `up`. */
import { X509Certificate } from 'node:crypto';
import { chownSync, existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { writeToken } from '@cupola/certificates/members/joining';
import { tokenAnswer } from '@cupola/contract/internal';
import { cellId } from '../cell-id.ts';
import { internalResult } from '../internal-call.ts';
import { IDENTITY_FILE } from '../membership.ts';
import { PlainError, writeDurable } from '../platform-config.ts';

/** In the image; agents and stagers are root. */
const ROUTER_UID = 1000;
/** All of them join at once; who comes later gets another one at the next `up`. */
const LIFE_MS = 60 * 60_000;

/** @param members `ROLE=FOLDER`, the data folder of each. @param data of an API, whose socket is asked. */
export async function giveTokens(data: string, members: readonly string[]): Promise<void> {
  for (const text of members) {
    const [role = '', folder = ''] = text.split('=');
    if (folder === '') throw new PlainError(`"${text}" names no member. Write ROLE=FOLDER, as in agent=/data/agent-1.`);
    await giveToken(data, role, folder);
  }
}

async function giveToken(data: string, role: string, folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const identity = join(folder, 'cell', IDENTITY_FILE);
  const isKnown = existsSync(identity);
  if (isKnown && Date.now() < new X509Certificate(readFileSync(identity)).validToDate.getTime()) return;
  const asked = { roles: [role], lifeMs: LIFE_MS, ...(isKnown ? { id: cellId(join(folder, 'cell')) } : {}) };
  const { token, authority } = tokenAnswer.parse(await internalResult(data, 'POST', '/internal/cluster/tokens', asked));
  // A volume that is new is root's.
  if (role === 'router') chownSync(folder, ROUTER_UID, ROUTER_UID);
  const file = join(folder, 'join-token');
  writeDurable(file, writeToken({ secret: token, authority }), 0o400);
  const { uid, gid } = statSync(folder);
  chownSync(file, uid, gid);
  rmSync(identity, { force: true });
  console.log(`${folder} may join as ${role}.`);
}
