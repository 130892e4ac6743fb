// Goal: addresses, and the end of keys; all else of a listener is in the tables of readings and mistakes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSettings } from '../../../src/rules/config/parse-settings.js';
import { formatProblem } from '../../../src/rules/config/problem.js';
import { formatListenerSocket } from '../../../src/rules/config/settings.js';
import { hashKey, keyBytes, makeKey } from '../../../src/rules/keys/key.js';
import { withJobs } from './jobs.js';
import { memoryFiles, settingsOf, sound } from './sound.js';

void test('addresses, and how they are shown', () => {
  for (const [written, shown] of [
    ['127.0.0.1:1', 'tcp:127.0.0.1:1'],
    ['[::]:24246', 'tcp:[::]:24246'],
    ['[2001:DB8::1]:65535', 'tcp:[2001:db8::1]:65535'],
    ['Gate.example.com:24246', 'tcp:gate.example.com:24246'],
  ]) {
    const [, jobs] = settingsOf(withJobs(`tcp: "${written}"`)).listeners;
    assert.equal(jobs && formatListenerSocket(jobs.socket), shown);
  }
});

// What must not happen: a key that stands in a configuration is shown.
const keyText = makeKey(Buffer.alloc(keyBytes, 5));
const first = hashKey(keyText);

/** Keys of a listener that speaks HTTP. */
const withKeys = (keys: string): string =>
  sound.replace(
    'backends:',
    `  panel:\n    keys: { ${keys} }\n    protocol: http\n    tls: { certificate: c, key: k }\n    tcp: "0.0.0.0:8443"\nbackends:`,
  );

void test('a key that was written instead of its hash is told, and not shown', () => {
  const file = '/etc/dovegate/d.yaml';
  const text = withKeys(`a: { hash: ${keyText}, policy: support }`);
  const { problems } = parseSettings(file, memoryFiles({ [file]: text }));
  const lines = problems.map((problem) => formatProblem(problem, text)).join('\n');
  assert.match(lines, /5:18: .*keys\.a\.hash: is a key itself, which must not stand here/);
  assert.ok(!lines.includes(keyText), lines);
  assert.ok(!lines.includes(keyText.slice(13, 56)), lines);
});

/** Warnings on 2026-06-01. */
function warnings(text: string): string[] {
  const file = '/etc/dovegate/d.yaml';
  const files = memoryFiles({ [file]: withKeys(text) });
  const { problems } = parseSettings(file, files, { nowMs: Date.UTC(2026, 5, 1) });
  return problems.map(({ column, severity, path, message, code }) => {
    assert.equal(code, 'key-expiry');
    return `${column}: ${severity} ${path.replace('listeners.panel.keys.', '')}: ${message}`;
  });
}

void test('what is told of the end of a key, and when', () => {
  const expiring = (day: string): string[] =>
    warnings(`a: { hash: "${first}", policy: support, expires: ${day} }`);
  const at = '116: warning a.expires: ';
  const unending = ['13: warning a: never expires; add expires: DATE, within a year or so'];
  assert.deepEqual(warnings(`a: { hash: "${first}", policy: support }`), unending);
  assert.deepEqual(expiring('2026-05-31'), [`${at}is in the past: the key is refused`]);
  assert.deepEqual(expiring('2026-06-01T00:00:00Z'), [`${at}is in the past: the key is refused`]);
  const soon = (left: string): string[] => [`${at}the key expires in ${left}; add the hash of its successor`];
  assert.deepEqual(expiring('2026-06-01T23:59:59Z'), soon('less than a day'));
  assert.deepEqual(expiring('2026-06-01'), soon('1 day'));
  assert.deepEqual(expiring('2026-06-13'), soon('13 days'));
  assert.deepEqual(expiring('2026-06-14'), []);
  assert.deepEqual(expiring('2027-05-31'), []);
  assert.deepEqual(expiring('2027-07-05'), []);
  const far = `${at}is more than 400 days away; a key should be replaced before`;
  assert.deepEqual(expiring('2027-07-06'), [far]);
  const two = `[{ hash: "${first}", until: 2026-05-31 }, { hash: "${hashKey('second')}" }]`;
  const past = ['108: warning a.hash[0].until: is in the past: this hash is refused, and can be removed'];
  assert.deepEqual(warnings(`a: { hash: ${two}, policy: support, expires: 2027-01-01 }`), past);
});
