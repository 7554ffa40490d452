import type { RoleType } from '@cupola/model/states';

/** Who asks, from a checked access token, with all roles loaded (one query). */
export interface Actor {
  kind: 'user' | 'client' | 'nobody';
  /** Guid of the user, or the client's id. Empty for nobody. */
  guid: string;
  name: string;
  origin: string;
  isAdmin: boolean;
  /** What they act with, where that is known: `cf 8.18.4`, `dashboard`. For people who read events, and nothing else: anybody may call themselves so. */
  client?: string;
  /** `jti` of the token: caps are counted by it. */
  tokenId: string;
  /** Epoch ms at which what they have proved it by ends: what they hold open ends then too. */
  endsAtMs: number;
  /** A space's role names the space's organization too. */
  roles: ReadonlyArray<{ type: RoleType; organizationGuid: string | null; spaceGuid: string | null }>;
  /** Of the organizations that these roles are in: those where only admins may change anything. */
  suspendedOrganizationGuids: readonly string[];
}

export const NOBODY: Actor = {
  kind: 'nobody',
  guid: '',
  name: '',
  origin: '',
  isAdmin: false,
  tokenId: '',
  endsAtMs: Number.POSITIVE_INFINITY,
  roles: [],
  suspendedOrganizationGuids: [],
};
