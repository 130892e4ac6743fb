// Goal: a problem reads as FILE:LINE:COLUMN and points at the source.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatProblem, type Problem, ProblemList } from '../../../src/rules/config/problem.js';

const problem: Problem = {
  file: 'd.yaml',
  line: 2,
  column: 5,
  path: 'a.b',
  message: 'is wrong',
  severity: 'error',
  code: 'invalid-value',
};

void test('one line without the source, three with it', () => {
  assert.equal(formatProblem(problem), 'd.yaml:2:5: a.b: is wrong');
  const warned = 'd.yaml:2:5: warning: a.b: is wrong\n    abc defg\n        ^';
  assert.equal(formatProblem({ ...problem, severity: 'warning' }, 'x\nabc defg\n'), warned);
  assert.equal(formatProblem({ ...problem, path: '', line: 9 }, 'x\n'), 'd.yaml:9:5: is wrong');
  const beyond = 'd.yaml:2:99: a.b: is wrong\n    abc\n       ^';
  assert.equal(formatProblem({ ...problem, column: 99 }, 'x\nabc\n'), beyond);
});

void test('control characters of the source do not reach the terminal', () => {
  const shown = formatProblem({ ...problem, line: 1, column: 3 }, '\x1b[31m\u202e\tx');
  assert.ok(!/[\x1b\u202e\t]/.test(shown));
  assert.ok(shown.endsWith('\n      ^'));
});

void test('a long line is cut around the caret', () => {
  const text = `${'a'.repeat(500)}HERE${'b'.repeat(500)}`;
  const [, source, caret] = formatProblem({ ...problem, line: 1, column: 501 }, text).split('\n');
  assert.ok(source !== undefined && caret !== undefined && source.length <= 110);
  assert.equal(source.indexOf('HERE'), caret.indexOf('^'));
});

void test('a password of a URL is not shown', () => {
  for (const written of [
    'store: https://u:secretpw@s3.example.com/trail',
    'store: "https://u:secret/pw@x@s3.example.com/a,https://secretpw@s3.example.net"',
  ])
    for (const column of [1, 7, 14, 30, 99]) {
      const shown = formatProblem({ ...problem, line: 1, column }, written);
      assert.ok(!shown.includes('secret') && /:\/\/\.\.\.@s3/.test(shown), shown);
    }
  const plain = 'store: https://s3.example.com/trail # to anna@example.com';
  assert.ok(formatProblem({ ...problem, line: 1 }, plain).includes(plain));
});

void test('problems come in the order of the file, each once', () => {
  const list = new ProblemList();
  const place = (line: number, column: number) => ({ file: 'd.yaml', line, column });
  list.warning(place(2, 1), '', 'b');
  list.error(place(1, 9), '', 'a');
  list.error(place(1, 2), '', 'c');
  list.error(place(1, 2), 'other', 'c');
  const messages = list.sorted().map((each) => each.message);
  assert.deepEqual(messages, ['c', 'a', 'b']);
  assert.equal(list.hasErrors, true);
});
