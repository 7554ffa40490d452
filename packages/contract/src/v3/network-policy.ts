/** Network policies: bodies and answers of the policy server (CF: cf-networking-release, policy-server/api, policy_validator.go). */
import { z } from 'zod';

const port = (name: 'start' | 'end') =>
  z.number({ error: `missing ${name} port` }).int({ error: `invalid ${name} port, must be in range 1-65535` });
const id = (of: string) => z.string({ error: `missing ${of} id` }).min(1, { error: `missing ${of} id` });

export const networkPolicy = z.object({
  source: z.object({ id: id('source') }, { error: 'missing source id' }),
  destination: z.object(
    {
      id: id('destination'),
      protocol: z.enum(['tcp', 'udp'], { error: 'invalid destination protocol, specify either udp or tcp' }),
      ports: z
        .object({ start: port('start'), end: port('end') }, { error: 'missing start port' })
        .superRefine(({ start, end }, context) => {
          const say = (message: string): void => void context.addIssue({ code: 'custom', message });
          if (start > end) say(`invalid port range ${start}-${end}, start must be less than or equal to end`);
          else if (start === 0) say('missing start port');
          else if (start < 0) say(`invalid start port ${start}, must be in range 1-65535`);
          else if (end > 65_535) say(`invalid end port ${end}, must be in range 1-65535`);
        }),
    },
    { error: 'missing destination id' },
  ),
});
export type NetworkPolicyBody = z.infer<typeof networkPolicy>;

export const networkPolicies = z.object({
  policies: z.array(networkPolicy, { error: 'missing policies' }).min(1, { error: 'missing policies' }).max(500, {
    error: 'too many policies: send at most 500 at a time',
  }),
});
export const networkPoliciesAnswer = z.object({ total_policies: z.number(), policies: z.array(networkPolicy) });
