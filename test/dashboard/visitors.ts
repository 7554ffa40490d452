/** Who visits the shop of the pictures: more and fewer by turns, so that its figures have curves. */
import type { Platform } from '../platform.ts';

/** Most look around, some buy, a few have an old link. */
const PATHS = [
  '/',
  '/',
  '/',
  '/cart',
  '/cart',
  '/products/17',
  '/products/204',
  '/checkout',
  '/account',
  '/offers/spring',
];
const TICK_MS = 100;
/** Requests a second at the least, how many more at the most, and how long until it is as before. */
const CROWD = { least: 3, more: 11, periodMs: 240_000 };

/** They come until disposed. What one is refused, by a shop that is being changed, is part of the picture. */
export function visit(platform: Platform, host: string): Disposable {
  const began = performance.now();
  let due = 0;
  const timer = setInterval(() => {
    const phase = ((performance.now() - began) / CROWD.periodMs) * 2 * Math.PI;
    const perSecond = CROWD.least + (CROWD.more * (1 - Math.cos(phase))) / 2;
    due += (perSecond * TICK_MS * (0.6 + 0.8 * Math.random())) / 1_000;
    for (; due >= 1; due--) {
      const path = PATHS[Math.floor(Math.random() * PATHS.length)] ?? '/';
      platform.ask(host, path).catch(() => undefined);
    }
  }, TICK_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
