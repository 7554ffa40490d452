/** Security groups: bodies and answers (CF: security_group_create_message.rb, security_group_rule_validator.rb, security_group_presenter.rb). */
import { z } from 'zod';
import { body, links, stamps, toMany } from './parts.ts';

const PROTOCOLS = ['tcp', 'udp', 'icmp', 'all'] as const;
const KEYS = ['code', 'description', 'destination', 'log', 'ports', 'protocol', 'type'];
const PORT_MAX = 65_535;
const RULES_MAX = 1_000;

/** An IPv4 address as a number; null for what is none. Octets have no leading zeros: what they mean is not sure. */
function addressOf(text: string): number | null {
  const octets = text.split('.');
  if (octets.length !== 4 || !octets.every(octet => /^(0|[1-9]\d{0,2})$/.test(octet) && Number(octet) <= 255))
    return null;
  return octets.reduce((sum, octet) => sum * 256 + Number(octet), 0);
}

function destinationError(destination: unknown): string | null {
  const wrong = 'destination must be a valid CIDR, IP address, or IP address range';
  if (destination === undefined || destination === null) return wrong;
  if (typeof destination !== 'string') return 'destination must be a string';
  if (/\s/.test(destination)) return 'destination must not contain whitespace';
  const [first = '', last, ...more] = destination.split('-');
  if (more.length > 0) return wrong;
  if (last !== undefined) {
    const [from, to] = [addressOf(first), addressOf(last)];
    if (from === null || to === null) return 'destination IP address range is invalid';
    if (from > to)
      return 'beginning of IP address range is numerically greater than the end of its range (range endpoints are inverted)';
    return null;
  }
  const [address = '', bits] = first.split('/');
  const isNetwork = bits === undefined || (/^\d{1,2}$/.test(bits) && Number(bits) <= 32);
  return addressOf(address) !== null && isNetwork && first.split('/').length <= 2 ? null : wrong;
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
  const destination = destinationError(given.destination);
  return [
    ...(unknown.length === 0 ? [] : [`unknown field(s): [${unknown.map(key => `"${key}"`).join(', ')}]`]),
    ...(destination === null ? [] : [destination]),
    ...(given.description && typeof given.description !== 'string' ? ['description must be a string'] : []),
    ...(given.log && typeof given.log !== 'boolean' ? ['log must be a boolean'] : []),
    ...protocolErrors(given),
  ];
}

/** What one rule lets through. */
export interface SecurityRule {
  protocol: (typeof PROTOCOLS)[number];
  /** `10.0.0.0/8`, `10.1.2.3` or `10.0.0.1-10.0.0.9`. */
  destination: string;
  /** `443`, `80,443` or `1-1024`; for TCP and UDP alone. */
  ports?: string;
  type?: number;
  code?: number;
  description?: string;
  log?: boolean;
}

const rules = z
  .array(z.unknown(), { error: 'Rules must be an array' })
  .max(RULES_MAX, { error: `Rules must be at most ${RULES_MAX}` })
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
