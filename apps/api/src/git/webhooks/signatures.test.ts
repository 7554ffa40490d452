import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { provenDelivery } from './signatures.ts';

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const NOW = 1_790_000_000_000;
const body = Buffer.from('{"ref":"refs/heads/main"}');
const hex = createHmac('sha256', SECRET).update(body).digest('hex');
const signed = (at: number, id = 'msg_1'): Record<string, string> => ({
  'webhook-id': id,
  'webhook-timestamp': String(at / 1_000),
  'webhook-signature': `v1,${createHmac('sha256', Buffer.alloc(32, 7))
    .update(`${id}.${at / 1_000}.`)
    .update(body)
    .digest('base64')}`,
  'x-gitlab-event': 'Push Hook',
});
const of = (headers: Record<string, string>, other: Partial<Parameters<typeof provenDelivery>[0]> = {}) =>
  provenDelivery({ headers, body, secret: SECRET, now: NOW, ...other });

describe('provenDelivery()', () => {
  test("takes GitHub's own example (docs.github.com: Validating webhook deliveries)", () => {
    const signature = 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17';
    const given = { body: Buffer.from('Hello, World!'), secret: "It's a Secret to Everybody" };
    const headers = { 'x-hub-signature-256': signature, 'x-github-event': 'push' };
    expect(of(headers, given)).toMatchObject({ forge: 'github', event: 'push' });
    expect(of(headers, { ...given, body: Buffer.from('Hello, World?') })).toBeNull();
  });

  test.each([
    ['github', { 'x-hub-signature-256': `sha256=${hex}`, 'x-github-event': 'push', 'x-github-delivery': '1' }],
    [
      'gitea',
      {
        'x-gitea-signature': hex,
        'x-hub-signature-256': `sha256=${hex}`,
        'x-gitea-event': 'push',
        'x-gitea-delivery': '1',
      },
    ],
    ['gitea', { 'x-forgejo-signature': hex, 'x-forgejo-event': 'push', 'x-forgejo-delivery': '1' }],
    ['gitlab', { 'x-gitlab-token': SECRET, 'x-gitlab-event': 'Push Hook', 'x-gitlab-event-uuid': '1' }],
    ['gitlab', signed(NOW)],
  ])('takes what %s sends, and knows it by its bytes and its id', (forge, headers) => {
    expect(of(headers)).toMatchObject({ forge, event: 'push', marks: [expect.any(String), expect.any(String)] });
  });

  test('takes nothing without a proof, with a wrong one, or with a weaker one beside a wrong one', () => {
    expect(of({ 'x-github-event': 'push' })).toBeNull();
    expect(of({ 'x-hub-signature-256': `sha256=${'0'.repeat(64)}` })).toBeNull();
    expect(of({ 'x-hub-signature-256': `sha1=${hex}` })).toBeNull();
    expect(of({ 'x-gitlab-token': 'wrong' })).toBeNull();
    expect(of({ ...signed(NOW), 'webhook-signature': 'v1,AAAA', 'x-gitlab-token': SECRET })).toBeNull();
    expect(of({ 'x-gitea-signature': 'wrong', 'x-hub-signature-256': `sha256=${hex}` })).toBeNull();
  });

  test('takes a signed time of five minutes before or after, and no other', () => {
    expect(of(signed(NOW - 299_000))).not.toBeNull();
    expect(of(signed(NOW - 301_000))).toBeNull();
    expect(of(signed(NOW + 301_000))).toBeNull();
  });

  test('the same bytes under another id have a mark in common', () => {
    const [first, second] = ['1', '2'].map(id =>
      of({ 'x-hub-signature-256': `sha256=${hex}`, 'x-github-delivery': id }),
    );
    expect(first?.marks.filter(mark => second?.marks.includes(mark))).toHaveLength(1);
  });
});
