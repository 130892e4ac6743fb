import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allSeries, commandsOf, type Series } from '../../../src/doveadm/commands/catalog.js';
import { parseArguments } from '../../../src/doveadm/commands/parse.js';
import { canonicalArguments, canonicalWords } from '../../../src/doveadm/meaning/canonical.js';
import { seededRandom } from '../../kit/plain/chunkings.js';
import { accept } from '../commands/reading.js';
import { randomValues, spell } from '../commands/spelling.js';

const rounds = 25 * Number(process.env['DOVEGATE_ROUNDS'] ?? 1);

for (const series of allSeries) {
  test(`${series}: however a command is spelled, its values are read, and its canonical form reads back to itself`, () => {
    const random = seededRandom(series === '2.3' ? 23 : 24);
    for (const command of commandsOf(series)) {
      for (let round = 0; round < rounds; round += 1) {
        const values = randomValues(random, command);
        const args = spell(random, command, values);
        const shown = `${command.name} ${JSON.stringify(args)}`;
        const parsed = parseArguments(series, command, args);
        if (parsed.kind === 'unparsable') assert.fail(`${shown}: ${parsed.message}`);
        assert.deepEqual(Object.fromEntries(parsed.values), Object.fromEntries(values), shown);
        const canonical = canonicalArguments(parsed);
        const again = parseArguments(series, command, canonical);
        if (again.kind === 'unparsable') assert.fail(`${shown}: ${again.message}`);
        assert.deepEqual([...again.values], [...parsed.values], shown);
        assert.deepEqual(canonicalArguments(again), canonical, shown);
      }
    }
  });
}

test('the canonical form always ends its options', () => {
  for (const series of allSeries) {
    for (const command of commandsOf(series)) {
      const parsed = parseArguments(
        series,
        command,
        spell(
          () => 0,
          command,
          randomValues(() => 0.9, command),
        ),
      );
      if (parsed.kind === 'parsed') assert.ok(canonicalArguments(parsed).includes('--'), command.name);
    }
  }
});

/** The canonical form with every secret word as a star. */
function hidden(series: Series, line: string[]): string {
  return canonicalWords(accept(series, line))
    .map((word) => (word.isSecret ? '*' : word.text))
    .join(' ');
}

const rows: [series: Series, line: string[], shown: string][] = [
  ['2.3', ['mailbox cryptokey password', '-n', 'new', '--old-password=old'], '-n * -o * --'],
  ['2.4', ['mailbox metadata set', 'INBOX', '/private/x', 'v'], '-- INBOX /private/x *'],
  ['2.4', ['mailbox metadata get', 'INBOX', '/private/x'], '-- INBOX /private/x'],
  ['2.4', ['fs put', '-m', 'a=b', 'f', 'in', 'out'], '-m * -- f in out'],
  ['2.4', ['backup', '-p', 'imapc_password=x', 'imapc:'], '-p * -- imapc:'],
  ['2.3', ['dict set', 'redis:host=x:password=y', 'priv/k', 'v'], '-- * priv/k *'],
  ['2.3', ['dict get', 'fs:posix:prefix=/etc/', 'shared/passwd'], '-- fs:posix:prefix=/etc/ shared/passwd'],
  ['2.4', ['user', '-x', 'rip=192.0.2.1', 'bob'], '-x * -- bob'],
  ['2.4', ['fts tokenize', 'dear', 'bob'], '-- * *'],
  [
    '2.3',
    ['search', 'mailbox', 'A', 'subject', 'raise', 'header', 'X-A', 'b', 'seen'],
    '-- mailbox A subject * header * * seen',
  ],
  ['2.4', ['search', '(', 'FROM', 'bob', 'or', 'uid', '5', ')'], '-- ( FROM * or uid 5 )'],
  ['2.4', ['copy', 'Dst', 'user', 'bob', 'text', 'text'], '-- Dst user bob text *'],
  ['2.4', ['fetch', 'uid hdr.subject', 'mailbox', 'A', 'body', 'x'], '-- uid hdr.subject mailbox A body *'],
  [
    '2.3',
    ['batch', ':', 'mailbox', 'metadata', 'set', 'A', '/k', 'v', ':', 'fetch', 'uid', 'all'],
    '-- : mailbox metadata set * * * * fetch uid all',
  ],
];

for (const [series, line, shown] of rows) {
  test(`${series}: ${line.join(' ')}`, () => assert.equal(hidden(series, line), shown));
}

test('the words are the arguments', () => {
  const parsed = accept('2.4', ['stats add', 'n', 'f', '--fields', 'x']);
  const texts = canonicalWords(parsed).map((word) => word.text);
  assert.deepEqual(texts, canonicalArguments(parsed));
});

test('a secret that is an option has a word of its own, so that hiding it leaves the option', () => {
  const secretRoles = ['secret', 'setting-override', 'auth-info', 'value', 'metadata-value', 'text'];
  for (const series of allSeries) {
    for (const { name, params } of commandsOf(series)) {
      for (const parameter of params) {
        if (!secretRoles.includes(parameter.role ?? '')) continue;
        assert.ok(parameter.isPositional || parameter.short !== undefined, `${name} ${parameter.name}`);
      }
    }
  }
});
