import { useSuspenseQuery } from '@tanstack/react-query';
import { sessionQuery } from './queries.ts';
import type { Session } from './read.ts';

export function useSession(): Session {
  return useSuspenseQuery(sessionQuery).data;
}

export function usePlatform(): Session['platform'] {
  return useSession().platform;
}

/** Why this user may not change things in a space; null when they may. The API decides: this only spares a refusal. */
export function whyReadOnly({ user, roles }: Session, spaceGuid: string | null): string | null {
  if (user.is_admin) return null;
  const may = roles.some(({ type, space_guid }) => type === 'space_developer' && space_guid === spaceGuid);
  return may ? null : 'You may look at this space, not change it. A space developer can.';
}
