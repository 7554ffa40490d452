import { appFigures } from '@cupola/contract/v3/figures';
import { queryOptions } from '@tanstack/react-query';
import { nowThere, read, withQuery } from '../data/http.ts';
import { askedOf, type Range } from './ranges.ts';
import { wholeWindows } from './with-window.ts';

/** Figures of an app; the live stream keeps them up to date (`live/follow.ts`). */
export const figuresQuery = (guid: string, range: Range) =>
  queryOptions({
    queryKey: ['app', guid, 'figures', range.key],
    // While nobody looked nobody was told.
    staleTime: 0,
    queryFn: async ({ signal }) => {
      const path = withQuery(`/v3/apps/${guid}/metrics`, askedOf(range, nowThere()));
      return wholeWindows(await read(appFigures, path, { signal }));
    },
    placeholderData: (known, query) => (query?.queryKey[1] === guid ? known : undefined),
  });
