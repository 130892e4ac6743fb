// The lexer tells code from comments, strings, templates and regular expressions.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LexFault, lex } from './lexer.js';
import { filesBelow, textOf } from './project.js';

const words = (source: string): string[] =>
  lex(source)
    .tokens.filter(({ kind }) => kind === 'name')
    .map(({ text }) => text);
const regexes = (source: string): string[] =>
  lex(source)
    .tokens.filter(({ kind }) => kind === 'regex')
    .map(({ text }) => text);

void test('comments and strings hold no names', () => {
  assert.deepEqual(words("#!/usr/bin/env x\na // b\n/* c\n d */ e \"f\" 'g' '\\' h' \"i // j\""), ['a', 'e']);
});

void test('templates hold names in their substitutions only, however deep', () => {
  assert.deepEqual(words('`a ${b} c ${`d ${e({ f: "}" })} g`} h` + i'), ['b', 'e', 'f', 'i']);
  assert.deepEqual(words('`\\${a} \\` ${b}`'), ['b']);
});

void test('a slash divides or opens a regular expression', () => {
  assert.deepEqual(regexes('x = /a[/"]b\\/c/giu.test(y)'), ['/a[/"]b\\/c/giu']);
  assert.deepEqual(regexes("return /'/; f(/a/, !/b/); [/c/]; x => /d/"), ["/'/", '/a/', '/b/', '/c/', '/d/']);
  assert.deepEqual(regexes('if (a) /b/.test(c)'), ['/b/']);
  assert.deepEqual(regexes('function f() {} /b/.test(c)'), ['/b/']);
  for (const source of [
    'a / b / c',
    '(a) / b / c',
    'a[0] / b / c',
    '1 / b / c',
    'x.return / b / c',
    'i++ / b / c',
  ])
    assert.deepEqual(regexes(source), [], source);
  assert.deepEqual(regexes('({ a: 1 }) / b / c; x = { a: 1 } / b / c'), []);
});

void test('lines and the comment before a token are told', () => {
  const { tokens } = lex('a\n/* one\n two */\n`x\n${b}\n`\n// c\nd e');
  const told = tokens
    .filter(({ kind }) => kind === 'name')
    .map(({ text, line, comment }) => [text, line, comment]);
  assert.deepEqual(told, [
    ['a', 1, undefined],
    ['b', 5, undefined],
    ['d', 8, '// c'],
    ['e', 8, undefined],
  ]);
});

void test('numbers, optional calls and ternaries', () => {
  const { tokens } = lex('a?.b; c?.5:1e-3+0x_ff.d; #p ** ...e');
  assert.deepEqual(
    tokens.map(({ text }) => text).join(' '),
    'a ?. b ; c ? .5 : 1e-3 + 0x_ff.d ; #p ** ... e',
  );
});

void test('what cannot be read is a fault with its line', () => {
  for (const source of [
    "a\n'b",
    'a\n`b',
    'a\n`${b',
    'a\n/* b',
    'a\n= /b',
    'a\n}',
    'a\n(',
    'a\n\\u0061',
    "a\n'b\n'",
  ])
    assert.throws(
      () => lex(source),
      (error) => error instanceof LexFault && error.line >= 2,
      source,
    );
});

void test('every TypeScript file of the project can be read', () => {
  const paths = [...filesBelow('src'), ...filesBelow('test')].filter((path) => path.endsWith('.ts'));
  assert.ok(paths.length > 5);
  for (const path of paths) assert.doesNotThrow(() => lex(textOf(path)), path);
});
