/**
 * What to do about a refusal of the API whose own sentence, which is Cloud Foundry's, only says what is wrong. For the clients that show it: the API's words stay
 * those that every client of Cloud Foundry knows.
 */

const NEXT: readonly (readonly [said: RegExp, next: (app: string) => string])[] = [
  [
    /cannot be mapped to destinations in different spaces|Route already exists|The host is taken/,
    app =>
      `An app elsewhere has that address. Take another: cupola push ${app} --random-route, or "routes:" in manifest.yml.`,
  ],
  [/must use a supported unit|must be greater than 0MB/, () => 'Write a size like 256M or 1G.'],
  [/cannot set PORT/, () => 'The platform chooses the port, and gives it to the app as PORT: listen on that one.'],
  [
    /Failed to create default route from app name/,
    app =>
      `Choose a name that a host may have, give it a route ("routes:" in manifest.yml), or: cupola push ${app} --random-route`,
  ],
  [/^For application '/, app => `Mend it in manifest.yml or at the flag, then: cupola push ${app}`],
];

/** Null: the refusal's own sentence says it all. */
export function nextAfterRefusal(detail: string, app: string): string | null {
  return NEXT.find(([said]) => said.test(detail))?.[1](app) ?? null;
}
