import fc from 'fast-check';
import { expect, test } from 'vitest';
import { layOut } from './map-layout.ts';

const node = (name: string) => ({ guid: name, name });

test('routes and services lie at the height of their apps, what leads nowhere below', () => {
  const map = layOut({
    apps: [node('shop'), node('mail'), node('idle')],
    routes: [
      { ...node('nowhere'), appGuids: [] },
      { ...node('mail.example'), appGuids: ['mail'] },
      { ...node('shop.example'), appGuids: ['shop'] },
    ],
    services: [node('queue'), node('db')],
    bindings: [
      { appGuid: 'mail', serviceGuid: 'queue' },
      { appGuid: 'shop', serviceGuid: 'db' },
      { appGuid: 'mail', serviceGuid: 'db' },
    ],
  });
  expect(map.routes.map(({ name }) => name)).toEqual(['shop.example', 'mail.example', 'nowhere']);
  expect(map.requests).toEqual([
    { from: 0, to: 0 },
    { from: 1, to: 1 },
  ]);
  expect(map.services.map(({ name }) => name)).toEqual(['db', 'queue']);
  expect(map.bindings).toEqual([
    { from: 0, to: 0 },
    { from: 1, to: 0 },
    { from: 1, to: 1 },
  ]);
});

test('every line leads between rows that are there, once, and those of other spaces are left out', () => {
  const names = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e'));
  fc.assert(
    fc.property(names, fc.array(names), names, (apps, routes, services) => {
      const map = layOut({
        apps: apps.map(node),
        routes: routes.map((appGuids, at) => ({ ...node(`r${at}`), appGuids: [...appGuids, ...appGuids] })),
        services: services.map(node),
        bindings: services.flatMap(serviceGuid => [
          { appGuid: 'a', serviceGuid },
          { appGuid: 'elsewhere', serviceGuid },
        ]),
      });
      expect(map.requests.length).toBe(
        routes.reduce((sum, appGuids) => sum + appGuids.filter(guid => apps.includes(guid)).length, 0),
      );
      expect(map.bindings.length).toBe(apps.includes('a') ? services.length : 0);
      for (const { from, to } of map.requests)
        expect([from < map.routes.length, to < map.apps.length]).toEqual([true, true]);
    }),
  );
});
