/** Lists of a few things that are the same in every installation: filtered and paged in memory. */
import type { ApiRequest, Reply } from '../http/endpoint.ts';
import { pageAsk, pageBody } from './page.ts';

export function fixedPage<T>(
  request: ApiRequest<{ page?: number | undefined; per_page?: number | undefined }, unknown>,
  items: readonly T[],
): Reply {
  const ask = pageAsk(request.query);
  const resources = items.slice(ask.offset, ask.offset + ask.perPage);
  return { status: 200, body: pageBody(request, ask, { total: items.length, resources }) };
}
