/**
 * What to do about a refusal of the API whose own sentence, which is Cloud Foundry's, only says what is wrong. For the clients that show it: the API's words stay
 * those that every client of Cloud Foundry knows.
 */

/** Of which app of a manifest. */
const OF_ONE = /^For application '(.+?)': /;

const NEXT: readonly (readonly [said: RegExp, next: (push: string) => string])[] = [
  [
    /cannot be mapped to destinations in different spaces|Route already exists|The host is taken/,
    push => `An app elsewhere has that address. Take another: ${push} --random-route, or "routes:" in manifest.yml.`,
  ],
  [/must use a supported unit|must be greater than 0MB/, () => 'Write a size like 256M or 1G.'],
  [/cannot set PORT/, () => 'The platform chooses the port, and gives it to the app as PORT: listen on that one.'],
  [
    /Failed to create default route from app name/,
    push =>
      `Choose a name that a host may have, give it a route ("routes:" in manifest.yml), or: ${push} --random-route`,
  ],
  [OF_ONE, push => `Mend it in manifest.yml or at the flag, then: ${push}`],
];

/** Null: the refusal's own sentence says it all. `app`: whom the next command names, where the refusal itself names none; null: nobody knows. */
export function nextAfterRefusal(detail: string, app: string | null): string | null {
  const named = OF_ONE.exec(detail)?.[1] ?? app;
  const push = named === null ? 'cupola push' : `cupola push ${named}`;
  return NEXT.find(([said]) => said.test(detail))?.[1](push) ?? null;
}
