import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { allSeries, type Command, commandsOf, type Series } from '../../../src/doveadm/commands/catalog.js';
import { parseArguments } from '../../../src/doveadm/commands/parse.js';
import { canonicalArguments } from '../../../src/doveadm/meaning/canonical.js';
import { pick, type Random, seededRandom } from '../../kit/plain/chunkings.js';
import { serverSees } from './reference.js';
import { randomValues, spell } from './spelling.js';

const rounds = 40 * Number(process.env['DOVEGATE_ROUNDS'] ?? 1);

/** Words that two readers could take for different things, and the options of the command in every shape. */
function oddWord(random: Random, command: Command): string {
  const { name, short } =
    command.params.length === 0 ? { name: 'x', short: 'x' } : pick(random, command.params);
  return pick(random, [
    ...'-|--||---|all|mailbox|user|USER|source-user|uid|7'.split('|'),
    '+5',
    ' 5',
    '0x10',
    '5k',
    `--${name}`,
    `--${name}=`,
    `--${name}=7`,
    `--${name}=--`,
    `--${name.slice(0, 1 + Math.floor(random() * name.length))}`,
    `--${name.slice(0, 3)}=x`,
    `--${name.toUpperCase()}`,
    `-${short ?? 'x'}`,
    `-${short ?? 'x'}7`,
    `-${short ?? 'x'}-`,
    `-A${short ?? 'x'}`,
    `-u${short ?? 'x'}`,
    `-${short ?? 'x'}${short ?? 'x'}`,
    `-W`,
    `-ü`,
  ]);
}

/** A legal line that is then cut, doubled, mixed and mutilated. */
function hostileLine(random: Random, command: Command): string[] {
  const line = random() < 0.7 ? spell(random, command, randomValues(random, command)) : [];
  const changes = Math.floor(random() * 4);
  for (let change = 0; change < changes; change += 1) {
    const at = Math.floor(random() * (line.length + 1));
    const kind = random();
    if (kind < 0.4) line.splice(at, 0, oddWord(random, command));
    else if (kind < 0.6) line.splice(at, 1);
    else if (kind < 0.75) line.splice(at, 1, oddWord(random, command));
    else if (kind < 0.9) line.splice(at, 0, ...line.slice(Math.floor(random() * line.length)).slice(0, 2));
    else line.reverse();
  }
  return line;
}

function compare(series: Series, command: Command, line: string[]): 'agreed' | 'refused' {
  const shown = `${series} ${command.name} ${JSON.stringify(line)}`;
  const parsed = parseArguments(series, command, line);
  if (parsed.kind === 'unparsable') return 'refused';
  const seen = serverSees(series, command, line);
  if (seen === 'usage') assert.fail(`accepted, but the server would not: ${shown}`);
  assert.deepEqual(Object.fromEntries(parsed.values), Object.fromEntries(seen), shown);
  const canonical = canonicalArguments(parsed);
  const sent = serverSees(series, command, canonical);
  if (sent === 'usage') assert.fail(`the canonical form is not taken: ${shown}`);
  assert.deepEqual(Object.fromEntries(sent), Object.fromEntries(seen), shown);
  return 'agreed';
}

for (const series of allSeries) {
  test(`${series}: wherever a line is accepted, a second reader sees the same values, in it and in its canonical form`, () => {
    const random = seededRandom(series === '2.3' ? 2300 : 2400);
    const count = { agreed: 0, refused: 0 };
    for (const command of commandsOf(series)) {
      for (let round = 0; round < rounds; round += 1) {
        count[compare(series, command, hostileLine(random, command))] += 1;
      }
    }
    // Neither half may be empty, or nothing was compared.
    assert.ok(count.agreed > commandsOf(series).length * rounds * 0.2, JSON.stringify(count));
    assert.ok(count.refused > commandsOf(series).length * rounds * 0.2, JSON.stringify(count));
  });
}

test('the second reader reads the tricks that the first refuses', () => {
  const command = commandsOf('2.4').find((one) => one.name === 'quota get');
  assert.ok(command);
  assert.deepEqual(serverSees('2.4', command, ['--all']), new Map([['all-users', ['true']]]));
  assert.deepEqual(serverSees('2.4', command, ['-u', 'a', '--user=b']), new Map([['user', ['b']]]));
  assert.deepEqual(serverSees('2.4', command, ['--use', 'a']), 'usage');
  const file = new Map([['user-file', ['/etc/passwd']]]);
  assert.deepEqual(serverSees('2.4', command, ['--user-f=/etc/passwd']), file);
  assert.equal(parseArguments('2.4', command, ['--all']).kind, 'unparsable');
});

test('any words give values or a refusal that repeats none of them, and the canonical form of what is taken stays the same', () => {
  const words = fc.array(
    fc.oneof(
      fc.string({ unit: 'binary', maxLength: 12 }),
      fc.constantFrom('--', '-u', '-A', 'all', 'mailbox'),
    ),
  );
  for (const series of allSeries) {
    const runs = { seed: 7, numRuns: 1500 * Number(process.env['DOVEGATE_ROUNDS'] ?? 1) };
    fc.assert(
      fc.property(fc.constantFrom(...commandsOf(series)), words, (command, args) => {
        const parsed = parseArguments(series, command, args);
        if (parsed.kind === 'unparsable') {
          for (const arg of args) if (/[^\0-~]/.test(arg)) assert.equal(parsed.message.includes(arg), false);
          return;
        }
        const again = parseArguments(series, command, canonicalArguments(parsed));
        assert.equal(again.kind, 'parsed');
        if (again.kind === 'parsed') assert.deepEqual([...again.values], [...parsed.values]);
      }),
      runs,
    );
  }
});
