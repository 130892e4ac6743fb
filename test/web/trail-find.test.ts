// Pages of a search, and files of what it finds: asked for until there is something to show, whole or not at all.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AskTrail, TrailLine } from '../../src/domain/page/trail.js';
import { formatCsvHeader } from '../../src/domain/trail/export.js';
import type { Api } from '../../src/web/api.js';
import { collectFile, csvHeader, fileNameOf, findMore, pageRows } from '../../src/web/trail-find.js';

function scripted(answers: readonly (readonly TrailLine[])[]): {
  api: Pick<Api, 'lines'>;
  asked: [string, unknown][];
} {
  const asked: [string, unknown][] = [];
  const left = [...answers];
  const api = {
    async *lines<T>(endpoint: string, { body }: { readonly body?: unknown } = {}) {
      asked.push([endpoint, body]);
      // Through JSON, as from the daemon.
      for (const line of left.shift() ?? assert.fail('asked too often')) {
        const value: T = JSON.parse(JSON.stringify(line));
        yield value;
      }
    },
  };
  return { api, asked };
}

const { signal } = new AbortController();
const row = (admittedSeq: number): TrailLine => ({ row: { fields: {}, admittedSeq } });
const filter: AskTrail['filter'] = { user: 'alice' };
const onChange = (): void => undefined;

void test('a search goes on by itself where nothing was found yet, and stops with a full page', async () => {
  const full = Array.from({ length: pageRows }, (_, at) => row(1_000 - at));
  const { api, asked } = scripted([
    [{ end: { rows: 0, before: 5_000 } }],
    [row(4_000), { end: { rows: 1, before: 3_000 } }],
    [...full.slice(1), { end: { rows: 49, before: 900 } }],
  ]);
  const found = await findMore({ api, filter, signal, onChange }, undefined);
  assert.equal(found.rows.length, pageRows);
  assert.equal(found.before, 900);
  assert.deepEqual(
    asked.map(([, body]) => Object(body).newest),
    [{ rows: 50 }, { before: 5_000, rows: 50 }, { before: 3_000, rows: 49 }],
  );
});

void test('where nothing is found at all, names like the one that was meant are asked for', async () => {
  const { api, asked } = scripted([
    [{ end: { rows: 0 } }],
    [{ end: { rows: 0, surveyed: { names: ['alice@example.org'] } } }],
  ]);
  const found = await findMore({ api, filter, signal, onChange }, undefined);
  assert.deepEqual(found.meant, ['alice@example.org']);
  assert.deepEqual(
    asked.map(([endpoint]) => endpoint),
    ['POST /api/trail/search', 'POST /api/trail/survey'],
  );
  const without = scripted([[{ end: { rows: 0 } }]]);
  await findMore({ api: without.api, filter: {}, signal, onChange }, undefined);
});

void test('an answer without its end is no answer', async () => {
  await assert.rejects(
    findMore({ api: scripted([[row(1)]]).api, filter, signal, onChange }, undefined),
    /ended too early/,
  );
  await assert.rejects(
    collectFile({ api: scripted([[{ line: 'x' }]]).api, filter, signal, onRows: onChange }, 'csv'),
    /ended too early/,
  );
});

void test('a file has all parts: CSV with one header, JSON lines, extracts with their signatures', async () => {
  const cursor = { after: 9, open: [7] };
  const parts = (): readonly (readonly TrailLine[])[] => [
    [
      { line: 'a' },
      { line: 'b' },
      { end: { rows: 2, cursor } },
      { signed: { head: 'H', signature: 'S' }, notes: ['# n'] },
    ],
    [{ line: 'c' }, { end: { rows: 1 } }, { signed: { head: 'I', signature: 'T' }, notes: ['# n'] }],
  ];
  const textOf = async (form: 'csv' | 'json' | 'extract'): Promise<string> => {
    const { api, asked } = scripted(parts());
    const saved = await collectFile({ api, filter, signal, onRows: onChange }, form);
    assert.deepEqual([saved.rows, saved.isWhole], [3, true]);
    assert.deepEqual(asked[1]?.[1], { filter, as: form === 'csv' ? 'csv' : 'json', cursor });
    return saved.texts.join('');
  };
  assert.equal(csvHeader, formatCsvHeader());
  assert.equal(await textOf('csv'), `${csvHeader}\r\na\r\nb\r\nc\r\n`);
  assert.equal(await textOf('json'), 'a\nb\nc\n');
  assert.equal(await textOf('extract'), '# n\n@ H\n* a\n* b\n! S\n# n\n@ I\n* c\n! T\n');
  const unsigned = scripted([[{ line: 'a' }, { end: { rows: 1 } }]]);
  await assert.rejects(
    collectFile({ api: unsigned.api, filter, signal, onRows: onChange }, 'extract'),
    /not signed/,
  );
});

void test('the name of a file holds nothing of a path', () => {
  const name = fileNameOf('../mail 1/\u202e', 'csv', Date.parse('2026-11-21T22:00:00Z'));
  assert.equal(name, 'dovegate-.._mail_1__-trail-2026-11-21.csv');
});
