import { describe, expect, test } from 'vitest';
import { ADMIN_PASSWORD, startTestApi, type TestAnswer, type TestApi } from '../fixtures.ts';

const CF = { authorization: `Basic ${btoa('cf:')}` };
const ask = (test: TestApi, password = ADMIN_PASSWORD): Promise<TestAnswer> =>
  test.api('POST', '/passcode', { form: { username: 'admin', password } });
const login = (test: TestApi, passcode: string): Promise<TestAnswer> =>
  test.api('POST', '/oauth/token', { form: { grant_type: 'password', passcode }, headers: CF });
const codeOf = (answer: TestAnswer): string => /<h2>(\w+)<\/h2>/.exec(answer.body)?.[1] ?? '';

describe('one-time codes', () => {
  test('GET /login tells the cf CLI where to get one, and the page asks for a name and a password', async () => {
    await using test = await startTestApi();
    const { prompts } = (await test.api('GET', '/login')).body;
    expect(prompts.passcode).toEqual(['password', expect.stringContaining(`${test.url}/passcode`)]);
    const page = await test.api('GET', '/passcode');
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(page.body).toContain('<form method="post" action="/passcode">');
    expect(page.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
  });

  test('a code logs in once', async () => {
    await using test = await startTestApi();
    const code = codeOf(await ask(test));
    const { status, body } = await login(test, code);
    expect([status, body.token_type]).toEqual([200, 'bearer']);
    expect((await test.api('GET', '/v3/apps', { token: body.access_token })).status).toBe(200);
    const again = await login(test, code);
    expect([again.status, again.body.error_description]).toEqual([401, 'Bad credentials']);
  });

  test('a code counts for five minutes, and the store has only its hash', async () => {
    await using test = await startTestApi();
    const code = codeOf(await ask(test));
    const rows = await test.deps.store.read.selectFrom('passcodes').selectAll().execute();
    expect(JSON.stringify(rows)).not.toContain(code);
    test.clock.pass(300_001);
    expect((await login(test, code)).status).toBe(401);
  });

  test('a wrong password gets the form again, and no code', async () => {
    await using test = await startTestApi();
    const refused = await ask(test, 'wrong');
    expect([refused.status, codeOf(refused)]).toEqual([401, '']);
    expect(refused.body).toContain('Bad credentials');
  });

  test('guessing ends: after five wrong codes none counts from there for five minutes', async () => {
    await using test = await startTestApi();
    await Promise.all(['a', 'b', 'c', 'd', 'e'].map(guess => login(test, guess)));
    const code = codeOf(await ask(test));
    expect((await login(test, code)).status).toBe(401);
    test.clock.pass(300_001);
    expect((await login(test, codeOf(await ask(test)))).status).toBe(200);
  });
});
