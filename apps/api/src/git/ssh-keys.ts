/**
 * Public keys of users, and who may have a token for one. The part that speaks SSH may not say of itself who somebody is: it hands over what the client has
 * signed, and the API checks that. Nor may a stranger who has such a signature (any server that a user logs in to has one): they lack the part's secret.
 */
import { hash, randomUUID, timingSafeEqual } from 'node:crypto';
import { createSshKey, sshKey, sshLogin, sshLoginAnswer } from '@cupola/contract/v3/ssh-key';
import { ForbiddenError, NotFoundError, UnauthenticatedError, UnprocessableError } from '@cupola/model/errors';
import type { SshKeysTable } from '@cupola/store/schema';
import type { Selectable } from 'kysely';
import { z } from 'zod';
import type { Actor } from '../access/actor.ts';
import type { ApiDeps } from '../deps.ts';
import { type ApiRequest, type Endpoint, endpoint } from '../http/endpoint.ts';
import { isoTime } from '../http/iso-time.ts';
import { actorOfUser } from '../uaa/authenticate.ts';
import { fingerprintOf, isProven, readPublicKey } from './public-key.ts';
import { pushToken } from './who-pushes.ts';

/** Of one user (ours). */
const KEYS_MAX = 50;
/** Of one key are remembered: years of a developer's, and some megabytes where a machine pushes each minute (ours). */
const LOGINS_MAX = 10_000;

function requireUser(actor: Actor): void {
  if (actor.kind !== 'user') throw new ForbiddenError();
}

function present({ guid, name, algorithm, fingerprint, created_at }: Selectable<SshKeysTable>) {
  return { guid, name, algorithm, fingerprint, created_at: isoTime(created_at) };
}

/** @throws UnauthenticatedError for everybody but git's part. */
function requirePart({ git }: ApiDeps, { raw }: ApiRequest<never, never>): void {
  const given = /^bearer\s+(\S+)$/i.exec(raw.request.headers.authorization ?? '')?.[1] ?? '';
  const secret = git?.secret ?? '';
  const [mine, theirs] = [Buffer.from(secret), Buffer.from(given)];
  if (secret === '' || mine.length !== theirs.length || !timingSafeEqual(mine, theirs))
    throw new UnauthenticatedError('InvalidAuthToken');
}

/**
 * What is signed names the session, and no two sessions are alike: who brings the same again has kept it. So a part that was taken over once has nothing of
 * those who have logged in to it but tokens, which end. Of two at once one is the first.
 */
function isFirstUse({ store, now }: ApiDeps, keyGuid: string, signed: Buffer): Promise<boolean> {
  const login = { guid: hash('sha256', signed, 'base64url'), key_guid: keyGuid, seen_at: now() };
  return store.note(async ({ db }) => {
    const { numInsertedOrUpdatedRows } = await db
      .insertInto('ssh_logins')
      .values(login)
      .onConflict(conflict => conflict.column('guid').doNothing())
      .executeTakeFirstOrThrow();
    if (numInsertedOrUpdatedRows !== 1n) return false;
    const older = db.selectFrom('ssh_logins').select('seen_at').where('key_guid', '=', keyGuid);
    await db
      .deleteFrom('ssh_logins')
      .where('key_guid', '=', keyGuid)
      .where('seen_at', '<', older.orderBy('seen_at', 'desc').offset(LOGINS_MAX).limit(1))
      .execute();
    return true;
  });
}

export const sshKeyEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v3/ssh_keys',
    summary: 'Your public keys, for pushes over SSH (an addition to Cloud Foundry)',
    responseSchema: z.object({ resources: z.array(sshKey) }),
    handle: async ({ store }, { actor }) => {
      requireUser(actor);
      const rows = await store.read
        .selectFrom('ssh_keys')
        .selectAll()
        .where('user_guid', '=', actor.guid)
        .orderBy('created_at')
        .orderBy('guid')
        .limit(KEYS_MAX)
        .execute();
      return { status: 200, body: { resources: rows.map(present) } };
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v3/ssh_keys',
    summary: 'Add a public key of yours',
    bodySchema: createSshKey,
    responseSchema: sshKey,
    handle: async ({ store }, { actor, body }) => {
      requireUser(actor);
      const read = readPublicKey(body.public_key);
      if (read === null)
        throw new UnprocessableError(
          'That is no public key that is taken here: ed25519, ECDSA, or RSA of 2048 bits or more, a line as in ~/.ssh/id_ed25519.pub. Make one: ssh-keygen -t ed25519',
        );
      const row = await store.mutate(async ({ db, now }) => {
        const { count } = await db
          .selectFrom('ssh_keys')
          .select(eb => eb.fn.countAll<number>().as('count'))
          .where('user_guid', '=', actor.guid)
          .executeTakeFirstOrThrow();
        if (count >= KEYS_MAX) throw new UnprocessableError(`You have ${KEYS_MAX} keys already. Remove one first.`);
        const taken = await db
          .selectFrom('ssh_keys')
          .select('user_guid')
          .where('fingerprint', '=', read.fingerprint)
          .executeTakeFirst();
        if (taken !== undefined)
          throw new UnprocessableError(
            taken.user_guid === actor.guid
              ? 'That key is yours already.'
              : "That key is another user's: a key says who somebody is. Make one of your own: ssh-keygen -t ed25519",
          );
        const made = {
          ...{ guid: randomUUID(), user_guid: actor.guid, name: body.name, created_at: now },
          ...{ algorithm: read.algorithm, fingerprint: read.fingerprint, public_key: read.wire },
        };
        await db.insertInto('ssh_keys').values(made).execute();
        return made;
      });
      return { status: 201, body: present(row) };
    },
  }),
  endpoint({
    method: 'DELETE',
    path: '/v3/ssh_keys/:guid',
    summary: 'Remove a public key of yours: it opens nothing from then on',
    handle: async ({ store }, { actor, params: { guid = '' } }) => {
      requireUser(actor);
      await store.mutate(async ({ db }) => {
        const gone = await db
          .deleteFrom('ssh_keys')
          .where('guid', '=', guid)
          .where('user_guid', '=', actor.guid)
          .returning('guid')
          .execute();
        if (gone.length === 0) throw new NotFoundError('SSH key');
        await db.deleteFrom('ssh_logins').where('key_guid', '=', guid).execute();
      });
      return { status: 204 };
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v3/ssh_logins',
    summary: "For git's part alone: whether a key is known, and a token for who has proven that it is theirs",
    auth: 'anyone',
    bodySchema: sshLogin,
    responseSchema: sshLoginAnswer,
    handle: async (deps, request) => {
      requirePart(deps, request as unknown as ApiRequest<never, never>);
      const { key, proof } = request.body;
      const wire = Buffer.from(key, 'base64');
      const row = await deps.store.read
        .selectFrom('ssh_keys')
        .select(['guid', 'user_guid'])
        .where('fingerprint', '=', fingerprintOf(wire))
        .executeTakeFirst();
      if (row === undefined) throw new UnauthenticatedError('InvalidAuthToken');
      if (proof === null) return { status: 200, body: { token: null } };
      const checked = {
        signed: Buffer.from(proof.signed, 'base64'),
        signature: Buffer.from(proof.signature, 'base64'),
        hash: proof.hash,
      };
      const actor = isProven(wire, checked) ? await actorOfUser(deps.store.read, row.user_guid) : null;
      if (actor === null || !(await isFirstUse(deps, row.guid, checked.signed)))
        throw new UnauthenticatedError('InvalidAuthToken');
      return { status: 200, body: { token: await pushToken(deps, actor) } };
    },
  }),
];
