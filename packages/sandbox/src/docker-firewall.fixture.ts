/** Run in a network namespace that an engine has made rules in: prints what a sandbox hears from outside, and what is left of us in the end. */
import { execFileSync } from 'node:child_process';
import { defaultEgress } from './egress-chains.ts';
import { anOutside, dialFrom, listenIn, open } from './networks.fixture.ts';

const rules = (): string[] =>
  execFileSync('iptables', ['--list-rules', 'DOCKER-USER'], { encoding: 'utf8' }).split('\n').filter(Boolean);

const before = rules();
const outside = await anOutside();
const listening = await listenIn(outside.name, 80);
const opened = await open({ nameServers: [] });
const { name } = await opened.networks.lease(defaultEgress);
const heard = await dialFrom(name, outside.address, 80);
await opened[Symbol.asyncDispose]();
await listening[Symbol.asyncDispose]();
console.log(JSON.stringify({ heard, before, after: rules() }));
