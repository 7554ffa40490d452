/**
 * A push, step by step, as a client of the API makes it that repeats what was not acknowledged. Its ledger says what was: each 2xx, with the guid that came
 * with it. Nothing here imports Cupola's code.
 */
import { crc32 } from 'node:zlib';
import { account } from './account.ts';
import { type Platform, until } from './platform.ts';

export interface Ledger {
  app: string;
  host: string;
  appGuid: string;
  packageGuid: string;
  buildGuid: string;
  dropletGuid: string;
  routeGuid: string;
  domainGuid: string;
  spaceGuid: string;
  /** Steps that were answered 2xx, in order. */
  acknowledged: string[];
}
/** What a push needs of a platform. */
export type Asked = Pick<Platform, 'api' | 'ask' | 'upload'>;
export interface Step {
  name: string;
  /** Until it is acknowledged. Repeats after a cut connection, 502 and 503. */
  run(ledger: Ledger): Promise<void>;
}

interface Called {
  status: number;
  body: Record<string, unknown>;
}

/** Repeats while nobody answers, or a 503 says to come again; another failure is the platform's, and ends the test. */
async function call(platform: Asked, method: string, path: string, body?: unknown): Promise<Called> {
  return until(`${method} ${path}`, async () => {
    const answer = await platform.api(method, path, body).catch(() => null);
    return (
      answer !== null &&
      ![401, 502, 503].includes(answer.status) && {
        status: answer.status,
        body: answer.body as Record<string, unknown>,
      }
    );
  });
}

function expectGood(step: string, { status, body }: Called): Record<string, unknown> {
  if (status >= 300) throw new Error(`${step}: ${status} ${JSON.stringify(body)}`);
  return body;
}

const guidOf = (body: Record<string, unknown>): string => String(body.guid);
const firstGuid = (body: Record<string, unknown>): string =>
  String((body.resources as Array<{ guid: string }>)[0]?.guid);

/** What the platform has made at its first start. */
export async function openLedger(platform: Asked, app: string): Promise<Ledger> {
  const first = async (path: string): Promise<string> => firstGuid(expectGood(path, await call(platform, 'GET', path)));
  return {
    app,
    host: `${app}.localhost`,
    spaceGuid: await first('/v3/spaces?names=dev'),
    domainGuid: await first('/v3/domains?names=localhost'),
    appGuid: '',
    packageGuid: '',
    buildGuid: '',
    dropletGuid: '',
    routeGuid: '',
    acknowledged: [],
  };
}

/** An app of one file, whose answer is its version unless another program is given. */
export function stepsOfPush(platform: Asked | Platform, version: string, program = answering(version)): Step[] {
  const to = (guid: string) => ({ data: { guid } });
  const steps: Array<[name: string, act: (ledger: Ledger) => Promise<void>]> = [
    [
      'create app',
      async ledger => {
        const made = await call(platform, 'POST', '/v3/apps', {
          name: ledger.app,
          relationships: { space: to(ledger.spaceGuid) },
          lifecycle: { type: 'buildpack', data: { buildpacks: ['nodejs_buildpack'] } },
        });
        // Made by an answer that was lost: then it is there.
        ledger.appGuid =
          made.status === 422
            ? firstGuid(expectGood('find app', await call(platform, 'GET', `/v3/apps?names=${ledger.app}`)))
            : guidOf(expectGood('create app', made));
      },
    ],
    [
      'size process',
      async ledger => {
        const sized = await call(platform, 'POST', `/v3/apps/${ledger.appGuid}/processes/web/actions/scale`, {
          instances: 1,
          memory_in_mb: 64,
        });
        expectGood('size process', sized);
      },
    ],
    [
      'create package',
      async ledger => {
        const body = { type: 'bits', relationships: { app: to(ledger.appGuid) } };
        ledger.packageGuid = guidOf(expectGood('create package', await call(platform, 'POST', '/v3/packages', body)));
      },
    ],
    ['upload', ledger => upload(platform, ledger, program)],
    ['create build', ledger => createBuild(platform, ledger)],
    [
      'staged',
      async ledger => {
        for (;;) {
          const build = await buildEnd(platform, ledger);
          if (build.state === 'STAGED') {
            ledger.dropletGuid = (build.droplet as { guid: string }).guid;
            return;
          }
          // Its stager was killed twice, by us: the platform says so, and the push is repeated from there.
          if (!String(build.error).startsWith('StagerError'))
            throw new Error(`the build failed: ${JSON.stringify(build)}`);
          await createBuild(platform, ledger);
        }
      },
    ],
    [
      'set droplet',
      async ledger => {
        const path = `/v3/apps/${ledger.appGuid}/relationships/current_droplet`;
        expectGood('set droplet', await call(platform, 'PATCH', path, to(ledger.dropletGuid)));
      },
    ],
    [
      'start',
      async ledger => {
        expectGood('start', await call(platform, 'POST', `/v3/apps/${ledger.appGuid}/actions/start`));
      },
    ],
    [
      'create route',
      async ledger => {
        const made = await call(platform, 'POST', '/v3/routes', {
          host: ledger.app,
          relationships: { space: to(ledger.spaceGuid), domain: to(ledger.domainGuid) },
        });
        ledger.routeGuid =
          made.status === 422
            ? firstGuid(expectGood('find route', await call(platform, 'GET', `/v3/routes?hosts=${ledger.app}`)))
            : guidOf(expectGood('create route', made));
      },
    ],
    [
      'map route',
      async ledger => {
        const path = `/v3/routes/${ledger.routeGuid}/destinations`;
        const body = { destinations: [{ app: { guid: ledger.appGuid } }] };
        expectGood('map route', await call(platform, 'POST', path, body));
      },
    ],
    [
      'answered',
      async ledger => {
        // Each part may be waiting before its next start, one after another, since all three have been killed so often.
        await until(
          'the app answers',
          async () => {
            const answer = await platform.ask(ledger.host);
            if (answer.status === 200 && answer.body === version) return true;
            throw new Error(`${answer.status} ${answer.body.slice(0, 200)}`);
          },
          240_000,
        ).catch(async (error: unknown) => {
          throw new Error(`${String(error)}\n${'status' in platform ? await account(platform, ledger.appGuid) : ''}`);
        });
      },
    ],
  ];
  return steps.map(([name, act]) => ({
    name,
    run: async ledger => {
      await act(ledger);
      ledger.acknowledged.push(name);
    },
  }));
}

/** Everything that was acknowledged is there, as it was answered. */
export async function checkLedger(platform: Asked, ledger: Ledger): Promise<void> {
  const of: Record<string, string> = {
    'create app': `/v3/apps/${ledger.appGuid}`,
    'create package': `/v3/packages/${ledger.packageGuid}`,
    'create build': `/v3/builds/${ledger.buildGuid}`,
    staged: `/v3/droplets/${ledger.dropletGuid}`,
    'create route': `/v3/routes/${ledger.routeGuid}`,
  };
  for (const step of ledger.acknowledged) {
    const path = of[step];
    if (path !== undefined) expectGood(`${step} was acknowledged, but`, await call(platform, 'GET', path));
  }
  if (ledger.acknowledged.includes('upload')) {
    const { state } = expectGood('package', await call(platform, 'GET', `/v3/packages/${ledger.packageGuid}`));
    if (state !== 'READY') throw new Error(`the upload was acknowledged, but the package is ${String(state)}`);
  }
}

async function createBuild(platform: Asked, ledger: Ledger): Promise<void> {
  const made = await call(platform, 'POST', '/v3/builds', { package: { guid: ledger.packageGuid } });
  // Made by an answer that was lost: it is the newest, and may have been staged meanwhile.
  const path = `/v3/builds?package_guids=${ledger.packageGuid}&order_by=-created_at`;
  ledger.buildGuid =
    made.status === 422
      ? firstGuid(expectGood('find build', await call(platform, 'GET', path)))
      : guidOf(expectGood('create build', made));
}

async function buildEnd(platform: Asked, ledger: Ledger): Promise<Record<string, unknown>> {
  return until(
    'the build ends',
    async () => {
      const seen = expectGood('build', await call(platform, 'GET', `/v3/builds/${ledger.buildGuid}`));
      return seen.state !== 'STAGING' && seen;
    },
    240_000,
  );
}

function answering(version: string): string {
  return `require('node:http').createServer((q, a) => a.end('${version}')).listen(Number(process.env.PORT));\n`;
}

async function upload(platform: Asked, ledger: Ledger, program: string): Promise<void> {
  const zip = storedZip({
    'package.json': JSON.stringify({ name: 'pushed', version: '1.0.0' }),
    Procfile: 'web: node server.js\n',
    'server.js': program,
  });
  for (;;) {
    const answer = await until('the upload is answered', async () => {
      const seen = await platform.upload(`/v3/packages/${ledger.packageGuid}/upload`, zip).catch(() => null);
      return seen !== null && ![502, 503].includes(seen.status) && seen;
    });
    if (answer.status < 300) return;
    const known = await call(platform, 'GET', `/v3/packages/${ledger.packageGuid}`);
    // The bits had come, and only the answer was lost.
    if (known.body.state === 'READY') return;
    throw new Error(`upload: ${answer.status} ${answer.body}`);
  }
}

/** A zip whose entries are stored, not deflated. */
function storedZip(files: Record<string, string>): Buffer {
  const entries = Object.entries(files).map(([name, text]) => ({ name: Buffer.from(name), data: Buffer.from(text) }));
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const { name, data } of entries) {
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt32LE(crc32(data), 10);
    common.writeUInt32LE(data.length, 14);
    common.writeUInt32LE(data.length, 18);
    common.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), common, name, data]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE((0o100644 << 16) >>> 0, 6);
    rest.writeUInt32LE(offset, 10);
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x03', 'latin1'), common, rest, name]));
    parts.push(local);
    offset += local.length;
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 0, 'latin1');
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(size, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, ...directory, end]);
}
