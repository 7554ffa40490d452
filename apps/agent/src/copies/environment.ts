/** What a copy finds in its environment: what the run spec says, and what only the cell knows (PORT, CF_INSTANCE_*, the paths). As in Cloud Foundry. */
import type { PlacementItem } from '@cupola/contract/internal';
import type { CopyAddress } from '../host/addresses.ts';

const HOME = '/home/vcap/app';
const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * The whole environment of one start. The cell's own names win over the user's; PATH and LANG are the user's if set. A task has no port of the machine: CF
 * names it, and leaves it empty.
 */
export function copyEnvironment(
  placement: PlacementItem,
  { address, lang }: { address: CopyAddress; lang: string },
): Record<string, string> {
  const { guid, index, runSpec } = placement;
  const { host, port } = address;
  const internalPort = address.network === null ? port : (runSpec.ports[0] ?? port);
  const isTask = runSpec.taskName !== undefined;
  const toolchains = runSpec.layers.filter(layer => layer.kind === 'toolchain').map(layer => `${layer.mountPath}/bin`);
  return {
    PATH: [...toolchains, SYSTEM_PATH].join(':'),
    LANG: lang,
    DEPS_DIR: '/home/vcap/deps',
    ...runSpec.environment,
    HOME,
    PWD: HOME,
    USER: 'vcap',
    TMPDIR: '/home/vcap/tmp',
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
