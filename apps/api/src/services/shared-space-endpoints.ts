/** Sharing of service instances: user-provided ones cannot be shared, so they are in their own space alone (CF: service_instance_share.rb). */
import { toMany } from '@cupola/contract/v3/parts';
import { UnprocessableError } from '@cupola/model/errors';
import { requireFlag } from '../flags/flags.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { seenInstance, writableInstance } from './find-instance.ts';

const PATH = '/v3/service_instances/:guid/relationships/shared_spaces';

export const sharedInstanceEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: PATH,
    summary: 'Spaces that a service instance is shared with: none',
    handle: async ({ store, config }, { actor, params }) => {
      const { guid } = await seenInstance(store.read, actor, params.guid ?? '');
      const self = `${config.publicUrl}/v3/service_instances/${guid}/relationships/shared_spaces`;
      return { status: 200, body: { data: [], links: { self: { href: self } } } };
    },
  }),
  endpoint({
    method: 'GET',
    path: `${PATH}/usage_summary`,
    summary: 'How often a service instance is bound in the spaces that it is shared with',
    handle: async ({ store, config }, { actor, params }) => {
      const { guid } = await seenInstance(store.read, actor, params.guid ?? '');
      const instance = `${config.publicUrl}/v3/service_instances/${guid}`;
      const shared = `${instance}/relationships/shared_spaces`;
      const links = {
        self: { href: `${shared}/usage_summary` },
        shared_spaces: { href: shared },
        service_instance: { href: instance },
      };
      return { status: 200, body: { usage_summary: [], links } };
    },
  }),
  endpoint({
    method: 'POST',
    path: PATH,
    summary: 'Share a service instance: user-provided ones cannot be',
    bodySchema: toMany,
    handle: async ({ store }, { actor, params }) => {
      await requireFlag(store.read, actor, 'service_instance_sharing');
      await writableInstance(store.read, actor, params.guid ?? '');
      throw new UnprocessableError('User-provided services cannot be shared.');
    },
  }),
  endpoint({
    method: 'DELETE',
    path: `${PATH}/:space`,
    summary: 'Share a service instance no longer: none is shared',
    handle: async ({ store }, { actor, params }) => {
      const instance = await writableInstance(store.read, actor, params.guid ?? '');
      throw new UnprocessableError(
        `Unable to unshare service instance '${instance.name}' from space '${params.space}'. It is not shared with that space.`,
      );
    },
  }),
];
