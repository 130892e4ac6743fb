// Goal: no line gets by that would be a command if it were read from its middle. Phases: lines by hand; every command of the catalog at every
// cutting; any text, against the words of the rule. What must not happen: a text without such a line that is spotted for its length.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  allSeries,
  commandsOf,
  createCommandSpotter,
  resolveCommand,
} from '../../../src/domain/commands/catalog.js';
import { chunkings, cutAtRandom, seededRandom } from '../../kit/chunkings.js';

function isSpotted(chunks: readonly Buffer[]): boolean {
  const spotter = createCommandSpotter();
  return chunks.some((chunk) => spotter.spots(chunk));
}

// [a text, whether it is spotted]
const lines: readonly (readonly [string, boolean])[] = [
  ['some words\tbob\tkick\n', true],
  ['some words\tbob\tmailbox delete\tINBOX\n', true],
  ['some words\tbob\tmailbox\tdelete\tINBOX\r\n', true],
  ['\t\tkick\r\n', true],
  ['x\tproxy-ttl=1\tbob\tkick\n', true],
  ['a\tb\tc\td\te\twho\0more', true],
  ['a\tb\tki\x01ck\tc\n', true],
  ['\tbob\tkicks\n', false],
  ['\tbob\tKICK\n', false],
  ['\tbob kick\n\tkick\n', false],
  ['kick\tkick\n', false],
  ['a\tb\n\tkick\n', false],
  ['a\tb\n\n\nkick\tc\nkick', false],
  [`${'word '.repeat(10_000)}\n\t${'word'.repeat(10_000)}\t\t\t\n`, false],
];

for (const [text, isOne] of lines) {
  void test(`${JSON.stringify(text.slice(0, 40))}: ${isOne ? 'spotted' : 'let by'}, however it is cut`, () => {
    for (const { name, chunks } of chunkings(Buffer.from(text.slice(0, 300), 'latin1'))) {
      assert.equal(isSpotted(chunks), isOne, name);
    }
    assert.equal(isSpotted([Buffer.from(text, 'latin1')]), isOne);
  });
}

void test('every command of every series', () => {
  for (const series of allSeries) {
    for (const { name } of commandsOf(series)) {
      for (const end of ['\n', '\r\n', '\t--\n', ' x\n']) {
        assert.ok(isSpotted([Buffer.from(`words\tbob\t${name}${end}`)]), name);
      }
    }
  }
});

void test('what is let by names no command to a server that begins anywhere', () => {
  const words = ['\t', '\n', 'kick', 'mailbox', ' ', 'delete', 'x', 'D', '\x01', '\r', '\0', 'bob', 'word'];
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...words), { maxLength: 40 }), fc.integer(), (parts, seed) => {
      const text = parts.join('');
      if (isSpotted(cutAtRandom(Buffer.from(text), seededRandom(seed)))) return;
      for (const line of text.split('\n').slice(0, -1)) {
        const fields = (line.split('\0')[0] ?? '').split('\t');
        for (let at = 2; at < fields.length; at += 1) {
          const rest = fields.slice(at).map((field) => field.replaceAll(/\x01(.?)/gs, '$1'));
          for (const series of allSeries)
            assert.equal(resolveCommand(series, rest), undefined, JSON.stringify(line));
        }
      }
    }),
    { numRuns: 3000 },
  );
});
