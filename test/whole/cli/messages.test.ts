// Goal: every code that the program can write is in docs/messages.md with what it means, and nothing else is. Codes of closed lists
// cannot be left out: the tables do not compile then; what is tested here is the rest, and that the page is the one of this program.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { logCodes } from '../../../src/gate/telemetry/log-codes.js';
import { exitCodes } from '../../../src/host/ports/machine.js';
import { projectRoot } from '../../kit/plain/root.js';

// From build/test/whole/cli to the project.
const root = projectRoot;
const { formatMessages }: { formatMessages: () => string } = await import(
  new URL('scripts/messages-page.mjs', root).href
);
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');
const sourcesOf = (folder: string): string[] =>
  readdirSync(new URL(`src/${folder}/`, root), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => read(`src/${folder}/${file}`));
const makers = ['gate', 'ship'];

/** Records of the journal and notices have an `event`, too. */
const ofRecords = new Set(['backend', 'dropped', 'lock', 'reload']);

void test('docs/messages.md is the page of this program (else: npm run build:test, node scripts/make-messages.mjs)', () => {
  const words = (text: string): string => text.replaceAll(/\s+/g, ' ');
  assert.equal(words(read('docs/messages.md')), words(formatMessages()));
});

void test('each exit code is there, and no text is missing', () => {
  for (const code of Object.values(exitCodes))
    assert.match(formatMessages(), new RegExp(`^- \`${code}\`: `, 'm'));
  assert.doesNotMatch(formatMessages(), /undefined/);
});

void test('a code has one sentence, and one of what to do, in 360 characters at most', () => {
  const items = formatMessages().match(/^- `[^`]+`(?: \(|: ).*/gm) ?? [];
  assert.ok(items.length > 300);
  for (const text of items) {
    const [means = '', ask = ''] = text.split(' **Do:**');
    for (const part of [means, ask]) assert.doesNotMatch(part, /[^.]\. [A-Z`]/);
    assert.ok(text.length <= 360, text);
  }
});

void test('every event of the log that a source names is in the table, and every one of the table is named', () => {
  const writing = ['gate/telemetry', 'gate/daemon', 'page', 'rules/setup', 'ship']
    .flatMap(sourcesOf)
    .filter((text) => !/const (?:logCodes|unlimited)/.test(text));
  const named = new Set<string>();
  for (const text of writing) {
    for (const [, code = ''] of text.matchAll(/\bevent: '([a-z-]+)'/g)) {
      if (!ofRecords.has(code)) assert.ok(Object.hasOwn(logCodes, code), `${code} has no meaning`);
      named.add(code);
    }
  }
  // Of the engine's own list of kinds it does not follow that somebody makes them.
  const listed = /^interface Counted[^]*^export const isEngineEvent/m;
  const events = [...writing, ...makers.flatMap(sourcesOf)]
    .map((text) => text.replace(listed, ''))
    .join('\n');
  assert.doesNotMatch(events, /'session-closed'\n/);
  for (const code of Object.keys(logCodes)) assert.ok(events.includes(`'${code}'`), `nothing writes ${code}`);
  assert.ok(named.size > 30);
});

void test('the levels of the table are those of the makers', () => {
  let seen = 0;
  const meanings: Readonly<Record<string, readonly [levels: readonly string[], ...rest: unknown[]]>> =
    logCodes;
  const line = /(?:event|kind): '([a-z-]+)',\s+level: '([a-z]+)'/g;
  for (const text of makers.flatMap(sourcesOf)) {
    for (const [, code = '', level = ''] of text.matchAll(line)) {
      assert.ok(meanings[code]?.[0].includes(level), `${code} is of level ${level}`);
      seen += 1;
    }
  }
  assert.ok(seen > 60, String(seen));
});
