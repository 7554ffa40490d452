import { anOrganization, aQuota } from '@cupola/store/fixtures';
import { openTestStore } from '@cupola/store/test-store';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ApiRequest } from '../http/endpoint.ts';
import { listRows } from './list.ts';
import { pageBody } from './page.ts';

type Store = Awaited<ReturnType<typeof openTestStore>>['store'];

async function fill(store: Store, times: readonly number[]): Promise<string[]> {
  const quota_guid = (await aQuota(store)).guid;
  const rows = await Promise.all(times.map(created_at => anOrganization(store, { created_at, quota_guid })));
  return rows.map(({ guid }) => guid);
}

/** Follows `next` from the first page to the last one. */
async function walk(store: Store, orderBy: string, perPage: number): Promise<string[]> {
  const guids: string[] = [];
  let url: URL | null = new URL(`http://api.example/v3/organizations?order_by=${orderBy}&per_page=${perPage}`);
  while (url !== null) {
    const { page, after } = Object.fromEntries(url.searchParams);
    const query = { order_by: orderBy, per_page: perPage, page: Number(page ?? 1), after };
    const listed = await listRows(store.read, 'organizations', query, { conditions: [] });
    guids.push(...listed.rows.map(({ guid }) => guid));
    const request = { url } as ApiRequest;
    const { pagination } = pageBody(request, listed.ask, {
      total: listed.total,
      resources: listed.rows,
      after: listed.after,
    });
    const next: { href: string } | null = (pagination as { next: { href: string } | null }).next;
    url = next === null ? null : new URL(next.href);
  }
  return guids;
}

describe('listRows()', () => {
  test('whoever follows next sees each row once, in order, ties and all', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 12 }),
        fc.constantFrom('created_at', '-created_at', 'name', '-updated_at'),
        fc.integer({ min: 1, max: 5 }),
        async (times, orderBy, perPage) => {
          await using opened = await openTestStore();
          const guids = await fill(opened.store, times);
          const walked = await walk(opened.store, orderBy, perPage);
          expect([...walked].sort()).toEqual([...guids].sort());
          expect(walked).toEqual(await walk(opened.store, orderBy, 5_000));
        },
      ),
      { numRuns: 20 },
    );
  });

  test('page by number gives each row once, in the order of the whole list, from the end as from the beginning', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 12 }),
        fc.constantFrom('created_at', '-created_at', '+name', '-updated_at'),
        fc.integer({ min: 1, max: 5 }),
        async (times, orderBy, perPage) => {
          await using opened = await openTestStore();
          await fill(opened.store, times);
          const page = async (number: number, size: number): Promise<string[]> => {
            const query = { order_by: orderBy, per_page: size, page: number };
            const { rows } = await listRows(opened.store.read, 'organizations', query, { conditions: [] });
            return rows.map(({ guid }) => guid);
          };
          const numbers = Array.from({ length: Math.ceil(times.length / perPage) + 2 }, (_, index) => index + 1);
          const pages = await Promise.all(numbers.map(number => page(number, perPage)));
          expect(pages.flat()).toEqual(await page(1, 5_000));
        },
      ),
      { numRuns: 20 },
    );
  });

  test('a row that comes while somebody walks hides and doubles no other', async () => {
    await using opened = await openTestStore();
    await fill(opened.store, [1, 2, 3, 4]);
    const first = await listRows(opened.store.read, 'organizations', { per_page: 2 }, { conditions: [] });
    await fill(opened.store, [0]);
    const second = await listRows(
      opened.store.read,
      'organizations',
      { per_page: 2, page: 2, after: first.after ?? undefined },
      { conditions: [] },
    );
    expect([...first.rows, ...second.rows].map(({ created_at }) => created_at)).toEqual([1, 2, 3, 4]);
  });

  test.each(['!', Buffer.from('["-name","x","y"]').toString('base64url'), Buffer.from('{}').toString('base64url')])(
    "a place that is none of this list (%s) leaves the page's number to count",
    async after => {
      await using opened = await openTestStore();
      await fill(opened.store, [1, 2, 3]);
      const { rows } = await listRows(
        opened.store.read,
        'organizations',
        { per_page: 2, page: 2, after },
        { conditions: [] },
      );
      expect(rows.map(({ created_at }) => created_at)).toEqual([3]);
    },
  );
});
