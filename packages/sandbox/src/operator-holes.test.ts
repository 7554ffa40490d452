import { describe, expect, test } from 'vitest';
import { operatorHoles, operatorUrls } from './operator-holes.ts';

describe('operatorUrls()', () => {
  test('operatorUrls() finds proxies in the environment and registries in npm settings', () => {
    const environment = {
      HTTPS_PROXY: 'http://proxy.example:3128',
      http_proxy: 'proxy.example:3128',
      OTHER: 'http://no',
    };
    const npmrc = 'fund=false\nregistry=https://npm.example/\n@us:registry = "http://us.example:4873/"\nproxy=null\n';
    expect(operatorUrls(environment, [npmrc]).map(String)).toEqual([
      'http://proxy.example:3128/',
      'http://proxy.example:3128/',
      'https://npm.example/',
      'http://us.example:4873/',
      'http://null/',
    ]);
  });
});

describe('operatorHoles()', () => {
  test('operatorHoles() gives addresses and ports, each once; names that do not resolve give none', async () => {
    const holes = await operatorHoles({
      HTTP_PROXY: 'http://127.0.0.1:3128',
      HTTPS_PROXY: 'http://127.0.0.1:3128',
      npm_config_registry: 'https://192.0.2.7/npm/',
      ALL_PROXY: 'http://no-such-host.invalid',
    });
    expect(holes).toContainEqual({ cidr: '127.0.0.1', port: 3128 });
    expect(holes).toContainEqual({ cidr: '192.0.2.7', port: 443 });
    expect(holes.filter(({ cidr }) => cidr === '127.0.0.1')).toHaveLength(1);
  });
});
