/** A cluster's authority for tests, and who it has signed. */
import { issueMember, makeAuthority } from './authority.ts';
import { type Identity, type IdentitySource, identityOf } from './identity.ts';
import type { Member } from './names.ts';

export interface TestCluster {
  readonly authority: { cert: string; key: string };
  identity(members: readonly Member[], nowMs?: number): Promise<Identity>;
  /** The same, as parts take it. */
  source(...members: Member[]): Promise<IdentitySource>;
}

export async function testCluster(): Promise<TestCluster> {
  const authority = await makeAuthority(Date.now());
  const identity: TestCluster['identity'] = async (members, nowMs = Date.now()) => {
    const { key, cert } = await issueMember({ authority, members, nowMs });
    return identityOf(key, cert);
  };
  return {
    authority,
    identity,
    source: async (...members) => {
      const own = await identity(members);
      return { current: () => own };
    },
  };
}
