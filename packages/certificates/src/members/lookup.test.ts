import type { LookupAddress } from 'node:dns';
import { describe, expect, test } from 'vitest';
import { createLookup } from './lookup.ts';

const at = (address: string): LookupAddress[] => [{ address, family: 4 }];

/** What a name server says, in order; asked once more it is silent. */
function nameServer(...said: Array<LookupAddress[] | Error>) {
  const asked: string[] = [];
  const lookup = createLookup({
    patienceMs: 1,
    resolve: async name => {
      asked.push(name);
      const answer = said.shift();
      if (answer === undefined) return new Promise(() => undefined);
      if (answer instanceof Error) throw answer;
      return answer;
    },
  });
  const find = (name: string): Promise<unknown> =>
    new Promise((resolve, reject) => {
      lookup(name, { all: true }, (error, found) => (error === null ? resolve(found) : reject(error)));
    });
  return { asked, find, lookup };
}

describe('lookup of a member', () => {
  test('asks for a name once, however many wait for it', async () => {
    const { asked, find } = nameServer(at('10.0.0.1'));
    expect(await Promise.all([find('api-1'), find('api-1')])).toEqual([at('10.0.0.1'), at('10.0.0.1')]);
    expect(asked).toEqual(['api-1']);
  });

  test('takes the former address while a name server is silent', async () => {
    const { asked, find } = nameServer(at('10.0.0.1'));
    await find('api-1');
    for (let times = 0; times < 5; times++) expect(await find('api-1')).toEqual(at('10.0.0.1'));
    expect(asked).toEqual(['api-1', 'api-1']);
  });

  test('takes the former address where there is none any more, and the new one once there is', async () => {
    const { find } = nameServer(at('10.0.0.1'), new Error('ENOTFOUND'), at('10.0.0.2'));
    await find('api-1');
    expect(await find('api-1')).toEqual(at('10.0.0.1'));
    expect(await find('api-1')).toEqual(at('10.0.0.2'));
  });

  test('fails where a name was never known', async () => {
    await expect(nameServer(new Error('ENOTFOUND')).find('api-1')).rejects.toThrow('ENOTFOUND');
  });

  test('answers for one address of a family', async () => {
    const { lookup } = nameServer([{ address: '::1', family: 6 }, ...at('10.0.0.1')]);
    const found = await new Promise(resolve =>
      lookup('api-1', { family: 4 }, (_error, address, family) => resolve([address, family])),
    );
    expect(found).toEqual(['10.0.0.1', 4]);
  });
});
