// Goal: what readings.test.ts and the tables of mistakes do not show of sections that stand for themselves.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { recordedBytesMax } from '../../../src/rules/config/parse-sections.js';
import { timerMsMax } from '../../../src/rules/config/schema-parts.js';
import { settingsOf, sound, told } from './sound.js';

void test('half of the memory of records holds the records of the longest line, whatever was asked for', () => {
  for (const [line, kib] of [
    ['1KiB', 1],
    ['64KiB', 64],
    ['878KiB', 878],
  ] as const) {
    const { audit } = settingsOf(
      `${sound}audit: { directory: audit, memory_size: 64KiB }\nlimits: { line: ${line} }\n`,
    );
    assert.ok((audit.memoryBytes - 4096) / 2 >= recordedBytesMax(kib * 1024), line);
  }
});

void test('the longest timer is one that Node can set', () => {
  assert.equal(timerMsMax, 0x7fffffff);
});

void test('another receiver is another configuration, another line for the same one is not', () => {
  const hashOf = (text: string): string => settingsOf(`${sound}audit: { ship: [${text}] }`).hash;
  const hash = hashOf('{ syslog: "a.example.com:1" }');
  assert.equal(settingsOf(`${sound}audit:\n  ship:\n    - syslog: a.example.com:1\n`).hash, hash);
  assert.notEqual(hashOf('{ syslog: "a.example.com:2" }'), hash);
});

// bounds.shipReceivers
void test('records have so many receivers', () => {
  const text = (count: number): string =>
    `${sound}audit: { ship: [${Array.from({ length: count }, (_, at) => `{ syslog: "logs${at}:6514" }`).join(', ')}] }\n`;
  assert.equal(settingsOf(text(bounds.shipReceivers)).audit.ship.length, bounds.shipReceivers);
  assert.match(told(text(bounds.shipReceivers + 1)).join(), /audit\.ship: must hold at most 16 receivers/);
});
