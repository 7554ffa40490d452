import { usageSummaryAnswer } from '@cupola/contract/v3/organization';
import { NotFoundError } from '@cupola/model/errors';
import { UNKNOWN_REQUEST } from '../cf-error.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { seenOrganization } from '../organizations/find-organization.ts';
import { seenSpace } from '../spaces/find-space.ts';
import { readUsage } from './read-usage.ts';

export const usageSummaryEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v3/organizations/:guid/usage_summary',
    summary: 'What counts against the quota of an organization',
    responseSchema: usageSummaryAnswer,
    handle: async ({ store, config }, { actor, params }) => {
      const { guid } = await seenOrganization(store.read, actor, params.guid ?? '');
      const self = `${config.publicUrl}/v3/organizations/${guid}`;
      const links = { self: { href: `${self}/usage_summary` }, organization: { href: self } };
      return { status: 200, body: { usage_summary: await readUsage(store.read, { organizationGuid: guid }), links } };
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/spaces/:guid/usage_summary',
    summary: 'What counts against the quota of a space',
    responseSchema: usageSummaryAnswer,
    handle: async ({ store, config }, { actor, params }) => {
      const space = await seenSpace(store.read, actor, params.guid ?? '');
      const scope = { spaceGuid: space.guid, organizationGuid: space.organization_guid };
      const self = `${config.publicUrl}/v3/spaces/${space.guid}`;
      const links = { self: { href: `${self}/usage_summary` }, space: { href: self } };
      return { status: 200, body: { usage_summary: await readUsage(store.read, scope), links } };
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/info/usage_summary',
    summary: 'What counts against quotas, of all organizations',
    responseSchema: usageSummaryAnswer,
    handle: async ({ store, config }, { actor }) => {
      if (!actor.isAdmin) throw new NotFoundError(UNKNOWN_REQUEST);
      const links = { self: { href: `${config.publicUrl}/v3/info/usage_summary` } };
      return { status: 200, body: { usage_summary: await readUsage(store.read, {}), links } };
    },
  }),
];
