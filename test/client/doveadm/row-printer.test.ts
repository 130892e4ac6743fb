// Goal: each format can be read by whoever reads that of the real doveadm, also where a reply broke off or a value is long.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRowPrinter, type Format, type PrintOptions } from '../../../src/client/doveadm/row-printer.js';
import { shapeOf } from '../../../src/doveadm/meaning/columns.js';
import { CommandFault } from '../../../src/host/output/output.js';

const quota = shapeOf('table', 'root=Quota~name type=Type value=Value> limit=Limit> percent=%>');
const plain: PrintOptions = { format: undefined, hidesTitles: false, hasUsers: false };
const cells = ['User quota', 'STORAGE', '5707', '10240', '55', 'User quota', 'MESSAGE', '5', '-', '0'];

function printed(
  options: Partial<PrintOptions>,
  given: readonly (string | Buffer)[] = cells,
  shape = quota,
): string {
  const pieces: (Buffer | string)[] = [];
  const printer = createRowPrinter(shape, { ...plain, ...options }, (piece) => pieces.push(piece));
  printer.setUser('alice@example.org');
  for (const cell of given) printer.cell(Buffer.from(cell), true);
  printer.end();
  return Buffer.concat(pieces.map((piece) => Buffer.from(piece))).toString();
}

const texts: Readonly<Record<Format, string>> = {
  tab: 'Quota name\tType\tValue\tLimit\t%\nUser quota\tSTORAGE\t5707\t10240\t55\nUser quota\tMESSAGE\t5\t-\t0\n',
  table: `Quota name Type    Value Limit  %
User quota STORAGE  5707 10240 55
User quota MESSAGE     5     -  0
`,
  flow: `Quota name=User quota Type=STORAGE Value=5707 Limit=10240 %=55
Quota name=User quota Type=MESSAGE Value=5 Limit=- %=0
`,
  json:
    '[{"root":"User quota","type":"STORAGE","value":"5707","limit":"10240","percent":"55"},' +
    '{"root":"User quota","type":"MESSAGE","value":"5","limit":"-","percent":"0"}]',
  pager:
    'Quota name: User quota\nType: STORAGE\nValue: 5707\nLimit: 10240\n%: 55\n' +
    '\f\nQuota name: User quota\nType: MESSAGE\nValue: 5\nLimit: -\n%: 0\n',
};

for (const format of ['tab', 'table', 'flow', 'json', 'pager'] as const)
  test(`${format}: rows`, () => assert.equal(printed({ format }), texts[format]));

test('without rows: the names, or nothing', () => {
  assert.equal(printed({ format: 'tab' }, []), 'Quota name\tType\tValue\tLimit\t%\n');
  assert.equal(printed({ format: 'json' }, []), '[]');
  assert.equal(printed({ format: 'flow' }, []), '');
  assert.equal(printed({ format: 'pager' }, []), '');
  assert.equal(printed({ format: 'tab' }, [], shapeOf('flow', '')), '');
  assert.equal(printed({}, [], shapeOf('flow', '')), '');
});

test('-h leaves the names out', () => {
  assert.equal(printed({ format: 'tab', hidesTitles: true }).split('\n').length, 3);
  assert.equal(printed({ format: 'table', hidesTitles: true }).split('\n').length, 3);
});

test('with users, each row begins with one', () => {
  const tab = printed({ format: 'tab', hasUsers: true });
  assert.match(tab, /^Username\tQuota name.*\nalice@example\.org\tUser quota\t/);
  assert.match(printed({ format: 'flow', hasUsers: true }), /^alice@example\.org Quota name=/);
  assert.match(printed({ format: 'json', hasUsers: true }), /^\[\{"username":"alice@example\.org","root"/);
});

test('a long value leaves as it comes, in the form of a short one', () => {
  const longs = (format: Format): string => {
    const pieces: string[] = [];
    const take = (piece: Buffer | string): void => void pieces.push(piece.toString());
    const printer = createRowPrinter(shapeOf('pager', 'uid text'), { ...plain, format }, take);
    for (let row = 0; row < 2; row += 1) {
      printer.cell(Buffer.from('1'), true);
      printer.cell(Buffer.from('a\n'), false);
      assert.ok(pieces.join('').includes('a') || format === 'table');
      printer.cell(Buffer.from('b'), true);
    }
    printer.end();
    return pieces.join('');
  };
  assert.equal(longs('pager'), 'uid: 1\ntext: a\nb\n\f\nuid: 1\ntext: a\nb\n');
  assert.equal(longs('flow'), 'uid=1 text=a\nb\nuid=1 text=a\nb\n');
  assert.equal(longs('json'), '[{"uid":"1","text":"a\\nb"},{"uid":"1","text":"a\\nb"}]');
});

test('JSON has no bytes that are no UTF-8', () => {
  const cell = Buffer.concat([Buffer.from('q"\\/\b\f\x1b\x7f\u2028\ud83d\ude00'), Buffer.of(0xed, 0xa0)]);
  const [{ a }] = JSON.parse(printed({ format: 'json' }, [cell], shapeOf('flow', 'a')));
  assert.equal(a, 'q"\\/\b\f\x1b\x7f\u2028\ud83d\ude00\ufffd\ufffd');
  assert.equal(printed({ format: 'json' }, ['7'], shapeOf('tab', 'size#')), '[{"size":7}]');
});

test('a template prints cells where they are named', () => {
  const shape = shapeOf('formatted', 'count', '%{count} connections kicked\n');
  assert.equal(printed({}, ['3'], shape), '3 connections kicked\n');
});

test('a column of a table is as wide as its widest value, and an empty value is a dash', () => {
  const shape = shapeOf('table', 'a b c');
  const rows = ['1', 'x'.repeat(50), 'y', 'long', '', 'z'];
  const lines = `a    b${' '.repeat(49)} c\n1    ${'x'.repeat(50)} y\nlong -${' '.repeat(49)} z\n`;
  assert.equal(printed({}, rows, shape), lines);
});

for (const [format, shape] of [
  ['table', shapeOf('table', 'text')],
  ['formatted', shapeOf('formatted', 'text', '%{text}')],
] as const) {
  test(`${format}: values that must be held whole are held up to a limit`, () => {
    const options = { ...plain, format: format === 'table' ? format : undefined };
    const printer = createRowPrinter(shape, options, () => undefined);
    const piece = Buffer.alloc(1 << 20, 'x');
    const pieces = (16 * 1024 ** 2) / piece.length;
    for (let n = 0; n < pieces; n += 1) printer.cell(piece, false);
    assert.throws(() => printer.cell(piece, false), CommandFault);
  });
}
