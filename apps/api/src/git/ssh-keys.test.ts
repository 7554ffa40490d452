import { generateKeyPairSync, sign } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestApi, type TestApi } from '../fixtures.ts';

const SECRET = 's'.repeat(40);
const field = (value: Buffer | string): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(Buffer.byteLength(value));
  return Buffer.concat([length, Buffer.from(value)]);
};
const { publicKey, privateKey } = generateKeyPairSync('ed25519');
const wire = Buffer.concat([
  field('ssh-ed25519'),
  field(Buffer.from(publicKey.export({ format: 'jwk' }).x as string, 'base64url')),
]);
const LINE = `ssh-ed25519 ${wire.toString('base64')} ada@laptop`;
const signed = Buffer.concat([
  ...[field(Buffer.alloc(32, 1)), Buffer.from([50]), field('git'), field('ssh-connection'), field('publickey')],
  ...[Buffer.from([1]), field('ssh-ed25519'), field(wire)],
]);
const proof = {
  signed: signed.toString('base64'),
  signature: sign(null, signed, privateKey).toString('base64'),
  hash: null,
};

describe('ssh keys', () => {
  let given: TestApi;
  beforeAll(async () => {
    given = await startTestApi({ git: { url: 'http://127.0.0.1:1', secret: SECRET } });
  });
  afterAll(() => given[Symbol.asyncDispose]());
  const login = (secret: string, body: unknown) =>
    given.api('POST', '/v3/ssh_logins', { headers: { authorization: `bearer ${secret}` }, body });

  test("are one user's: added, listed, proven, and removed", async () => {
    const ada = await given.userWith();
    const bob = await given.userWith();
    const add = (token: string) =>
      given.api('POST', '/v3/ssh_keys', { token, body: { name: 'laptop', public_key: LINE } });
    const added = await add(ada.token);
    expect(added).toMatchObject({ status: 201, body: { name: 'laptop', algorithm: 'ssh-ed25519' } });
    expect((await add(ada.token)).body.errors[0].detail).toMatch(/yours already/);
    expect((await add(bob.token)).body.errors[0].detail).toMatch(/another user's/);
    expect((await given.api('GET', '/v3/ssh_keys', { token: bob.token })).body.resources).toEqual([]);

    const key = wire.toString('base64');
    expect(await login(SECRET, { key, proof: null })).toMatchObject({ status: 200, body: { token: null } });
    const { token } = (await login(SECRET, { key, proof })).body;
    const claims = JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString());
    expect(claims).toMatchObject({ user_id: ada.guid, grant_type: 'git' });
    // What was signed once counts once, whatever signature comes with it.
    expect((await login(SECRET, { key, proof })).status).toBe(401);
    expect(await login(SECRET, { key, proof: null })).toMatchObject({ status: 200 });

    const gone = (who: string) => given.api('DELETE', `/v3/ssh_keys/${added.body.guid}`, { token: who });
    expect((await gone(bob.token)).status).toBe(404);
    expect((await gone(ada.token)).status).toBe(204);
    expect((await login(SECRET, { key, proof })).status).toBe(401);
  });

  test('neither the secret without a signature nor a signature without the secret has a token', async () => {
    const ada = await given.userWith();
    await given.api('POST', '/v3/ssh_keys', { token: ada.token, body: { name: 'laptop', public_key: LINE } });
    const key = wire.toString('base64');
    const forged = { ...proof, signature: Buffer.alloc(64).toString('base64') };
    expect((await login(SECRET, { key, proof: forged })).status).toBe(401);
    for (const secret of ['', 'x', SECRET.slice(1), ada.token])
      expect((await login(secret, { key, proof })).status).toBe(401);
  });

  test('where no part has a secret nobody is given a token', async () => {
    await using other = await startTestApi({ git: { url: 'http://127.0.0.1:1', secret: '' } });
    const answer = await other.api('POST', '/v3/ssh_logins', {
      headers: { authorization: 'bearer ' },
      body: { key: wire.toString('base64'), proof },
    });
    expect(answer.status).toBe(401);
  });

  test('of an account that is deleted go with it', async () => {
    const { token, guid } = await given.userWith();
    const pair = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }).x as string;
    const other = Buffer.concat([field('ssh-ed25519'), field(Buffer.from(pair, 'base64url'))]);
    const body = { name: 'x', public_key: `ssh-ed25519 ${other.toString('base64')}` };
    expect((await given.api('POST', '/v3/ssh_keys', { token, body })).status).toBe(201);
    await given.api('DELETE', `/Users/${guid}`, { token: given.admin });
    const left = await given.deps.store.read.selectFrom('ssh_keys').selectAll().where('user_guid', '=', guid).execute();
    expect(left).toEqual([]);
  });
});
