// Goal: that a key ends is told two weeks before, once a day, and what is served of keys is shown with their use.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { watchKeys } from '../../../src/gate/daemon/keys.js';
import { KeyUses } from '../../../src/gate/login/key-uses.js';
import type { DaemonEvent } from '../../../src/gate/telemetry/log.js';
import { createFakeClock } from '../../kit/plain/fake-clock.js';
import { settingsOf, sound } from '../../rules/config/sound.js';

const dayMs = 86_400_000;
const hash = (digit: string): string => `sha256$${digit.repeat(64)}`;

/** The clock stands at 2026-01-02T03:04:05Z. */
function listenersWith(keys: string) {
  const panel = `  panel: { tcp: "0.0.0.0:8443", protocol: http, tls: { certificate: c, key: k }, keys: { ${keys} } }\nbackends:`;
  return settingsOf(sound.replace('backends:', panel)).listeners;
}

void test('told at once, each day, until it is replaced; by its name and listener', async () => {
  const clock = createFakeClock();
  const told: string[] = [];
  let listeners = listenersWith(
    `a: { hash: "${hash('a')}", policy: support, expires: 2026-01-17T03:04:05Z }, b: { hash: "${hash('b')}", policy: support }, c: { hash: "${hash('c')}", policy: support, expires: 2026-01-01 }`,
  );
  const report = ({ event, level, key, listener, text }: DaemonEvent): void => {
    told.push(`${event} ${level} ${key}@${listener}: ${text}`);
  };
  const watch = watchKeys({ clock, report, listeners: () => listeners, uses: new KeyUses() });
  const turn = async (days: number): Promise<string[]> => {
    for (let hours = 0; hours < days * 24; hours += 1) await clock.advance(dayMs / 24);
    return told.splice(0);
  };
  assert.deepEqual(await turn(0), ['key-expires error c@panel: key c has expired']);
  const again = await turn(1);
  assert.deepEqual(again, ['key-expires error c@panel: key c has expired']);
  listeners = listeners.map((each) => ({ ...each, keys: each.keys.filter(({ name }) => name !== 'c') }));
  assert.deepEqual(await turn(1), ['key-expires warn a@panel: key a expires in 13 days']);
  assert.equal((await turn(12)).at(-1), 'key-expires warn a@panel: key a expires in 1 day');
  assert.deepEqual(await turn(1), ['key-expires warn a@panel: key a expires in less than a day']);
  assert.deepEqual(await turn(1), ['key-expires error a@panel: key a has expired']);
  watch.end();
  assert.equal(clock.timers, 0);
});

void test('what is shown', () => {
  const clock = createFakeClock();
  const uses = new KeyUses();
  const listeners = listenersWith(
    `a: { hash: "${hash('a')}", policy: support, expires: 2026-06-30 }, b: { hash: "${hash('b')}", policy: support }`,
  );
  const watch = watchKeys({ clock, report: () => undefined, listeners: () => listeners, uses });
  uses.used('panel', 'b', 5000, '192.0.2.7');
  uses.refused('panel', 'b', 6000, '192.0.2.7');
  const common = { listener: 'panel', policy: 'support' };
  const expiresMs = Date.UTC(2026, 6, 1);
  assert.deepEqual(watch.shown(), [
    {
      ...common,
      name: 'a',
      expiresMs,
      leftMs: expiresMs - clock.wallMs(),
      lastUsedMs: undefined,
      failures: 0,
    },
    { ...common, name: 'b', expiresMs: undefined, leftMs: undefined, lastUsedMs: 5000, failures: 1 },
  ]);
  watch.end();
});
