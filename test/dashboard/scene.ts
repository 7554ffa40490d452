/** A platform as a small team would have it: several apps that run, one that crashes, one that is stopped, two spaces. */
import { type Platform, until } from '../platform.ts';
import { ANSWERS, FAILS, sceneFolder, shop, WORKS } from './scene-apps.ts';
import { visit } from './visitors.ts';

const SHOP_HOST = 'shop.localhost';

/** Pushes into the space that is targeted. */
type Push = (name: string, server: string, ...flags: string[]) => Promise<void>;

function pushTo(platform: Platform): Push {
  return async (name, server, ...flags) => {
    await platform.cupola(['push', name, ...flags], { cwd: sceneFolder(platform.data, name, server) });
  };
}

/** Space `production` with its apps, and `staging`. @returns the visitors of the shop, who have come as soon as it was up. */
export async function setScene(platform: Platform): Promise<Disposable> {
  const push = pushTo(platform);
  const { cupola } = platform;
  for (const space of ['production', 'staging']) await cupola(['create-space', space]);
  await cupola(['target', '-s', 'production']);
  await limitSpace(platform, 'production');
  await push('shop', shop({ version: '1.4.0' }));
  const visitors = visit(platform, SHOP_HOST);
  try {
    await dress(platform, push);
    return visitors;
  } catch (error) {
    visitors[Symbol.dispose]();
    throw error;
  }
}

async function dress({ cupola }: Platform, push: Push): Promise<void> {
  await cupola(['map-route', 'shop', 'localhost', '--hostname', 'store']);
  const credentials = (uri: string): string => JSON.stringify({ uri });
  await cupola(['cups', 'orders-db', '-p', credentials('postgres://shop:secret@db.example/orders')]);
  await cupola(['cups', 'mail', '-p', credentials('smtps://shop:secret@mail.example')]);
  await cupola(['bind-service', 'shop', 'orders-db']);
  await push('billing', ANSWERS);
  await push('search', ANSWERS, '-i', '3');
  await push('worker', WORKS, '--no-route', '-u', 'process');
  await push('blog', ANSWERS);
  await push('old-shop', ANSWERS);
  await cupola(['bind-service', 'worker', 'orders-db']);
  await cupola(['bind-service', 'worker', 'mail']);
  await cupola(['stop', 'old-shop']);
  await cupola(['run-task', 'shop', 'npm run migrate', '--name', 'migrate', '-m', '64M', '--wait']);
  // It ends with another code than 0, and so does the command that waits for it.
  await cupola(['run-task', 'shop', 'npm run report', '--name', 'report', '-m', '64M', '--wait']).catch(
    () => undefined,
  );
  await cupola(['set-env', 'shop', 'CURRENCY', 'EUR']);
  await cupola(['target', '-s', 'staging']);
  await push('shop-next', ANSWERS);
  await cupola(['target', '-s', 'production']);
  // A version that does not come up: the push says so, and ends.
  await push('billing', FAILS).catch(() => undefined);
}

/** A quota, which the page of an app draws. */
async function limitSpace({ api }: Platform, name: string): Promise<void> {
  const { body } = await api('GET', `/v3/spaces?names=${name}`);
  const [space] = (body as { resources: Array<{ guid: string; relationships: { organization: object } }> }).resources;
  const { status } = await api('POST', '/v3/space_quotas', {
    name: `team-${name}`,
    apps: { total_memory_in_mb: 2_048, total_instances: 12 },
    relationships: { organization: space?.relationships.organization, spaces: { data: [{ guid: space?.guid }] } },
  });
  if (status !== 201) throw new Error(`a quota of ${name}: ${status}`);
}

/** What a team does with its shop while people visit it, spread over `minutes`: their marks are in its figures. */
export async function workOnShop(platform: Platform, minutes: number): Promise<void> {
  const push = pushTo(platform);
  const began = performance.now();
  const part = (share: number): Promise<boolean> =>
    until('its time has come', async () => performance.now() - began > share * minutes * 60_000, 3_600_000);
  await part(0.3);
  await platform.cupola(['scale', 'shop', '-i', '2']);
  await part(0.6);
  await push('shop', shop({ version: '1.5.0' }), '--strategy', 'rolling');
  await part(1);
}
