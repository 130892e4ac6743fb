// Goal: what an outage or a drain has cost is whole over restarts, and where a part of it is not known, it says so; reloads and kills are
// there, with who did them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { notUpBefore } from '../../../../src/domain/records/story/cost.js';
import { foldIncidents, isTurn, type Turn } from '../../../../src/domain/records/story/incidents.js';
import { narrowIncident } from '../../../../src/page/now-answers.js';

const mail1 = { event: 'backend', backend: 'mail1' } as const;
const down = { ...mail1, action: 'down', error: 'no-such-code' };
const drain = { event: 'operator', action: 'drain', backend: 'mail1', by: 'anna', outcome: 'ok' };
const enable = { ...drain, action: 'enable' };
const stop = { event: 'stop' };
const start = { event: 'start', last_seq: 7 };

/** Of records a second apart. */
function textsOf(records: readonly Readonly<Record<string, unknown>>[]): readonly string[] {
  const turns = records.map((record, at) => ({
    record: { time: `2026-11-28T10:00:${String(at).padStart(2, '0')}.000Z`, ...record },
  }));
  return foldIncidents(turns)
    .filter(({ kind }) => kind !== 'restarted')
    .map(({ text }) => text);
}

const paid = (action: string, count: number, requesters: number) => ({ action, count, requesters });

void test('an outage: over by itself, by a restart, by a crash', () => {
  assert.deepEqual(textsOf([down]), ['mail1 is down.']);
  assert.deepEqual(textsOf([down, { ...mail1, ...paid('up', 12, 2) }]), [
    'mail1 was down. 12 commands of 2 requesters failed.',
  ]);
  assert.deepEqual(textsOf([down, { ...mail1, ...paid('stop', 1, 1) }, stop, start]), [
    'mail1 was down. 1 command of 1 requester failed. dovegate was restarted before it was up again.',
  ]);
  const cut = 'dovegate was restarted before it was up again.';
  assert.deepEqual(textsOf([down, start]), [
    `mail1 was down. No commands failed, as far as was recorded before dovegate crashed or was killed. ${cut}`,
  ]);
  const cost = { ...mail1, ...paid('cost', 8, 2) };
  assert.deepEqual(textsOf([down, { ...mail1, ...paid('cost', 4, 1) }, cost]), [
    'mail1 is down. At least 8 commands of 2 requesters failed.',
  ]);
  assert.deepEqual(textsOf([down, cost, { ...mail1, ...paid('up', 12, 2) }]), [
    'mail1 was down. 12 commands of 2 requesters failed.',
  ]);
  assert.deepEqual(textsOf([down, cost, start]), [
    `mail1 was down. At least 8 commands of 2 requesters failed; not counted: what came from {2026-11-28T10:00:01.000Z} until dovegate crashed or was killed. ${cut}`,
  ]);
});

void test('what an outage or a drain has cost is told by requester, over restarts, and not to whom names are not shown', () => {
  const args = (...requesters: readonly string[]) => ({
    args: ['address=127.0.0.1', ...requesters.map((each) => `requester=${each}`)],
  });
  const by = { ...mail1, ...paid('up', 1_215, 3), ...args('anna@desk 1200', 'a b@desk 15') };
  const words = 'mail1 was down. 1,215 commands of 3 requesters failed.';
  assert.deepEqual(textsOf([down, by]), [
    `${words} By requester: anna@desk 1,200, a b@desk 15, and 1 other.`,
  ]);
  const cost = { ...mail1, ...paid('cost', 8, 2), ...args('bob@desk 7', 'anna@desk 1') };
  const [text = ''] = textsOf([down, cost, start, { ...down, reason: notUpBefore }, by]);
  assert.match(text, / By requester: anna@desk 1,201, a b@desk 15, bob@desk 7\./);
  const drained = { ...enable, ...paid('', 9, 1), action: 'enable', ...args('bob@desk 9') };
  const [row = assert.fail()] = foldIncidents([drain, drained].map((record) => ({ record })));
  assert.match(row.text, / By requester: bob@desk 9\.$/);
  assert.doesNotMatch(JSON.stringify(narrowIncident(row)), /bob/);
});

void test('a backend that is stuck, and at last down, is one incident since its commands hang', () => {
  const stuck = { ...mail1, action: 'stuck', error: 'no-such-code', duration_ms: 12_000 };
  const words = 'stuck, with commands that hung and new connections that failed';
  assert.deepEqual(textsOf([stuck]), [`mail1 is ${words}.`]);
  const [row, ...more] = foldIncidents([
    { record: { time: '2026-11-28T10:00:12.000Z', ...stuck } },
    { record: { time: '2026-11-28T10:00:20.000Z', ...down } },
    { record: { time: '2026-11-28T10:00:40.000Z', ...mail1, ...paid('up', 3, 1) } },
  ]);
  assert.deepEqual(
    [row, more],
    [
      {
        kind: 'down',
        backend: 'mail1',
        since: '2026-11-28T10:00:00.000Z',
        until: '2026-11-28T10:00:40.000Z',
        text: 'mail1 was down. 3 commands of 1 requester failed.',
      },
      [],
    ],
  );
  assert.deepEqual(textsOf([stuck, { ...mail1, ...paid('up', 0, 0) }]), [
    `mail1 was ${words}. No commands failed.`,
  ]);
});

void test('a backend that was stuck when dovegate crashed or was killed: what had failed by then, and what had not ended there', () => {
  const time = '2026-11-28T10:00:12.000Z';
  const stuck = { time, ...mail1, action: 'stuck', error: 'dial-timeout', duration_ms: 12_000 };
  const left = ['mail1', 'mail2', 'mail1'].map((backend, at) => ({ id: `E${at}`, backend }));
  const text = (...more: readonly Readonly<Record<string, unknown>>[]): string | undefined =>
    foldIncidents([
      ...[stuck, ...more].map((record) => ({ record })),
      { record: { time, ...start }, left },
    ]).find(({ kind }) => kind === 'stuck')?.text;
  const [was, cut] = [
    'mail1 was stuck, with commands that hung and new connections that failed.',
    '2 commands there had not ended when dovegate did. dovegate was restarted before it was up again.',
  ];
  assert.equal(
    text(),
    `${was} No commands failed, as far as was recorded before dovegate crashed or was killed. ${cut}`,
  );
  assert.equal(
    text({ time, ...mail1, ...paid('cost', 2, 1), error: 'dial-timeout' }),
    `${was} At least 2 commands of 1 requester failed; not counted: what came from {${time}} until dovegate crashed or was killed. ${cut}`,
  );
});

void test('an outage that a restart found again at its first attempt is one, and another one is another', () => {
  const at = (seconds: number): string => `2026-11-28T15:08:${seconds}.000Z`;
  const stuck = { time: at(30), ...mail1, action: 'stuck', duration_ms: 12_000 };
  const crash = {
    record: { time: at(39), ...start },
    before: at(38),
    left: [{ id: 'E1', backend: 'mail1' }],
  };
  const again = { time: at(46), ...down, text: 'no greeting', reason: notUpBefore };
  const up = { time: at(50), ...mail1, ...paid('up', 72, 6) };
  const of = (...turns: readonly Turn[]): readonly unknown[] =>
    foldIncidents(turns)
      .filter(({ kind }) => kind !== 'restarted')
      .map(({ kind, since, until, text }) => [kind, since, until, text]);
  const told = (verb: string, count: string): string =>
    `mail1 ${verb} down: no greeting.${count} 1 command there had not ended when dovegate did. dovegate was restarted meanwhile.`;
  const lost = '; not counted: what came last before dovegate crashed or was killed.';
  assert.deepEqual(of({ record: stuck }, crash, { record: again }), [
    ['down', at(18), undefined, told('is', '')],
  ]);
  const whole = of({ record: stuck }, crash, { record: again }, { record: up });
  const some = ` At least 72 commands of 6 requesters failed${lost}`;
  assert.deepEqual(whole, [['down', at(18), at(50), told('was', some)]]);
  const other = of({ record: stuck }, crash, { record: { ...again, reason: undefined } }, { record: up });
  assert.deepEqual(
    other.map((row) => Array.isArray(row) && row.slice(0, 3)),
    [
      ['down', at(46), at(50)],
      ['stuck', at(18), at(39)],
    ],
  );
  const quiet = { record: { time: at(45), ...start }, before: at(44) };
  assert.equal(
    of({ record: stuck }, crash, quiet, { record: again }).length,
    2,
    'the run between is not known',
  );
});

void test('a drain has the cost of each run', () => {
  const sofar = { ...mail1, ...paid('stop', 40, 3), error: 'backend-drained' };
  assert.deepEqual(textsOf([drain]), ['mail1 is drained by anna.']);
  assert.deepEqual(textsOf([drain, { ...enable, ...paid('enable', 0, 0) }]), [
    'mail1 was drained by anna. No command was refused.',
  ]);
  assert.deepEqual(textsOf([drain, sofar, stop, start]), [
    'mail1 is drained by anna. At least 40 commands of 3 requesters were refused, and nothing of them was sent.',
  ]);
  assert.deepEqual(textsOf([drain, sofar, stop, start, { ...enable, ...paid('enable', 2, 1) }]), [
    'mail1 was drained by anna. 42 commands of at least 3 requesters were refused, and nothing of them was sent.',
  ]);
  assert.deepEqual(textsOf([drain, start, { ...enable, ...paid('enable', 1, 1) }]), [
    'mail1 was drained by anna. At least 1 command of 1 requester was refused, and nothing of it was sent; not counted: what came last before dovegate crashed or was killed.',
  ]);
  const before = { ...mail1, ...paid('cost', 16, 2), error: 'backend-drained' };
  assert.deepEqual(textsOf([drain, before, start, { ...enable, ...paid('enable', 1, 1) }]), [
    'mail1 was drained by anna. At least 17 commands of at least 2 requesters were refused, and nothing of them was sent; not counted: what came from {2026-11-28T10:00:01.000Z} until dovegate crashed or was killed.',
  ]);
  // What an outage has cost is none of it.
  assert.deepEqual(textsOf([drain, down, { ...mail1, ...paid('stop', 9, 9) }, stop, start]).toSorted(), [
    'mail1 is drained by anna.',
    'mail1 was down. 9 commands of 9 requesters failed. dovegate was restarted before it was up again.',
  ]);
});

void test('a start that did not take its file says so, and to a limited view without the words of the file', () => {
  const time = '2026-11-28T10:00:00.000Z';
  const reason = 'dovegate.yaml:3:1: no backend "x"';
  for (const [before, words] of [
    [[{ time, ...stop }], 'dovegate was stopped and started again.'],
    [[], 'dovegate crashed or was killed, and was started again.'],
  ] as const) {
    const [row = assert.fail('none')] = foldIncidents(
      [...before, { time, ...start, reason }].map((record) => ({ record })),
    );
    assert.equal(
      row.text,
      `${words} Its file has problems (${reason}): what was served before is served again.`,
    );
    const narrow = narrowIncident(row);
    assert.equal(narrow.text, `${words} Its file has problems: what was served before is served again.`);
    assert.equal(narrow.reason, undefined);
  }
});

void test('a reload, one that was refused, a kill: when, by whom, and why; what was not done, or may not have been, is none', () => {
  const time = '2026-11-28T10:00:00.000Z';
  const reload = { time, event: 'operator', action: 'reload', by: 'SIGHUP' };
  const text = 'the configuration is not replaced: dovegate.yaml:3:1: no backend "x"';
  const killed = { id: 'E1', to: 'bob@support', command: 'expunge', duration_ms: 20_100 };
  const kill = { ...reload, action: 'kill', by: 'anna', ...killed };
  const file = '/etc/dovegate/dovegate.yaml: of uid 0';
  const records = [
    reload,
    { time, event: 'reload', args: [file] },
    { ...reload, outcome: 'ok' },
    { ...reload, by: 'root', outcome: 'failed', text },
    kill,
    { ...kill, outcome: 'ok' },
    { ...kill, outcome: 'failed' },
    { ...drain, time, outcome: undefined },
    { ...drain, time, outcome: 'failed' },
  ];
  // What began last comes first: the command was killed after 20 s.
  const inOrder = (one: { readonly text?: unknown }, other: { readonly text?: unknown }): number =>
    ['refused', 'replaced', 'killed'].findIndex((word) => String(one.text).includes(word)) -
    ['refused', 'replaced', 'killed'].findIndex((word) => String(other.text).includes(word));
  const rows = foldIncidents(records.filter(isTurn).map((record) => ({ record })));
  assert.deepEqual(
    rows.map(({ since = '', until, ...row }) => [
      until === time && Date.parse(time) - Date.parse(since),
      row,
    ]),
    [
      {
        kind: 'reloaded',
        by: 'SIGHUP',
        files: [file],
        text: `The configuration was replaced by a reload by SIGHUP. Changed: ${file}.`,
      },
      {
        kind: 'not reloaded',
        by: 'root',
        reason: 'dovegate.yaml:3:1: no backend "x"',
        text: 'A reload by root was refused, and the configuration before it stayed: dovegate.yaml:3:1: no backend "x".',
      },
      {
        kind: 'killed',
        by: 'anna',
        left: [
          { id: 'E1', command: 'expunge', effect: undefined, principal: 'bob@support', backend: undefined },
        ],
        text: 'A command was killed by anna after 20 s.',
      },
    ]
      .toSorted(inOrder)
      .map((row) => [row.kind === 'killed' ? 20_100 : 0, row]),
  );
  assert.deepEqual(
    rows.map((row) => narrowIncident(row)).map(({ text: shown, left }) => [shown, left]),
    [
      ['The configuration was replaced by a reload by an operator.', undefined],
      ['A reload by an operator was refused, and the configuration before it stayed.', undefined],
      ['A command was killed by an operator after 20 s.', undefined],
    ].toSorted(([one], [other]) => inOrder({ text: one }, { text: other })),
  );
  assert.equal(
    'files' in narrowIncident(rows.find(({ kind }) => kind === 'reloaded') ?? assert.fail()),
    false,
  );
  // Nothing had changed, and a restart with another file.
  assert.deepEqual(textsOf([{ event: 'reload' }, { ...reload, outcome: 'ok' }]), [
    'The configuration was replaced by a reload by SIGHUP. No file had changed.',
  ]);
  const [restart] = foldIncidents([{ record: { ...start, time, args: [file] } }]);
  assert.equal(restart?.text, `dovegate crashed or was killed, and was started again. Changed: ${file}.`);
});

void test('what goes on comes first, and then what began last', () => {
  const at = (minute: number): string => `2026-11-28T10:0${minute}:00.000Z`;
  const rows = foldIncidents(
    [
      { time: at(0), ...down },
      { time: at(1), ...down, backend: 'mail2' },
      { time: at(2), ...mail1, ...paid('up', 3, 1) },
      { time: at(3), ...drain, backend: 'mail3' },
      { time: at(4), ...down },
      { time: at(5), ...mail1, ...paid('up', 3, 1) },
    ].map((record) => ({ record })),
  );
  assert.deepEqual(
    rows.map(({ backend, since, until }) => [backend, since?.slice(14, 16), until?.slice(14, 16)]),
    [
      ['mail3', '03', undefined],
      ['mail2', '01', undefined],
      ['mail1', '04', '05'],
      ['mail1', '00', '02'],
    ],
  );
});

void test('after a crash: from when on nothing was counted, and what was lost', () => {
  const time = '2026-11-28T10:00:00.000Z';
  const cost = { time: '2026-11-28T10:00:07.000Z', ...mail1, ...paid('cost', 68, 2) };
  const rows = foldIncidents([
    ...[{ time, ...down }, cost].map((record) => ({ record })),
    { record: { time: '2026-11-28T10:00:09.000Z', ...start }, before: '2026-11-28T10:00:08.000Z', left: [] },
  ]);
  assert.deepEqual(
    rows.map(({ text }) => text),
    [
      'dovegate crashed or was killed, and was started again. No command was lost: none was under way.',
      'mail1 was down. At least 68 commands of 2 requesters failed; not counted: what came from {2026-11-28T10:00:07.000Z} until dovegate crashed or was killed. dovegate was restarted before it was up again.',
    ],
  );
});
