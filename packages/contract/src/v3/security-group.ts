/** Security groups: bodies and answers (CF: security_group_create_message.rb, security_group_rule_validator.rb, security_group_presenter.rb). */
import { addressOf, networkSpan, type SecurityRule } from '@cupola/model/egress';
import { EGRESS_LIMITS } from '@cupola/model/limits';
import { z } from 'zod';
import { body, links, stamps, toMany } from './parts.ts';

const KEYS = ['code', 'description', 'destination', 'log', 'ports', 'protocol', 'type'];
const PORT_MAX = 65_535;

function destinationErrors(destination: unknown): string[] {
  if (destination === undefined || destination === null)
    return [
      'nil destination; destination must be a comma-delimited list of valid CIDRs, IP addresses, or IP address ranges',
    ];
  if (typeof destination !== 'string') return ['destination must be a string'];
  if (/\s/.test(destination)) return ['destination must not contain whitespace'];
  const parts = destination.split(',');
  if (parts.length > EGRESS_LIMITS.destinationsMax)
    return [`maximum destinations per rule exceeded - must be under ${EGRESS_LIMITS.destinationsMax}`];
  return [...new Set(parts.flatMap(part => partError(part) ?? []))];
}

/** Of one CIDR, address or range. */
function partError(part: string): string | null {
  const wrong = 'destination must contain valid CIDR(s), IP address(es), or IP address range(s)';
  if (part === '') return 'empty destination specified in comma-delimited list';
  if (/(^|[-.])0\d/.test(part)) return 'destination octets cannot contain leading zeros';
  const [first = '', last, ...more] = part.split('-');
  if (more.length > 0) return wrong;
  if (last === undefined) return networkSpan(first) === null ? wrong : null;
  const [from, to] = [addressOf(first), addressOf(last)];
  if (from === null || to === null) return 'destination IP address range is invalid';
  return from > to
    ? 'beginning of IP address range is numerically greater than the end of its range (range endpoints are inverted)'
    : null;
}

function portsError(ports: unknown): string | null {
  if (ports === undefined || ports === null) return 'ports are required for protocols of type TCP and UDP';
  const wrong =
    'ports must be a valid single port, comma separated list of ports, or range or ports, formatted as a string';
  if (typeof ports !== 'string') return wrong;
  const isPort = (text: string): boolean => /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= PORT_MAX;
  const range = /^\s*(\d+)\s*-\s*(\d+)\s*$/.exec(ports);
  if (range !== null) {
    const [, from = '', to = ''] = range;
    return isPort(from) && isPort(to) && Number(from) < Number(to) ? null : wrong;
  }
  return ports.split(',').every(port => isPort(port.trim())) ? null : wrong;
}

function icmpErrors({ code, type }: Record<string, unknown>): string[] {
  const one = (name: string, value: unknown): string[] => {
    if (value === undefined || value === null) return [`${name} is required for protocols of type ICMP`];
    const isGood = Number.isInteger(value) && Number(value) >= -1 && Number(value) <= 255;
    return isGood ? [] : [`${name} must be an integer between -1 and 255 (inclusive)`];
  };
  return [...one('code', code), ...one('type', type)];
}

function protocolErrors(rule: Record<string, unknown>): string[] {
  const { protocol } = rule;
  if (protocol === 'tcp' || protocol === 'udp') return [portsError(rule.ports)].filter(text => text !== null);
  if (protocol === 'icmp') return icmpErrors(rule);
  if (protocol === 'all') return rule.ports ? ['ports are not allowed for protocols of type all'] : [];
  return ["protocol must be 'tcp', 'udp', 'icmp', 'icmpv6' or 'all'"];
}

function ruleErrors(rule: unknown): string[] {
  if (typeof rule !== 'object' || rule === null || Array.isArray(rule)) return ['must be an object'];
  const given = rule as Record<string, unknown>;
  const unknown = Object.keys(given).filter(key => !KEYS.includes(key));
  return [
    ...(unknown.length === 0 ? [] : [`unknown field(s): [${unknown.map(key => `"${key}"`).join(', ')}]`]),
    ...destinationErrors(given.destination),
    ...(given.description && typeof given.description !== 'string' ? ['description must be a string'] : []),
    ...(given.log && typeof given.log !== 'boolean' ? ['log must be a boolean'] : []),
    ...protocolErrors(given),
  ];
}

const rules = z
  .array(z.unknown(), { error: 'Rules must be an array' })
  .max(EGRESS_LIMITS.rulesMax, { error: `Rules must be at most ${EGRESS_LIMITS.rulesMax}` })
  .superRefine((list, context) => {
    for (const [index, rule] of list.entries())
      for (const text of ruleErrors(rule)) context.addIssue({ code: 'custom', message: `Rules[${index}]: ${text}` });
  })
  // Each has been looked at, key by key.
  .transform(list => list as SecurityRule[]);

const name = z
  .string({ error: issue => (issue.input === undefined ? "Name can't be blank" : 'Name must be a string') })
  .min(1, { error: "Name can't be blank" })
  .max(250, { error: 'Name is too long (maximum is 250 characters)' });
const enabled = z.boolean({ error: 'Globally enabled values must be booleans' }).exactOptional();
const globallyEnabled = z.strictObject(
  { running: enabled, staging: enabled },
  {
    error: issue =>
      issue.code === 'unrecognized_keys'
        ? "Globally enabled only allows keys 'running' or 'staging'"
        : 'Globally enabled must be an object',
  },
);

export const createSecurityGroup = body({
  name,
  globally_enabled: globallyEnabled.exactOptional(),
  rules: rules.exactOptional(),
  relationships: body(
    { running_spaces: toMany.exactOptional(), staging_spaces: toMany.exactOptional() },
    'Relationships',
  ).exactOptional(),
});
export type CreateSecurityGroup = z.infer<typeof createSecurityGroup>;
export const updateSecurityGroup = body({
  name: name.exactOptional(),
  globally_enabled: globallyEnabled.exactOptional(),
  rules: rules.exactOptional(),
});
export type UpdateSecurityGroup = z.infer<typeof updateSecurityGroup>;
export const bindSecurityGroup = body({ data: toMany.shape.data });

const guids = z.object({ data: z.array(z.object({ guid: z.string() })) });
export const securityGroupAnswer = z.object({
  ...stamps,
  name: z.string(),
  rules: z.array(z.record(z.string(), z.unknown())),
  globally_enabled: z.object({ running: z.boolean(), staging: z.boolean() }),
  relationships: z.object({ running_spaces: guids, staging_spaces: guids }),
  links,
});
