/** Lists in Cloud Foundry's form: pages by number, links absolute and with every filter. */
import { z } from 'zod';
import type { ApiRequest } from '../http/endpoint.ts';

/** The part of every list's query that pages and orders. Spread it into the list's own schema. */
export const pageQuery = {
  page: z.coerce.number().int().min(1).optional(),
  per_page: z.coerce.number().int().min(1).max(5_000).optional(),
  /** Opaque key of the row before the page: what our own `next` links carry so that deep pages cost what first ones do. */
  after: z.string().optional(),
};

/** A comma list: OR inside one key. Each part may be percent-encoded once more (`%2C` inside a name). Empty text is the list with one empty value. */
export const commaList = z.string().transform(text => text.split(',').map(part => decodeOnce(part)));

function decodeOnce(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export interface PageAsk {
  page: number;
  perPage: number;
  offset: number;
}
export function pageAsk(query: { page?: number | undefined; per_page?: number | undefined }): PageAsk {
  const page = query.page ?? 1;
  const perPage = query.per_page ?? 50;
  return { page, perPage, offset: (page - 1) * perPage };
}

/** CF's list body. `included` is left out when empty. */
export function pageBody(
  request: ApiRequest<unknown, unknown>,
  { page, perPage }: PageAsk,
  list: { total: number; resources: unknown[]; included?: Record<string, unknown[]> },
): Record<string, unknown> {
  const pages = Math.max(1, Math.ceil(list.total / perPage));
  const link = (number: number): { href: string } => {
    const url = new URL(request.url);
    url.searchParams.set('page', String(number));
    url.searchParams.set('per_page', String(perPage));
    return { href: url.toString() };
  };
  return {
    pagination: {
      total_results: list.total,
      total_pages: pages,
      first: link(1),
      last: link(pages),
      next: page < pages ? link(page + 1) : null,
      previous: page > 1 ? link(page - 1) : null,
    },
    resources: list.resources,
    ...(list.included === undefined ? {} : { included: list.included }),
  };
}
