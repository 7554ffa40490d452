import { matchAnswer, matchResources } from '@cupola/contract/v3/package';
import { UnprocessableError } from '@cupola/model/errors';
import { PUSH_LIMITS } from '@cupola/model/limits';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { fileKey, knownKeys } from './match.ts';

export const resourceMatchEndpoints: Endpoint[] = [
  endpoint({
    method: 'POST',
    path: '/v3/resource_matches',
    summary: 'Which of these files need not be sent',
    bodySchema: matchResources,
    responseSchema: matchAnswer,
    handle: async ({ store }, { actor, body }) => {
      if (body.resources.length > PUSH_LIMITS.resourceMatchMax)
        throw new UnprocessableError(
          `Array exceeds maximum size of ${PUSH_LIMITS.resourceMatchMax} resources: ask in several requests.`,
        );
      const known = await knownKeys(store.read, actor, body.resources);
      return { status: 201, body: { resources: body.resources.filter(one => known.has(fileKey(one))) } };
    },
  }),
];
