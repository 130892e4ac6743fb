// Goal: what the tables of readings and mistakes do not show of sections that stand for themselves.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { recordedBytesMax } from '../../../src/rules/config/parse-sections.js';
import { parseSettings } from '../../../src/rules/config/parse-settings.js';
import { timerMsMax } from '../../../src/rules/config/schema-parts.js';
import { memoryFiles, parse, settingsOf, sound, told } from './sound.js';

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

void test('a mistake in `tests` is told to a person who checks, and stops no gate', () => {
  const text = `${sound}tests:
  - { listener: suport, command: [quota, get], expect: allow }
  - { listener: support, command: [quota, get], expect: allow, as: { account: panel } }
  - { prove: policy suport may only read }
  - { prove: nobody may do more than before }
  - { prove: policy support may only read }
`;
  assert.deepEqual(told(text), [
    '13:7: tests[0].listener: there is no listener "suport"; did you mean support?',
    '14:5: tests[1]: names an account, and listener support has none: the kernel says who asks there',
    '15:7: tests[2].prove: there is no policy "suport"; did you mean support?',
    '16:7: tests[3].prove: needs two configurations: dovegate prove --against FILE decides it',
  ]);
  assert.deepEqual(parseSettings('d.yaml', memoryFiles({ 'd.yaml': text })).problems, []);
});

// Goal: no receivers are as none were, and there are so many; all else of them is in the tables of readings and mistakes.

const read = (notices: string) => {
  const { settings, problems } = parse(`${sound}${notices}\n`);
  return { hash: settings?.hash, problems: problems.map(({ path, message }) => `${path}: ${message}`) };
};

void test('a configuration without receivers has the hash that it had before there were any', () => {
  assert.equal(read('notices: {}').hash, read('').hash);
  assert.notEqual(read('notices: { c: { webhook: "http://[::1]:1/", format: text } }').hash, read('').hash);
});

// bounds.noticeReceivers
void test('notices have so many receivers', () => {
  const many = Array.from(
    { length: bounds.noticeReceivers + 1 },
    (_, at) => `c${at}: { webhook: "http://127.0.0.1/x${at}", format: text }`,
  );
  const tooMany = read(`notices: { ${many.join(', ')} }`).problems.join();
  assert.match(tooMany, /^notices: must hold at most 8 receivers/);
  assert.deepEqual(read(`notices: { ${many.slice(1).join(', ')} }`).problems, []);
});
