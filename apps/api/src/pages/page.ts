/** Lists in Cloud Foundry's form: pages by number, links absolute and with every filter. */
import { z } from 'zod';
import type { ApiRequest } from '../http/endpoint.ts';
import type { JsonTexts } from '../http/json-text.ts';

const PER_PAGE_MAX = 5_000;

function positive(label: string) {
  const error = `${label} must be a positive integer`;
  return z
    .string()
    .regex(/^[1-9]\d{0,8}$/, { error, abort: true })
    .transform(Number);
}

/** The part of every list's query that pages and orders. Spread it into the list's own schema. */
export const pageQuery = {
  page: positive('Page').optional(),
  per_page: positive('Per page')
    .refine(value => value <= PER_PAGE_MAX, { error: 'Per page must be between 1 and 5000' })
    .optional(),
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

/** CF's list body. `included` is left out when empty; `after`, of the last row, goes into the link to the next page. */
export function pageBody(
  request: ApiRequest<unknown, unknown>,
  { page, perPage }: PageAsk,
  list: {
    total: number;
    resources: unknown[] | JsonTexts;
    included?: Record<string, unknown[]>;
    after?: string | null;
  },
): Record<string, unknown> {
  const pages = Math.max(1, Math.ceil(list.total / perPage));
  const link = (number: number, after: string | null = null): { href: string } => {
    const url = new URL(request.url);
    url.searchParams.set('page', String(number));
    url.searchParams.set('per_page', String(perPage));
    if (after === null) url.searchParams.delete('after');
    else url.searchParams.set('after', after);
    return { href: url.toString() };
  };
  return {
    pagination: {
      total_results: list.total,
      total_pages: pages,
      first: link(1),
      last: link(pages),
      next: page < pages ? link(page + 1, list.after) : null,
      previous: page > 1 ? link(page - 1) : null,
    },
    resources: list.resources,
    ...(list.included === undefined ? {} : { included: list.included }),
  };
}
