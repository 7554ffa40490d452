import { expect, test } from 'vitest';
import { aSpec } from '../fixtures.ts';
import { containerOptions, mountPoints, splitMounts } from './container-options.ts';

const mount = (target: string, mode: 'read-only' | 'writable' | 'overlay' = 'read-only') => ({
  source: `/from${target}`,
  target,
  mode,
});

test('splitMounts() leaves us overlays and what lies on the disk or in an overlay; the engine has the rest', () => {
  const mounts = [
    mount('/cache', 'writable'),
    mount('/home/vcap', 'overlay'),
    mount('/home/vcap/deps/tool'),
    mount('/home/vcapother'),
    mount('/data', 'overlay'),
    mount('/data/below', 'writable'),
    mount('/tmp/file'),
  ];
  const { engine, ours } = splitMounts(mounts);
  expect(engine.map(({ target }) => target)).toEqual(['/cache', '/home/vcapother']);
  expect(mountPoints(ours)).toEqual(['/home/vcap', '/tmp', '/var/tmp', '/data']);
});

test('containerOptions() gives the engine no value of the environment, no capability and no network', () => {
  const spec = aSpec({
    environment: { SECRET: 'do not tell' },
    network: { kind: 'namespace', name: 'n', address: '10.254.0.2' },
  });
  const places = {
    ...{ image: 'i', owner: 'o', installation: 't', folder: '/f' },
    ...{ base: [], files: [], engineMounts: [] },
  };
  const options = containerOptions(spec, places);
  expect(JSON.stringify(options)).not.toContain('do not tell');
  expect(options.HostConfig).toMatchObject({
    CapDrop: ['ALL'],
    ReadonlyRootfs: true,
    NetworkMode: 'none',
    Memory: 64 * 1024 * 1024,
    MemorySwap: 64 * 1024 * 1024,
    PidsLimit: 64,
    RestartPolicy: { Name: 'no' },
  });
  expect(options.HostConfig?.SecurityOpt).toContain('no-new-privileges');
});
