import { aSpace } from '@cupola/store/fixtures';
import { describe, expect, test } from 'vitest';
import { details } from '../apps/fixtures.ts';
import { type Json, startTestApi, type TestAnswer, type TestApi } from '../fixtures.ts';

const PATH = '/v3/security_groups';
const RULES = [
  { protocol: 'tcp', destination: '10.0.0.0/8', ports: '443,5432', description: 'databases' },
  { protocol: 'icmp', destination: '10.0.0.1-10.0.0.9', type: 0, code: -1 },
  { protocol: 'all', destination: '192.168.1.1' },
];
const make = (test: TestApi, body: Record<string, unknown> = {}): Promise<TestAnswer> =>
  test.api('POST', PATH, { token: test.admin, body: { name: 'db', ...body } });
const names = ({ body }: TestAnswer): string[] => body.resources.map((one: Json) => one.name);

describe('security groups', () => {
  test('are made with rules and the spaces that they are bound to', async () => {
    await using test = await startTestApi();
    const spaces = { data: [{ guid: test.home.spaceGuid }] };
    const made = await make(test, { rules: RULES, relationships: { running_spaces: spaces } });
    expect([made.status, made.body]).toMatchObject([
      201,
      {
        name: 'db',
        rules: RULES,
        globally_enabled: { running: false, staging: false },
        relationships: { running_spaces: spaces, staging_spaces: { data: [] } },
      },
    ]);
    expect(made.headers.get('x-cf-warnings')).toBeNull();
    expect(details(await make(test))).toEqual(["Security group with name 'db' already exists."]);
  });

  test.each([
    [{ protocol: 'sctp', destination: '1.1.1.1' }, "protocol must be 'tcp', 'udp', 'icmp', 'icmpv6' or 'all'"],
    [{ protocol: 'tcp', destination: '1.1.1.1' }, 'ports are required for protocols of type TCP and UDP'],
    [
      { protocol: 'tcp', destination: '1.1.1.1', ports: '9-1' },
      'ports must be a valid single port, comma separated list of ports, or range or ports, formatted as a string',
    ],
    [{ protocol: 'all', destination: '1.1.1.1', ports: '1' }, 'ports are not allowed for protocols of type all'],
    [
      { protocol: 'all', destination: '1.1.1.1/33' },
      'destination must contain valid CIDR(s), IP address(es), or IP address range(s)',
    ],
    [{ protocol: 'all', destination: '01.1.1.1' }, 'destination octets cannot contain leading zeros'],
    [{ protocol: 'all', destination: '1.1.1.1,,2.2.2.2' }, 'empty destination specified in comma-delimited list'],
    [{ protocol: 'all', destination: '1.1.1.1, 2.2.2.2' }, 'destination must not contain whitespace'],
    [
      { protocol: 'all', destination: Array.from({ length: 6_001 }, () => '1.1.1.1').join(',') },
      'maximum destinations per rule exceeded - must be under 6000',
    ],
    [
      { protocol: 'all', destination: '1.1.1.9-1.1.1.1' },
      'beginning of IP address range is numerically greater than the end of its range (range endpoints are inverted)',
    ],
    [{ protocol: 'all', destination: '1.1.1.1-x' }, 'destination IP address range is invalid'],
    [{ protocol: 'icmp', destination: '1.1.1.1', type: 0 }, 'code is required for protocols of type ICMP'],
    [{ protocol: 'all', destination: '1.1.1.1', size: 1 }, 'unknown field(s): ["size"]'],
  ])('a rule %j is refused: %s', async (rule, text) => {
    await using test = await startTestApi();
    const answer = await make(test, { rules: [rule] });
    expect([answer.status, details(answer)]).toEqual([422, [`Rules[0]: ${text}`]]);
  });

  test('change what they name; a deleted one is bound to nothing', async () => {
    await using test = await startTestApi();
    const { guid } = (await make(test, { rules: RULES })).body;
    const body = { globally_enabled: { staging: true }, rules: [] };
    const changed = await test.api('PATCH', `${PATH}/${guid}`, { token: test.admin, body });
    expect(changed.body).toMatchObject({ name: 'db', rules: [], globally_enabled: { running: false, staging: true } });
    expect((await test.api('DELETE', `${PATH}/${guid}`, { token: test.admin })).status).toBe(202);
    expect((await test.api('GET', `${PATH}/${guid}`, { token: test.admin })).status).toBe(404);
  });

  test('are bound and unbound by who manages a space and may see the group', async () => {
    await using test = await startTestApi();
    const { spaceGuid } = test.home;
    const { guid } = (await make(test, { globally_enabled: { running: true } })).body;
    const spaces = `${PATH}/${guid}/relationships/running_spaces`;
    const manager = await test.userWith({ space_manager: spaceGuid });
    const developer = await test.userWith({ space_developer: spaceGuid });
    const bind = (token: string, space = spaceGuid) =>
      test.api('POST', spaces, { token, body: { data: [{ guid: space }] } });
    expect((await bind(developer.token)).status).toBe(403);
    expect((await bind(manager.token)).body.data).toEqual([{ guid: spaceGuid }]);
    const hidden = await aSpace(test.deps.store);
    expect(details(await bind(manager.token, hidden.guid))).toEqual([
      `Spaces with guids ["${hidden.guid}"] do not exist, or you do not have access to them.`,
    ]);
    const unbind = () => test.api('DELETE', `${spaces}/${spaceGuid}`, { token: manager.token });
    expect((await unbind()).status).toBe(204);
    expect(details(await unbind())[0]).toContain('Ensure the space is bound to this security group.');
  });

  test('of a space are its own and those of all spaces; hidden is what is bound elsewhere', async () => {
    await using test = await startTestApi();
    const { spaceGuid } = test.home;
    const elsewhere = await aSpace(test.deps.store);
    const to = (guid: string) => ({ relationships: { running_spaces: { data: [{ guid }] } } });
    await make(test, { name: 'own', ...to(spaceGuid) });
    await make(test, { name: 'all', globally_enabled: { running: true } });
    await make(test, { name: 'other', ...to(elsewhere.guid) });
    const { token } = await test.userWith({ space_developer: spaceGuid });
    const list = (path: string, by = token) => test.api('GET', `${path}order_by=name`, { token: by });
    expect(names(await list(`/v3/spaces/${spaceGuid}/running_security_groups?`))).toEqual([
      'all',
      'dns',
      'own',
      'public_networks',
    ]);
    expect(names(await list(`/v3/spaces/${spaceGuid}/staging_security_groups?`))).toEqual(['dns', 'public_networks']);
    expect((await list(`/v3/spaces/${elsewhere.guid}/running_security_groups?`)).status).toBe(404);
    expect(names(await list(`${PATH}?`))).toEqual(['all', 'dns', 'own', 'public_networks']);
    expect(names(await list(`${PATH}?`, test.admin))).toEqual(['all', 'dns', 'other', 'own', 'public_networks']);
    expect(names(await list(`${PATH}?globally_enabled_running=true&`, test.admin))).toEqual([
      'all',
      'dns',
      'public_networks',
    ]);
    expect(names(await list(`${PATH}?running_space_guids=${spaceGuid}&`, test.admin))).toEqual(['own']);
    expect(names(await list(`${PATH}?names=own,all&`, test.admin))).toEqual(['all', 'own']);
  });
});
