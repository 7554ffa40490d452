/**
 * A client that is cut at any point and comes back with the last cursor that it read: in the end it knows of every app what is so, and it was never told of
 * one that it might not see then.
 */
import { anApp, anOrganization, aRole, aSpace, aUser } from '@cupola/store/fixtures';
import type { Store } from '@cupola/store/store';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Actor, NOBODY } from '../access/actor.ts';
import { startTestApi } from '../fixtures.ts';
import { hubOf } from './fixtures.ts';
import type { StreamHub } from './hub.ts';
import type { Watcher } from './watcher.ts';

const SPACES = 3;
const space = fc.nat(SPACES - 1);
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('make' as const), space }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('rename' as const), app: fc.nat(5) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('delete' as const), app: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('grant' as const), space }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('revoke' as const), space }) },
  // After so many frames nothing arrives any more, until the client comes back.
  { weight: 2, arbitrary: fc.record({ do: fc.constant('cut' as const), after: fc.nat(4) }) },
  { weight: 2, arbitrary: fc.constant({ do: 'come back' as const }) },
  { weight: 2, arbitrary: fc.constant({ do: 'wait' as const }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
interface App {
  guid: string;
  name: string;
  space: string;
}

/** What there is, and who may see it. */
class World {
  readonly store: Store;
  readonly organization: string;
  readonly user: string;
  readonly spaces: readonly string[];
  readonly apps: App[] = [];
  readonly roles = new Map<string, string>();
  private names = 0;

  constructor(store: Store, made: { organization: string; user: string; spaces: readonly string[] }) {
    this.store = store;
    this.organization = made.organization;
    this.user = made.user;
    this.spaces = made.spaces;
  }

  visible(): App[] {
    return this.apps.filter(app => this.roles.has(app.space));
  }

  async make(at: string): Promise<void> {
    const { guid, name } = await anApp(this.store, { space_guid: at });
    this.apps.push({ guid, name, space: at });
  }

  async rename(app: App): Promise<void> {
    const name = `named-${this.names++}`;
    await this.store.mutate(async ({ db, changed }) => {
      await db.updateTable('apps').set({ name }).where('guid', '=', app.guid).execute();
      changed('app', app.guid, { organizationGuid: this.organization, spaceGuid: app.space });
    });
    app.name = name;
  }

  async delete(app: App): Promise<void> {
    await this.store.mutate(async ({ db, changed }) => {
      await db.deleteFrom('apps').where('guid', '=', app.guid).execute();
      changed('app', app.guid, { organizationGuid: this.organization, spaceGuid: app.space });
    });
    this.apps.splice(this.apps.indexOf(app), 1);
  }

  async grant(at: string): Promise<void> {
    if (this.roles.has(at)) return;
    // Before it is so: what is told in the same moment is told rightly.
    this.roles.set(at, '');
    const role = await aRole(this.store, { type: 'space_developer', user_guid: this.user, space_guid: at });
    this.roles.set(at, role.guid);
  }

  async revoke(at: string): Promise<void> {
    const guid = this.roles.get(at);
    if (guid === undefined) return;
    await this.store.mutate(async ({ db, changed }) => {
      await db.deleteFrom('roles').where('guid', '=', guid).execute();
      changed('role', guid);
    });
    this.roles.delete(at);
  }
}

async function aWorld(store: Store): Promise<World> {
  const { guid: organization } = await anOrganization(store);
  const spaces: string[] = [];
  for (let made = 0; made < SPACES; made++)
    spaces.push((await aSpace(store, { organization_guid: organization })).guid);
  const world = new World(store, { organization, user: (await aUser(store)).guid, spaces });
  await world.grant(spaces[0] ?? '');
  return world;
}

/** Apps as it believes them to be, by what it hears, and by a list whenever it is told to. */
class Client {
  readonly apps = new Map<string, string>();
  readonly wrong: string[] = [];
  cutAfter = Number.POSITIVE_INFINITY;
  private cursor: string | null = null;
  private mustList = true;
  private connection = 0;
  private leave: () => void = () => undefined;
  private readonly hub: StreamHub;
  private readonly world: World;

  constructor(hub: StreamHub, world: World) {
    this.hub = hub;
    this.world = world;
  }

  async comeBack(): Promise<void> {
    this.leave();
    const connection = ++this.connection;
    this.cutAfter = Number.POSITIVE_INFINITY;
    this.leave = await this.hub.join(
      this.watcher(bytes => {
        if (connection !== this.connection) return;
        for (const line of bytes.toString().split('\n')) if (line !== '') this.hear(JSON.parse(line));
      }),
      this.cursor,
    );
    this.list();
  }

  /** All that has happened is told when somebody else is welcomed. */
  async wait(): Promise<void> {
    (
      await this.hub.join(
        this.watcher(() => undefined),
        null,
      )
    )();
    this.list();
  }

  end(): void {
    this.leave();
  }

  private watcher(send: Watcher['send']): Watcher {
    const actor: Actor = { ...NOBODY, kind: 'user', guid: this.world.user };
    const filter = { kinds: null, organizationGuids: null, spaceGuids: null, appGuids: null };
    return { actor, filter, origin: '', form: 'messages', send, behindBytes: () => 0, end: () => undefined };
  }

  private hear(frame: {
    type: string;
    cursor?: string;
    kind?: string;
    guid: string;
    space_guid: string;
    object: App;
  }): void {
    if (this.cutAfter-- <= 0) return;
    this.cursor = frame.cursor ?? this.cursor;
    if (frame.type === 'reset') this.mustList = true;
    if (frame.type === 'changed' && !this.world.roles.has(frame.space_guid)) this.wrong.push(JSON.stringify(frame));
    if (frame.kind !== 'app') return;
    if (frame.type === 'gone') this.apps.delete(frame.guid);
    else this.apps.set(frame.guid, frame.object.name);
  }

  private list(): void {
    if (!this.mustList || this.cutAfter <= 0) return;
    this.mustList = false;
    this.apps.clear();
    for (const { guid, name } of this.world.visible()) this.apps.set(guid, name);
  }
}

async function take(one: Step, world: World, client: Client): Promise<void> {
  if (one.do === 'cut') client.cutAfter = Math.min(client.cutAfter, one.after);
  else if (one.do === 'come back') await client.comeBack();
  else if (one.do === 'wait') await client.wait();
  else if ('space' in one) await world[one.do](world.spaces[one.space] ?? '');
  else {
    const app = world.apps[one.app];
    if (app !== undefined) await world[one.do](app);
  }
}

test('a client that is cut anywhere misses nothing, and hears of nothing it may not see', async () => {
  await using api = await startTestApi();
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async steps => {
      await using hub = hubOf(api.deps);
      const world = await aWorld(api.deps.store);
      const client = new Client(hub, world);
      await client.comeBack();
      for (const one of steps) await take(one, world, client);
      await client.comeBack();
      expect(client.wrong).toEqual([]);
      expect(Object.fromEntries(client.apps)).toEqual(
        Object.fromEntries(world.visible().map(({ guid, name }) => [guid, name])),
      );
      client.end();
    }),
    { numRuns: 60 },
  );
});
