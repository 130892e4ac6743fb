// Goal: an outage of 40 s, a drain, a restart of the gate and one of the page: an hour later the page says when each was, how long, why, by
// whom and what it has cost, from the journal alone; and to whom sees some mail users only, no name of an operator.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { JournalRecord } from '../../src/journal/records/record.js';
import { notUpBefore } from '../../src/journal/records/turns.js';
import type { Incidents } from '../../src/page/answers/history.js';
import type { PageCaller } from '../../src/page/http/page-request.js';
import { createIncidentsAnswers } from '../../src/page/incidents-answers.js';
import { createLooks } from '../../src/page/looks.js';
import { recordsOf, startMs, writeJournal } from '../evidence/reading/written-journal.js';
import { doorHead } from '../kit/gate/now.js';
import { openIncidents, viewer } from '../kit/gate/page-incidents.js';
import { createFakeClock } from '../kit/plain/fake-clock.js';
import { openFolder } from '../kit/plain/folder.js';
import { held, locked, unlocked } from '../kit/plain/lock-records.js';

const limited: PageCaller = { name: 'lim', roles: ['audit'], users: ['*@example.org'], from: [] };
const hourMs = 3_600_000;
const second = 1_000;

/** Among many commands: an outage, a drain, a restart, a crash, and what has not ended. */
function past(atMs: number): readonly JournalRecord[] {
  const records: readonly JournalRecord[] = [
    { time: atMs, event: 'backend', action: 'down', backend: 'mail2', text: 'connection refused' },
    {
      time: atMs + 40 * second,
      event: 'backend',
      action: 'up',
      backend: 'mail2',
      duration_ms: 40_000,
      count: 412,
      requesters: 4,
    },
    {
      time: atMs + 60 * second,
      event: 'operator',
      action: 'audit-search',
      by: 'carol',
      args: ['"event":"start"'],
    },
    {
      time: atMs + 90 * second,
      event: 'operator',
      action: 'drain',
      backend: 'mail1',
      by: 'anna',
      outcome: 'ok',
    },
    {
      time: atMs + 150 * second,
      event: 'operator',
      action: 'enable',
      backend: 'mail1',
      by: 'bob',
      outcome: 'ok',
      count: 0,
      requesters: 0,
    },
    { time: atMs + 200 * second, event: 'stop' },
    { time: atMs + 203 * second, event: 'start', last_seq: 1392 },
    { time: atMs + 300 * second, event: 'backend', action: 'down', backend: 'mail2', text: 'no answer' },
    { time: atMs + 310 * second, event: 'limit', count: 1 },
    // What a start writes before its own record is not of the run before.
    { time: atMs + 319 * second, event: 'access', action: 'requested', carried: true, request: 'R' },
    ...['A', 'B'].map(
      (id): JournalRecord => ({
        time: atMs + 319 * second,
        event: 'completion',
        id,
        principal: 'bob@support',
        command: 'fetch',
        effect: id === 'A' ? 'read' : 'destroy',
        backend: 'mail1',
        outcome: 'unknown',
        error: 'stopped',
      }),
    ),
    { time: atMs + 320 * second, event: 'start', last_seq: 1395 },
    {
      time: atMs + 330 * second,
      event: 'operator',
      action: 'drain',
      backend: 'mail1',
      by: 'anna',
      outcome: 'ok',
    },
  ];
  const [some, more] = [recordsOf(300), recordsOf(400)].map((all) =>
    all.map((each) => ({ ...each, time: atMs })),
  );
  return [...(some ?? []), ...records.slice(0, 6), ...(more ?? []), ...records.slice(6)];
}

function open(t: TestContext, records: readonly JournalRecord[], wallMs: number, timeMs?: number) {
  const directory = openFolder(t);
  writeJournal(directory, records);
  const incidents = openIncidents(directory, wallMs, timeMs);
  t.after(() => incidents.close());
  return incidents;
}

const expected = [
  [undefined, undefined, 'mail1', 'mail1 is drained by anna.', 330],
  [
    'restarted',
    320,
    undefined,
    'dovegate was started again, and no record says that it was stopped: it crashed, was killed, or its disk took no records any more. 2 commands have no end on record: whether they ran is not known, and 1 of them may have changed something.',
    310,
  ],
  [
    'down',
    320,
    'mail2',
    /^mail2 was down: .*\. No commands failed, as far as .*\. dovegate was restarted before it was up again\.$/,
    300,
  ],
  ['restarted', 203, undefined, 'dovegate was stopped and started again.', 200],
  ['drained', 150, 'mail1', 'mail1 was drained by anna. No command was refused.', 90],
  ['down', 40, 'mail2', 'mail2 was down: connection refused. 412 commands of 4 requesters failed.', 0],
] as const;

function look(rows: Incidents['rows'], atMs: number): void {
  const at = (time: string | undefined): number | undefined =>
    time === undefined ? undefined : (Date.parse(time) - atMs) / second;
  assert.equal(rows.length, expected.length, JSON.stringify(rows));
  for (const [index, [kind, until, backend, text, since]] of expected.entries()) {
    const row = rows[index];
    assert.deepEqual([row?.backend, at(row?.since), at(row?.until)], [backend, since, until]);
    assert.equal(row?.kind, kind ?? 'drained');
    if (typeof text === 'string') assert.equal(row?.text, text);
    else assert.match(row?.text ?? '', text);
  }
}

void test('an hour later: when, how long, why, by whom, what it has cost', async (t) => {
  const { ask, asked } = open(t, past(startMs), startMs + hourMs);
  const { rows, trouble, since } = await ask();
  assert.deepEqual([trouble, since], [undefined, new Date(startMs + hourMs - 24 * hourMs).toISOString()]);
  look(rows, startMs);
  assert.deepEqual(
    rows.flatMap(({ left = [] }) => left),
    [
      ['A', 'read'],
      ['B', 'destroy'],
    ].map(([id, effect]) => ({
      id,
      command: 'fetch',
      effect,
      // Its record has no arguments.
      content: 'maybe',
      principal: 'bob@support',
      backend: 'mail1',
    })),
  );
  await ask();
  assert.equal(asked(), 1, 'the journal is not read for each who asks');
  const narrow = await ask(limited);
  assert.doesNotMatch(JSON.stringify(narrow), /anna|bob|"left"/);
  assert.match(JSON.stringify(narrow), /drained by an operator/);
});

void test('a long journal is read back in parts, each answer says so, and the last one is the same', async (t) => {
  const { ask } = open(t, past(startMs), startMs + hourMs, 0);
  let answer = await ask();
  assert.match(answer.trouble ?? '', /is still read/);
  for (let turns = 0; answer.trouble !== undefined; turns += 1) {
    assert.ok(turns < 100);
    answer = await ask();
  }
  look(answer.rows, startMs);
});

void test('what is older than a day is not shown', async (t) => {
  const { ask } = open(t, past(startMs).slice(0, -1), startMs + 25 * hourMs);
  assert.deepEqual((await ask()).rows, []);
});

void test('a crash is since the last record before it, and has lost what it left open, also where a segment begins with its start', async (t) => {
  const left = { event: 'completion', outcome: 'unknown', error: 'stopped', command: 'fetch' } as const;
  const start = { time: startMs + 70_000, event: 'start', last_seq: 2 } as const;
  const ended = { ...left, time: startMs + 70_000 };
  const [admission = assert.fail()] = recordsOf(1);
  const records = [
    { ...admission, id: 'A' },
    { ...admission, id: 'B', time: startMs + 10_000 },
    // Each segment has two.
    { ...ended, id: 'A' },
    { ...ended, id: 'B' },
    start,
    admission,
  ];
  for (const timeMs of [undefined, 0]) {
    const { ask } = open(t, records, startMs + hourMs, timeMs);
    let answer = await ask();
    for (let turns = 0; answer.trouble !== undefined && turns < 9; turns += 1) answer = await ask();
    assert.deepEqual(
      answer.rows.map(({ since, left: lost }) => [
        Date.parse(since ?? '') - startMs,
        lost?.map(({ id }) => id),
      ]),
      [[10_000, ['A', 'B']]],
    );
  }
});

void test('a stop in good order before the day that is shown is a stop, and a drain of then still one', async (t) => {
  const drain = past(startMs).slice(-1);
  const commands = recordsOf(2).slice(0, 2);
  const stop = { time: startMs + hourMs, event: 'stop' } as const;
  const start = { time: startMs + 30 * hourMs, event: 'start', last_seq: 4 } as const;
  const { ask } = open(
    t,
    [...commands, ...drain, stop, start, { ...start, last_seq: undefined }],
    startMs + 31 * hourMs,
  );
  assert.deepEqual(
    (await ask()).rows.map(({ since, text }) => [Date.parse(since ?? '') - startMs, text]),
    [
      [330 * second, 'mail1 is drained by anna.'],
      [hourMs, 'dovegate was stopped and started again.'],
    ],
  );
});

void test('an outage since before the day that is shown, which a restart found again, is since its beginning', async (t) => {
  const down = { time: startMs, event: 'backend', action: 'down', backend: 'mail2' } as const;
  const again = { ...down, time: startMs + 20_000, reason: notUpBefore };
  const start = { time: startMs + 10_000, event: 'start', last_seq: 7 } as const;
  // They are in one segment.
  const before = recordsOf(6).slice(0, 6);
  const { ask } = open(t, [...before, down, start, again], startMs + 30 * hourMs);
  assert.deepEqual(
    (await ask()).rows.map(({ since, text }) => [Date.parse(since ?? '') - startMs, text]),
    [[0, 'mail2 is down. dovegate was restarted meanwhile.']],
  );
});

void test('locks and holds: whom, by whom, why, how each ended, once however many copies; a mail user for who may see that mail', async (t) => {
  const copy = { carried: true, at: new Date(startMs).toISOString() } as const;
  const { ask } = open(
    t,
    [
      held('H1', startMs + 40 * second, copy),
      locked('L1', startMs + 60 * second),
      { ...held('H1', startMs + 70 * second, copy) },
      { ...unlocked('L1', startMs + 90 * second) },
      locked('L2', startMs + 100 * second, { to: 'dave' }),
      { time: startMs + 160 * second, event: 'lock', action: 'expired', lock: 'L2', to: 'dave' },
      ...recordsOf(1),
    ],
    startMs + hourMs,
  );
  const told = async (who?: PageCaller): Promise<readonly unknown[]> =>
    (await ask(who)).rows.map(({ kind, since, until, text }) => [
      kind,
      ...[since, until].map((time) => time && (Date.parse(time) - startMs) / second),
      text.replaceAll(/ (?:since|until) \{[^}]*\}/g, ''),
    ]);
  const hold = (about: string) => [
    'held',
    0,
    undefined,
    `${about}; what could destroy, hide, move or change its mail is refused.`,
  ];
  const others = [
    ['locked', 100, 160, 'dave was locked by root: her laptop was stolen. It ended by itself.'],
    ['locked', 60, 90, 'carol was locked by root: her laptop was stolen. root lifted it: it was found.'],
  ];
  assert.deepEqual(await told(), [hold('a mailbox is held by root, reason: that of hold H1'), ...others]);
  const auditor = { ...viewer, roles: ['audit', 'view'] } as const;
  assert.deepEqual(await told(auditor), [
    hold('user bob@example.org is held by root, reason: case 17'),
    ...others,
  ]);
  assert.deepEqual(await told(limited), []);
});

void test('in threads of looks: each answer gives its place back', async (t) => {
  const directory = openFolder(t);
  writeJournal(directory, past(startMs));
  const clock = { ...createFakeClock(), wallMs: () => startMs + hourMs };
  let nowMs = 0;
  const looks = createLooks(clock);
  t.after(() => looks.close());
  const told = { head: { ...doorHead, directory }, settings: Object(undefined), numbers: undefined };
  const moving = { ...clock, now: () => nowMs };
  const answers = createIncidentsAnswers(moving, { told, away: undefined }, looks);
  t.after(() => answers.close());
  for (let at = 0; at < 8; at += 1) {
    nowMs += 60_000;
    const call = {
      params: [],
      body: '',
      who: viewer,
      isStill: () => true,
      signal: new AbortController().signal,
    };
    const reply = await answers.incidents({ endpoint: 'incidents', ...call });
    assert.ok('body' in reply);
    look(JSON.parse(reply.body).rows, startMs);
  }
});

void test('a reload whose texts are missing or broken counts as one that opened something; the words are for whom sees all mail users', async (t) => {
  const directory = openFolder(t);
  mkdirSync(join(directory, 'policies'), { recursive: true });
  const keep = (text: string): string => {
    const hash = createHash('sha256').update(text).digest('hex');
    writeFileSync(join(directory, 'policies', `${hash}.yaml`), text);
    return hash;
  };
  const list = (version: string): string =>
    keep(
      JSON.stringify({
        policies: { desk: { version } },
        listeners: { desk: { policies: [{ policy: 'desk' }], accounts: [], keys: [] } },
        backends: {},
        routes: [],
        serverCommands: {},
        persons: {},
      }),
    );
  const [good, broken] = [list(keep('version: 1\n')), list(keep('policies: ['))];
  const reload = (seconds: number, was: string, policies: string): readonly JournalRecord[] => [
    { time: startMs + seconds * second, event: 'reload', was, policies },
    { time: startMs + seconds * second + 1, event: 'operator', action: 'reload', by: 'anna', outcome: 'ok' },
  ];
  const gone = 'f'.repeat(64);
  writeJournal(directory, [...reload(1, good, broken), ...reload(2, broken, gone), ...reload(3, gone, gone)]);
  const { ask, close } = openIncidents(directory, startMs + hourMs);
  t.after(close);
  const auditor: PageCaller = { name: 'aud', roles: ['audit'], users: undefined, from: [] };
  const { rows } = await ask(auditor);
  assert.deepEqual(
    rows.map(({ isWider, widens = [] }) => [isWider, widens.length]),
    [
      [undefined, 0],
      [true, 1],
      [true, 1],
    ],
  );
  for (const { widens = [] } of rows)
    for (const words of widens) assert.match(words, /^what it permits cannot be said: /);
  for (const who of [viewer, limited]) {
    const shown = (await ask(who)).rows;
    assert.deepEqual(
      shown.map(({ isWider, widens }) => [isWider, widens]),
      [
        [undefined, undefined],
        [true, undefined],
        [true, undefined],
      ],
    );
  }
});
