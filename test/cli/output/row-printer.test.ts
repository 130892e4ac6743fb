// Goal: rows look as the real doveadm prints them. The texts are those of doveadm 2.4.1, for the same cells.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../../src/bounds/bounds.js';
import { CommandFault } from '../../../src/cli/output/output.js';
import { createRowPrinter, type Format, type PrintOptions } from '../../../src/cli/output/row-printer.js';
import { shapeOf } from '../../../src/domain/meaning/columns.js';

const quota = shapeOf('table', 'root=Quota~name type=Type value=Value> limit=Limit> percent=%>');
const cells = ['User quota', 'STORAGE', '5707', '10240', '55', 'User quota', 'MESSAGE', '5', '-', '0'];

function printed(
  options: Partial<PrintOptions>,
  given: readonly (string | Buffer)[] = cells,
  shape = quota,
): string {
  const pieces: (Buffer | string)[] = [];
  const printer = createRowPrinter(
    shape,
    { format: undefined, width: undefined, hidesTitles: false, hasUsers: false, ...options },
    (piece) => pieces.push(piece),
  );
  printer.setUser('alice@example.org');
  for (const cell of given) printer.cell(Buffer.from(cell), true);
  printer.end();
  return Buffer.concat(pieces.map((piece) => Buffer.from(piece))).toString();
}

const texts: readonly [Format, string][] = [
  [
    'tab',
    'Quota name\tType\tValue\tLimit\t%\nUser quota\tSTORAGE\t5707\t10240\t55\nUser quota\tMESSAGE\t5\t-\t0\n',
  ],
  [
    'table',
    'Quota name Type    Value Limit                         %\n' +
      'User quota STORAGE  5707 10240                        55\n' +
      'User quota MESSAGE     5     -                         0\n',
  ],
  [
    'flow',
    'Quota name=User quota Type=STORAGE Value=5707 Limit=10240 %=55\n' +
      'Quota name=User quota Type=MESSAGE Value=5 Limit=- %=0\n',
  ],
  [
    'json',
    '[{"root":"User quota","type":"STORAGE","value":"5707","limit":"10240","percent":"55"},' +
      '{"root":"User quota","type":"MESSAGE","value":"5","limit":"-","percent":"0"}]',
  ],
  [
    'pager',
    'Quota name: User quota\nType: STORAGE\nValue: 5707\nLimit: 10240\n%: 55\n' +
      '\f\nQuota name: User quota\nType: MESSAGE\nValue: 5\nLimit: -\n%: 0\n',
  ],
];

for (const [format, text] of texts) {
  test(`${format}: rows`, () => assert.equal(printed({ format }), text));
}

test('without rows: the names, or nothing', () => {
  assert.equal(printed({ format: 'tab' }, []), 'Quota name\tType\tValue\tLimit\t%\n');
  assert.equal(printed({ format: 'json' }, []), '[]');
  assert.equal(printed({ format: 'flow' }, []), '');
  assert.equal(printed({ format: 'pager' }, []), '');
  assert.equal(printed({ format: 'tab' }, [], shapeOf('flow', '')), '\n');
  assert.equal(printed({}, [], shapeOf('flow', '')), '');
});

test('-h leaves the names out', () => {
  assert.equal(printed({ format: 'tab', hidesTitles: true }).split('\n').length, 3);
  assert.equal(printed({ format: 'table', hidesTitles: true }).split('\n').length, 3);
});

test('with users, each row begins with one', () => {
  assert.match(
    printed({ format: 'tab', hasUsers: true }),
    /^Username\tQuota name.*\nalice@example\.org\tUser quota\t/,
  );
  assert.match(printed({ format: 'flow', hasUsers: true }), /^alice@example\.org Quota name=/);
  assert.match(printed({ format: 'json', hasUsers: true }), /^\[\{"username":"alice@example\.org","root"/);
});

test('a long value leaves as it comes, and stands below its name in a pager', () => {
  const shape = shapeOf('pager', 'uid text');
  const long = `${'x'.repeat(8_200)}\nend\n`;
  const pieces: string[] = [];
  const printer = createRowPrinter(
    shape,
    { format: undefined, width: undefined, hidesTitles: false, hasUsers: false },
    (piece) => pieces.push(piece.toString()),
  );
  printer.cell(Buffer.from('1'), true);
  printer.cell(Buffer.from(long.slice(0, 8_192)), false);
  assert.ok(pieces.join('').startsWith('uid: 1\ntext:\nxxx'));
  printer.cell(Buffer.from(long.slice(8_192)), true);
  printer.end();
  assert.equal(pieces.join(''), `uid: 1\ntext:\n${long}`);
});

test('JSON escapes as Dovecot does, and has no bytes that are no UTF-8', () => {
  const cell = Buffer.concat([Buffer.from('q"\\/\b\f\x1b\x7f\u2028\ud83d\ude00'), Buffer.of(0xed, 0xa0)]);
  assert.equal(
    printed({ format: 'json' }, [cell], shapeOf('flow', 'a')),
    '[{"a":"q\\"\\\\/\\b\\f\\u001B\x7f\\u2028\ud83d\ude00\ufffd\ufffd"}]',
  );
  assert.equal(printed({ format: 'json' }, ['7'], shapeOf('tab', 'size#')), '[{"size":7}]');
});

test('a template prints cells where they are named', () => {
  const shape = shapeOf('formatted', 'count', '%{count} connections kicked\n');
  assert.equal(printed({}, ['3'], shape), '3 connections kicked\n');
});

test('a table is as wide as the terminal, makes room from the right, and widens what expands', () => {
  const wide = shapeOf('table', 'path+ name');
  assert.equal(
    printed({ width: 40 }, ['/a', 'b'], wide),
    `path${' '.repeat(15)} name\n/a${' '.repeat(17)} b   \n`,
  );
  const shape = shapeOf('table', 'a b');
  const rows = ['1', 'x'.repeat(50), '2', 'y'];
  assert.equal(
    printed({ width: 30 }, rows, shape),
    `a b${' '.repeat(27)}\n1 ${'x'.repeat(50)}\n2 y${' '.repeat(27)}\n`,
  );
});

// bounds.tableRows
test('the widths of a table come from its first hundred rows', () => {
  const shape = shapeOf('table', 'n m');
  const rows = Array.from({ length: 250 }, (_, n) => [n === 200 ? 'longer' : String(n), 'x']).flat();
  const lines = printed({ hidesTitles: true }, rows, shape).split('\n');
  assert.equal(lines.length, 251);
  assert.match(lines[99] ?? '', /^99 x/);
  assert.match(lines[200] ?? '', /^longer x/);
});

test('a long value with line ends is no table', () => {
  const printer = createRowPrinter(
    shapeOf('table', 'text'),
    { format: 'table', width: undefined, hidesTitles: false, hasUsers: false },
    () => undefined,
  );
  assert.throws(() => printer.cell(Buffer.from(`${'x'.repeat(9_000)}\n`), false), CommandFault);
});

test('cells of unknown columns are lines', () => {
  const pieces: string[] = [];
  const printer = createRowPrinter(
    undefined,
    { format: undefined, width: undefined, hidesTitles: false, hasUsers: false },
    (piece) => pieces.push(piece.toString()),
  );
  for (const cell of ['a', 'b']) printer.cell(Buffer.from(cell), true);
  printer.end();
  assert.equal(pieces.join(''), 'a\nb\n');
});

for (const [format, shape] of [
  ['table', shapeOf('table', 'text')],
  ['formatted', shapeOf('formatted', 'text', '%{text}')],
] as const) {
  test(`${format}: values that must be held whole are held up to a limit`, () => {
    const printer = createRowPrinter(
      shape,
      {
        format: format === 'table' ? 'table' : undefined,
        width: undefined,
        hidesTitles: false,
        hasUsers: false,
      },
      () => undefined,
    );
    const piece = Buffer.alloc(1 << 20, 'x');
    const pieces = bounds.tableBytes / piece.length;
    for (let n = 0; n < pieces; n += 1) printer.cell(piece, false);
    assert.throws(() => printer.cell(piece, false), CommandFault);
  });
}

test('a table holds its first rows up to the same limit', () => {
  const printer = createRowPrinter(
    shapeOf('table', 'text'),
    { format: 'table', width: undefined, hidesTitles: false, hasUsers: false },
    () => undefined,
  );
  const cell = Buffer.alloc(1 << 20, 'x');
  const count = bounds.tableBytes / cell.length;
  for (let n = 0; n < count; n += 1) printer.cell(cell, true);
  assert.throws(() => printer.cell(cell, true), CommandFault);
});
