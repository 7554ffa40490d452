/** Users and roles: bodies and answers (CF: user_create_message.rb, role_create_message.rb and their presenters). */
import { ROLE_TYPES } from '@cupola/model/states';
import { z } from 'zod';
import { body, links, metadata, metadataBody, relationship, stamps } from './parts.ts';

const text = (label: string) =>
  z
    .string({ error: `${label} must be a string` })
    .min(1, { error: `${label} must be between 1 and 200 characters` })
    .max(200, { error: `${label} must be between 1 and 200 characters` });

/** By the guid of an account that can log in already, or by name and an origin that is not ours. */
export const createUser = body({
  guid: text('Guid').nullable().exactOptional(),
  username: text('Username').nullable().exactOptional(),
  origin: text('Origin').nullable().exactOptional(),
  metadata: metadataBody.exactOptional(),
}).superRefine(({ guid = null, username = null, origin = null }, context) => {
  const say = (message: string): void => context.addIssue({ code: 'custom', message });
  if (guid !== null) {
    if (username !== null) say("Username cannot be provided with 'guid'");
    if (origin !== null) say("Origin cannot be provided with 'guid'");
  } else if (username === null && origin === null) say("Guid or 'username' and 'origin' must be provided");
  else if (username === null) say("Origin can only be provided together with 'username'");
  else if (origin === null) say("Username can only be provided together with 'origin'");
  else if (origin === 'uaa') say("Origin cannot be 'uaa' when creating a user by username");
});

export const updateUser = body({ metadata: metadataBody.exactOptional() });

export const userAnswer = z.object({
  ...stamps,
  username: z.string().nullable(),
  presentation_name: z.string(),
  origin: z.string().nullable(),
  metadata,
  links,
});
export type UserAnswer = z.infer<typeof userAnswer>;

const guidOf = (label: string) => z.object({ guid: text(`Relationships ${label} guid`) });
const place = (label: string) =>
  z.object(
    {
      data: guidOf(label).nullable(),
    },
    { error: `Relationships ${label} must be structured like this: "${label}: {"data": {"guid": "valid-guid"}}"` },
  );
const roleUser = z.object(
  {
    data: z
      .object({
        guid: text('Relationships User guid').exactOptional(),
        username: text('Relationships Username').exactOptional(),
        origin: text('Relationships User origin').nullable().exactOptional(),
      })
      .superRefine(({ guid, username, origin }, context) => {
        const say = (message: string): void =>
          context.addIssue({ code: 'custom', message: `Relationships ${message}` });
        if (guid === undefined && username === undefined) say('User must have a username or guid specified');
        if (guid !== undefined && username !== undefined)
          say('Username cannot be specified when identifying user by guid');
        if (guid !== undefined && origin !== undefined)
          say('User origin cannot be specified when identifying user by guid');
        if (guid === undefined && username === undefined && origin !== undefined)
          say('User origin cannot be specified without specifying the username');
      }),
  },
  { error: 'Relationships User must have a username or guid specified' },
);

export const createRole = body({
  type: z.enum(ROLE_TYPES, {
    error: `Type must be one of the allowed types [${ROLE_TYPES.map(type => `"${type}"`).join(', ')}]`,
  }),
  relationships: body(
    {
      user: roleUser,
      organization: place('Organization').nullable().exactOptional(),
      space: place('Space').nullable().exactOptional(),
    },
    'Relationships',
  ),
}).superRefine(({ type, relationships: { organization, space } }, context) => {
  const say = (message: string): void => context.addIssue({ code: 'custom', message: `Relationships ${message}` });
  const hasSpace = (space?.data ?? null) !== null;
  const hasOrganization = (organization?.data ?? null) !== null;
  const isOfSpace = type.startsWith('space_');
  if (!hasSpace && !hasOrganization) say('must specify either a space or an organization.');
  if (hasSpace && !isOfSpace) say(`Space cannot be provided with the organization role type: '${type}'.`);
  if (hasOrganization && isOfSpace) say(`Organization cannot be provided with the space role type: '${type}'.`);
  if (hasSpace && hasOrganization) say('cannot specify both an organization and a space.');
});
export type CreateRole = z.infer<typeof createRole>;

export const roleAnswer = z.object({
  ...stamps,
  type: z.enum(ROLE_TYPES),
  relationships: z.object({ user: relationship, organization: relationship, space: relationship }),
  links,
});
export type RoleAnswer = z.infer<typeof roleAnswer>;
