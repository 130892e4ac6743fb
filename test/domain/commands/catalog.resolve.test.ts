import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  allSeries,
  commandsOf,
  ownCommands,
  resolveCommand,
  resolveOwnCommand,
  type Series,
} from '../../../src/domain/commands/catalog.js';

test('a name may come whole or in any pieces', () => {
  const lines: string[][] = [
    ['mailbox cache purge', '--', 'INBOX'],
    ['mailbox', 'cache', 'purge', '--', 'INBOX'],
    ['mailbox cache', 'purge', '--', 'INBOX'],
    ['mailbox', 'cache purge', '--', 'INBOX'],
  ];
  for (const series of allSeries) {
    for (const words of lines) {
      const found = resolveCommand(series, words);
      assert.equal(found?.command.name, 'mailbox cache purge');
      assert.deepEqual(found?.args, ['--', 'INBOX']);
    }
  }
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
  { words: ['mailbox', '', 'list'], why: 'an empty word inside' },
  { words: ['mailbox'], why: 'only the beginning of a name' },
  { words: ['mailbox cache'], why: 'only the beginning of a name' },
  { words: ['mailbox  list'], why: 'two blanks' },
  { words: [' who'], why: 'a leading blank' },
  { words: ['who '], why: 'a trailing blank' },
  { words: ['mailbox ', 'list'], why: 'a blank at the cut' },
  { words: ['mailbox', ' list'], why: 'a blank behind the cut' },
  { words: ['Mailbox', 'list'], why: 'upper case' },
  { words: ['mailboxList'], why: 'the name as HTTP spells it' },
  { words: ['mailbox-list'], why: 'the name as HTTP spells it' },
  { words: ['mailbox', 'lis'], why: 'an abbreviation' },
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
  assert.deepEqual(
    ownCommands.map(({ name }) => name),
    ['dovegate can', 'dovegate explain', 'dovegate dry-run'],
  );
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
