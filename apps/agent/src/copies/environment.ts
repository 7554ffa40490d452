/** What a copy finds in its environment: what the run spec says, and what only the cell knows (PORT, CF_INSTANCE_*, the paths). As in Cloud Foundry. */
import type { PlacementItem } from '@cupola/contract/internal';
import type { CopyAddress } from '../host/addresses.ts';

const HOME = '/home/vcap/app';
const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

type Variables = Record<string, string>;
type PlacedSpec = PlacementItem['runSpec'];

/** On a stack: the user's if set. */
export function stackDefaults({ layers }: PlacedSpec, lang: string): Variables {
  const toolchains = layers.filter(layer => layer.kind === 'toolchain').map(layer => `${layer.mountPath}/bin`);
  return { PATH: [...toolchains, SYSTEM_PATH].join(':'), LANG: lang, DEPS_DIR: '/home/vcap/deps' };
}
/** On a stack: nobody else's. */
export const STACK_OWN: Variables = { HOME, PWD: HOME, USER: 'vcap', TMPDIR: '/home/vcap/tmp' };

/** In an image: what it says, over what Docker would set. */
export function imageDefaults(
  image: PlacedSpec['image'],
  { name, home }: { name: string | null; home: string },
): Variables {
  return { PATH: SYSTEM_PATH, HOME: home, ...(name === null ? {} : { USER: name }), ...image?.environment };
}

/**
 * The whole environment of one start. The cell's own names win over the user's, which win over `defaults`. A task has no port of the machine: CF names it, and
 * leaves it empty.
 */
export function copyEnvironment(
  placement: PlacementItem,
  { address, defaults, own }: { address: CopyAddress; defaults: Variables; own: Variables },
): Variables {
  const { guid, index, runSpec } = placement;
  const { host, port } = address;
  const internalPort = address.network === null ? port : (runSpec.ports[0] ?? port);
  const isTask = runSpec.taskName !== undefined;
  return {
    ...defaults,
    ...runSpec.environment,
    ...own,
    PORT: String(internalPort),
    VCAP_APP_HOST: '0.0.0.0',
    VCAP_APP_PORT: String(internalPort),
    INSTANCE_GUID: guid,
    INSTANCE_INDEX: String(index),
    CF_INSTANCE_GUID: guid,
    CF_INSTANCE_INDEX: String(index),
    CF_INSTANCE_IP: host,
    CF_INSTANCE_INTERNAL_IP: host,
    CF_INSTANCE_PORT: isTask ? '' : String(port),
    CF_INSTANCE_ADDR: isTask ? '' : `${host}:${port}`,
    CF_INSTANCE_PORTS: JSON.stringify(isTask ? [] : [{ external: port, internal: internalPort }]),
    VCAP_APPLICATION: JSON.stringify({
      ...vcapApplication(runSpec.environment.VCAP_APPLICATION),
      instance_id: guid,
      instance_index: index,
      host: '0.0.0.0',
      port: internalPort,
    }),
  };
}

function vcapApplication(text: string | undefined): object {
  try {
    const parsed: unknown = JSON.parse(text ?? '{}');
    return typeof parsed === 'object' && parsed !== null ? parsed : {};
  } catch {
    return {}; // Not ours to judge: the app gets what the cell knows.
  }
}
