// Goal: `audit verify --socket` says what the daemon found, and an answer that breaks off is never a passed check.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { auditVerifyAsked } from '../../../src/evidence/cli/audit-verify.js';
import type { Verified } from '../../../src/evidence/views/proof.js';
import { CommandFault } from '../../../src/host/output/output.js';
import { openStandIn } from '../../whole/cli/stand-in.js';
import { keepScreen } from './shown.js';

const result: Verified = {
  at: '2026-11-20T08:00:00.000Z',
  by: 'eve',
  isWhole: true,
  fromSeq: 1,
  toSeq: 9,
  fromTime: '2026-11-20T07:00:00.000Z',
  toTime: '2026-11-20T07:59:00.000Z',
  signedSeq: 8,
  signedBy: 'KEY=',
  records: 9,
  faultCount: 0,
  findings: [{ kind: 'note', text: '1 newer record \u202e is chained' }],
};

async function verify(t: TestContext, pieces: readonly string[], status = 200, flags: object = {}) {
  const asked: string[] = [];
  const socket = await openStandIn(t, (request, response) => {
    asked.push(`${request.method} ${request.url}`);
    response.writeHead(status);
    for (const piece of pieces) response.write(piece);
    response.end();
  });
  const screen = keepScreen();
  let nowMs = 0;
  const clock = { now: () => (nowMs += 3_000) };
  const places = { config: undefined, paths: [], socket };
  const code = await auditVerifyAsked(screen, places, { key: [], ...flags }, clock);
  return { code, asked, socket, lines: screen.lines(), complaints: screen.complaints() };
}

function event(name: string, data: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

const half = event('progress', { bytes: 5, ofBytes: 10, seq: 4 });

void test('a whole journal: what was checked, in words and as JSON', async (t) => {
  const text = half + half + half + event('result', result);
  // Cut anywhere.
  const { code, asked, lines, socket, complaints } = await verify(t, [text.slice(0, 70), text.slice(70)]);
  assert.deepEqual([code, asked], [0, ['POST /page/verify']]);
  assert.deepEqual(lines, [
    `${socket}: 9 records, seq 1 to 9`,
    '  from 2026-11-20T07:00:00.000Z to 2026-11-20T07:59:00.000Z',
    '  note: 1 newer record \\u{202e} is chained',
    '  signed up to seq 8 by KEY=, the key of the daemon, as it says itself',
    'passed',
  ]);
  assert.equal(complaints, 'dovegate: 50 % is checked\n');
  const json = await verify(t, [text], 200, { json: true });
  assert.equal(JSON.parse(json.lines.join('')).isWhole, true);
});

void test('faults', async (t) => {
  const findings = [{ kind: 'fault', text: 'Record 5 was changed.' }] as const;
  const { code, lines } = await verify(t, [
    event('result', { ...result, isWhole: false, faultCount: 3, findings, signedSeq: undefined }),
  ]);
  assert.equal(code, 1);
  assert.deepEqual(lines.slice(2), ['  fault: Record 5 was changed.', 'failed: 3 faults']);
});

void test('what breaks off, is refused or is no dovegate, did not pass', async (t) => {
  const cases: readonly [readonly string[], number, RegExp, number][] = [
    [[half], 200, /is not the page of dovegate/, 69],
    [[half, event('result', result).slice(0, -1)], 200, /is not the page of dovegate/, 69],
    [['<html>'], 200, /is not the page of dovegate/, 69],
    [
      [half, event('failed', { text: 'the journal could not be read' })],
      200,
      /the journal could not be read/,
      69,
    ],
    [['a check is being made for bob\n'], 503, /a check is being made for bob/, 69],
    [['eve is nobody\n'], 403, /eve is nobody/, 77],
  ];
  for (const [pieces, status, expected, exitCode] of cases)
    await assert.rejects(
      verify(t, pieces, status),
      (fault) => fault instanceof CommandFault && fault.exitCode === exitCode && expected.test(fault.message),
    );
});

void test('options of files are refused', async (t) => {
  for (const flags of [
    { key: ['x'] },
    { from: 3 },
    { unsigned: true },
    { acceptKey: true },
    { received: true },
  ])
    await assert.rejects(verify(t, [], 200, flags), /the other options are for files/);
});
