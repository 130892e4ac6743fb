// Goal: commands and parameters are found by their exact names, as the same frozen objects each time. What the tables hold is
// the business of data.test.ts.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  allEffects,
  allRoles,
  allSeries,
  commandNamed,
  commandsOf,
  createCommandSpotter,
  fetchFieldClass,
  listOfText,
  ownCommands,
  parameterNamed,
  resolveCommand,
  resolveOwnCommand,
  type Series,
  statusFields,
  strongerEffect,
  textOfList,
} from '../../../src/doveadm/commands/catalog.js';
import { lateFields } from '../../../src/doveadm/protocol/releases.js';
import { chunkings, cutAtRandom, seededRandom } from '../../kit/plain/chunkings.js';

void test('a command is found by its exact full name, and is the same object each time', () => {
  for (const series of allSeries) {
    for (const command of commandsOf(series)) {
      assert.equal(commandNamed(series, command.name), command);
      assert.equal(commandNamed(series, command.name.toUpperCase()), undefined);
      assert.equal(commandNamed(series, ` ${command.name}`), undefined);
      assert.deepEqual(command.words, command.name.split(' '));
    }
  }
  for (const name of ['', 'mailbox', 'mailbox  list', 'constructor', '__proto__'])
    assert.equal(commandNamed('2.3', name), undefined, name);
});

void test('each field of mailbox status that came with some minor has its place among the fields', () => {
  assert.ok(lateFields.size > 0);
  for (const field of lateFields) assert.ok(statusFields.includes(field), field);
});

void test('nobody can change what others judge by', () => {
  for (const series of allSeries) {
    assert.notEqual(commandsOf(series), commandsOf(series), "the list is the caller's own");
    for (const command of commandsOf(series)) {
      for (const part of [command, command.words, command.params, ...command.params]) {
        assert.ok(Object.isFrozen(part), command.name);
      }
    }
  }
});

void test('a parameter is found by its long name only', () => {
  const fetch = commandNamed('2.4', 'fetch');
  assert.ok(fetch);
  for (const parameter of fetch.params) assert.equal(parameterNamed(fetch, parameter.name), parameter);
  assert.equal(parameterNamed(fetch, 'u'), undefined);
  assert.equal(parameterNamed(fetch, 'toString'), undefined);
});

void test('a text positional and its list option name each other, and nothing else does', () => {
  const pairs = new Set<string>();
  for (const series of allSeries) {
    for (const command of commandsOf(series)) {
      for (const parameter of command.params) {
        const list = listOfText(command, parameter);
        if (list !== undefined) {
          assert.equal(textOfList(command, list), parameter);
          assert.equal(list.type, 'array');
          pairs.add(`${command.name}: ${list.name}`);
        }
        const text = textOfList(command, parameter);
        if (text !== undefined) assert.equal(listOfText(command, text), parameter);
      }
    }
  }
  assert.deepEqual([...pairs].toSorted(), [
    'fetch: field',
    'flags add: flag',
    'flags remove: flag',
    'flags replace: flag',
    'mailbox status: field',
  ]);
});

void test('the stronger effect wins in either order', () => {
  for (const [at, weaker] of allEffects.entries()) {
    for (const stronger of allEffects.slice(at)) {
      assert.equal(strongerEffect(weaker, stronger), stronger);
      assert.equal(strongerEffect(stronger, weaker), stronger);
    }
  }
});

void test('every role but one is that of a parameter of some series', () => {
  const used = new Set<string | undefined>(
    allSeries.flatMap((series) => commandsOf(series).flatMap(({ params }) => params.map(({ role }) => role))),
  );
  const unused = allRoles.filter((role) => !used.has(role));
  assert.deepEqual(unused, ['args']);
});

test('every command is found by every splitting of its name', () => {
  for (const series of allSeries) {
    for (const { name, words } of commandsOf(series)) {
      for (let cut = 0; cut < 2 ** (words.length - 1); cut += 1) {
        let line = words[0] ?? '';
        for (let index = 1; index < words.length; index += 1) {
          line += `${(cut & (1 << (index - 1))) === 0 ? ' ' : '\t'}${words[index]}`;
        }
        const found = resolveCommand(series, [...line.split('\t'), '-x', name]);
        assert.equal(found?.command.name, name);
        assert.deepEqual(found?.args, ['-x', name]);
      }
    }
  }
});

const nothing: { series?: Series; words: string[]; why: string }[] = [
  { words: [], why: 'no word' },
  { words: [''], why: 'an empty word' },
  { words: ['', 'who'], why: 'an empty word in front' },
  { words: ['mailbox'], why: 'only the beginning of a name' },
  { words: ['mailbox cache'], why: 'only the beginning of a name' },
  { words: [' who'], why: 'a leading blank' },
  { words: ['who '], why: 'a trailing blank' },
  { words: ['mailbox ', 'list'], why: 'a blank at the cut' },
  { words: ['mailbox', ' list'], why: 'a blank behind the cut' },
  { words: ['mail', 'box list'], why: 'a cut inside a word' },
  { words: ['whoami'], why: 'a name that goes on' },
  { words: ['quota', 'get\0'], why: 'a NUL behind' },
  { words: ['constructor'], why: 'a word of the language we are written in' },
  { words: ['__proto__'], why: 'a word of the language we are written in' },
  { series: '2.4', words: ['batch', '-', 'fetch'], why: 'gone in 2.4' },
  { series: '2.3', words: ['stats reopen'], why: 'new in 2.4' },
];

for (const { series, words, why } of nothing) {
  test(`no command: ${JSON.stringify(words)}: ${why}`, () => {
    for (const one of series === undefined ? allSeries : [series])
      assert.equal(resolveCommand(one, words), undefined);
  });
}

test("our own commands are no server's, however they are spelled", () => {
  for (const { name, words } of ownCommands) {
    for (const line of [
      [name, 'x'],
      [...words, 'x'],
    ]) {
      assert.equal(resolveOwnCommand(line)?.command.name, name);
      assert.deepEqual(resolveOwnCommand(line)?.args, ['x']);
      for (const series of allSeries) assert.equal(resolveCommand(series, line), undefined);
    }
  }
  for (const line of [
    ['dovegate'],
    ['dovegate', 'status'],
    ['Dovegate', 'can'],
    ['dovegate  can'],
    ['quota', 'get'],
  ])
    assert.equal(resolveOwnCommand(line), undefined);
});

test('the word is reserved: no server has a command that begins with it', () => {
  for (const series of allSeries)
    assert.deepEqual(
      commandsOf(series).filter(({ words }) => words[0] === 'dovegate'),
      [],
    );
});

test('fields that tell of the mail as an object', () => {
  const names =
    'user mailbox mailbox-guid seq uid guid flags modseq size.physical size.virtual date.received date.sent date.saved';
  const more =
    'date.received.unixtime date.sent.unixtime date.saved.unixtime pop3.uidl pop3.order refcount storageid';
  for (const series of allSeries) {
    for (const field of `${names} ${more}`.split(' '))
      assert.equal(fetchFieldClass(series, field), 'plain', field);
  }
});

test('fields that show what it says', () => {
  const names =
    'hdr body body.preview body.snippet text text.utf8 imap.envelope imap.body imap.bodystructure hdr.subject hdr.x-spam';
  const more =
    'hdr.from.address hdr.to.address_name.utf8 hdr.subject.utf8 body.1 body.1.2.mime body.header body.text binary.1';
  const edges =
    'hdr.! hdr.- hdr./ hdr.9 hdr.; hdr.~ hdr.x.address_name binary.header binary.text binary.10.2.30.text body.1.header';
  for (const series of allSeries) {
    for (const field of `${names} ${more} ${edges}`.split(' '))
      assert.equal(fetchFieldClass(series, field), 'content', field);
  }
  assert.equal(fetchFieldClass('2.4', 'mime.parts'), 'content');
});

test('fields that end the process of a server', () => {
  const names = [
    ...'|bogus|UID|hdr.|hdr.subject.|hdr.subject.bogus|hdr.a b|hdr.a:b|hdr.ü|body.|body.0x'.split('|'),
    ...'body.1.'.split('|'),
  ];
  for (const field of [
    ...names,
    ...'body.mime|binary.mime|binary|xhdr.a|hdr.a\x7f|hdr.a.utf8.address|xbody.1|body.a'.split('|'),
    ...'body.1x|body.x1|body..1|body.1..2|body.1.2.|body.1.2x|body.1.mimex|body.1.xmime'.split('|'),
    ...'body.1.2.bogus|body.1.mime.1|body.headerx|body.textx|header.1|size|date|uid\t'.split('|'),
    ...'uid\n|body.1\n|all|constructor|toString'.split('|'),
  ]) {
    for (const series of allSeries) assert.equal(fetchFieldClass(series, field), undefined, field);
  }
  assert.equal(fetchFieldClass('2.3', 'mime.parts'), undefined);
});

// Goal: no line gets by that would be a command if it were read from its middle. Phases: lines by hand; every command of the catalog at
// every cutting; any text, against the words of the rule. What must not happen: a text without such a line that is spotted for its length.
function isSpotted(chunks: readonly Buffer[]): boolean {
  const spotter = createCommandSpotter();
  return chunks.some((chunk) => spotter.spots(chunk));
}

// [a text, whether it is spotted]
const linesOfSpotter: readonly (readonly [string, boolean])[] = [
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
  // No name is as long as the blanks and letters before the escape.
  [`\t\t${'flct getcu'.repeat(2)}\x01`, false],
  [`${'word '.repeat(10_000)}\n\t${'word'.repeat(10_000)}\t\t\t\n`, false],
];

for (const [text, isOne] of linesOfSpotter) {
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
