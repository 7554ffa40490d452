/** Security groups (CF: security_groups_controller.rb). What is written here counts for an app from its next start on, for builds from the next one on. */
import {
  bindSecurityGroup as bindBody,
  createSecurityGroup as createBody,
  securityGroupAnswer,
  updateSecurityGroup as updateBody,
} from '@cupola/contract/v3/security-group';
import { requireAdmin } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import type { ApiDeps } from '../deps.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { accepted, NO_CONTENT } from '../http/replies.ts';
import { finishedJob } from '../jobs/jobs.ts';
import {
  bindGroup,
  createGroup,
  deleteGroup,
  type GroupRow,
  type Phase,
  seenGroup,
  unbindGroup,
  updateGroup,
} from './change-group.ts';
import { boundSpaces, listGroupEndpoints, presentGroups } from './list-groups.ts';
import { groupWarnings } from './warnings.ts';

async function show(deps: ApiDeps, actor: Actor, group: GroupRow) {
  return (await presentGroups(deps, actor, [group]))[0];
}

const ONE = '/v3/security_groups/:guid';

function ofPhase(phase: Phase): Endpoint[] {
  return [
    endpoint({
      method: 'POST',
      path: `${ONE}/relationships/${phase}_spaces`,
      summary: `Bind a security group to spaces, for what is ${phase}`,
      bodySchema: bindBody,
      handle: async (deps, { actor, params, body }) => {
        const group = await deps.store.mutate(async mutation => {
          const found = await seenGroup(mutation.db, actor, params.guid ?? '');
          await bindGroup(mutation, actor, found, { phase, spaceGuids: body.data.map(({ guid }) => guid) });
          return found;
        });
        const bound = await boundSpaces(deps, actor, [group.guid]);
        const data = bound.flatMap(row => (row.phase === phase ? [{ guid: row.space_guid }] : []));
        const self = `${deps.config.publicUrl}/v3/security_groups/${group.guid}/relationships/${phase}_spaces`;
        return { status: 200, body: { data, links: { self: { href: self } } }, warnings: await groupWarnings(deps) };
      },
    }),
    endpoint({
      method: 'DELETE',
      path: `${ONE}/relationships/${phase}_spaces/:space`,
      summary: `Unbind a security group from a space, for what is ${phase}`,
      handle: async (deps, { actor, params }) => {
        await deps.store.mutate(async mutation => {
          const group = await seenGroup(mutation.db, actor, params.guid ?? '');
          await unbindGroup(mutation, actor, group, { phase, spaceGuid: params.space ?? '' });
        });
        return NO_CONTENT;
      },
    }),
  ];
}

export const securityGroupEndpoints: Endpoint[] = [
  ...listGroupEndpoints,
  endpoint({
    method: 'POST',
    path: '/v3/security_groups',
    summary: 'Make a security group',
    bodySchema: createBody,
    responseSchema: securityGroupAnswer,
    handle: async (deps, { actor, body }) => {
      requireAdmin(actor);
      const made = await deps.store.mutate(mutation => createGroup(mutation, body));
      return { status: 201, body: await show(deps, actor, made), warnings: await groupWarnings(deps, body.rules) };
    },
  }),
  endpoint({
    method: 'GET',
    path: ONE,
    summary: 'One security group',
    responseSchema: securityGroupAnswer,
    handle: async (deps, { actor, params }) => ({
      status: 200,
      body: await show(deps, actor, await seenGroup(deps.store.read, actor, params.guid ?? '')),
    }),
  }),
  endpoint({
    method: 'PATCH',
    path: ONE,
    summary: 'Change a security group',
    bodySchema: updateBody,
    responseSchema: securityGroupAnswer,
    handle: async (deps, { actor, params, body }) => {
      const updated = await deps.store.mutate(async mutation => {
        const group = await seenGroup(mutation.db, actor, params.guid ?? '');
        requireAdmin(actor);
        return updateGroup(mutation, group, body);
      });
      return { status: 200, body: await show(deps, actor, updated), warnings: await groupWarnings(deps, body.rules) };
    },
  }),
  endpoint({
    method: 'DELETE',
    path: ONE,
    summary: 'Delete a security group with its bindings',
    handle: async (deps, { actor, params }) => {
      const job = await deps.store.mutate(async mutation => {
        const group = await seenGroup(mutation.db, actor, params.guid ?? '');
        requireAdmin(actor);
        await deleteGroup(mutation, group);
        return finishedJob(mutation, { operation: 'security_group.delete', resourceGuid: group.guid, actor });
      });
      return accepted(deps, job);
    },
  }),
  ...ofPhase('running'),
  ...ofPhase('staging'),
];
