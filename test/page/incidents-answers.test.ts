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
const fetchOfBob = { command: 'fetch', principal: 'bob@support', backend: 'mail1' } as const;

/** Among many commands: an outage, a drain, a restart, a crash, and what has not ended. */
function past(atMs: number): readonly JournalRecord[] {
  const at = <const T extends object>(seconds: number, record: T) => ({
    time: atMs + seconds * second,
    ...record,
  });
  const mail2 = { event: 'backend', backend: 'mail2' } as const;
  const mail1 = { event: 'operator', backend: 'mail1', outcome: 'ok' } as const;
  const lost = { event: 'completion', outcome: 'unknown', error: 'stopped', ...fetchOfBob } as const;
  const records: readonly JournalRecord[] = [
    at(0, { ...mail2, action: 'down', text: 'connection refused' }),
    at(40, { ...mail2, action: 'up', duration_ms: 40_000, count: 412, requesters: 4 }),
    at(60, { event: 'operator', action: 'audit-search', by: 'carol', args: ['"event":"start"'] }),
    at(90, { ...mail1, action: 'drain', by: 'anna' }),
    at(150, { ...mail1, action: 'enable', by: 'bob', count: 0, requesters: 0 }),
    at(200, { event: 'stop' }),
    at(203, { event: 'start', last_seq: 1392 }),
    at(300, { ...mail2, action: 'down', text: 'no answer' }),
    at(310, { event: 'limit', count: 1 }),
    // What a start writes before its own record is not of the run before.
    at(319, { event: 'access', action: 'requested', carried: true, request: 'R' }),
    at(319, { ...lost, id: 'A', effect: 'read' }),
    at(319, { ...lost, id: 'B', effect: 'destroy' }),
    at(320, { event: 'start', last_seq: 1395 }),
    at(330, { ...mail1, action: 'drain', by: 'anna' }),
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
    // Their records have no arguments.
    [
      { id: 'A', effect: 'read', content: 'maybe', ...fetchOfBob },
      { id: 'B', effect: 'destroy', content: 'maybe', ...fetchOfBob },
    ],
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
    const told = answer.rows.map(({ since, left: lost }) => [
      Date.parse(since ?? '') - startMs,
      lost?.map(({ id }) => id),
    ]);
    assert.deepEqual(told, [[10_000, ['A', 'B']]]);
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
  const rows = (await ask()).rows.map(({ since, text }) => [Date.parse(since ?? '') - startMs, text]);
  assert.deepEqual(rows, [
    [330 * second, 'mail1 is drained by anna.'],
    [hourMs, 'dovegate was stopped and started again.'],
  ]);
});

void test('an outage since before the day that is shown, which a restart found again, is since its beginning', async (t) => {
  const down = { time: startMs, event: 'backend', action: 'down', backend: 'mail2' } as const;
  const again = { ...down, time: startMs + 20_000, reason: notUpBefore };
  const start = { time: startMs + 10_000, event: 'start', last_seq: 7 } as const;
  // They are in one segment.
  const before = recordsOf(6).slice(0, 6);
  const { ask } = open(t, [...before, down, start, again], startMs + 30 * hourMs);
  const rows = (await ask()).rows.map(({ since, text }) => [Date.parse(since ?? '') - startMs, text]);
  assert.deepEqual(rows, [[0, 'mail2 is down. dovegate was restarted meanwhile.']]);
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
  const answers = createIncidentsAnswers({
    clock: moving,
    daemon: { told, away: undefined },
    looks,
    fleet: () => Promise.resolve(undefined),
  });
  t.after(() => answers.close());
  for (let at = 0; at < 8; at += 1) {
    nowMs += 60_000;
    const { signal } = new AbortController();
    const call = { params: [], body: '', who: viewer, isStill: () => true, signal };
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
  const more = { backends: {}, routes: [], serverCommands: {}, persons: {} };
  const listeners = { desk: { policies: [{ policy: 'desk' }], accounts: [], keys: [] } };
  const list = (version: string): string =>
    keep(JSON.stringify({ policies: { desk: { version } }, listeners, ...more }));
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
  const cannot = 'what it permits cannot be said: ';
  const widened = async (who: PageCaller): Promise<unknown> =>
    (await ask(who)).rows.map((row) => [
      row.isWider,
      row.widens?.map((words) => words.slice(0, cannot.length)),
    ]);
  assert.deepEqual(await widened(auditor), [
    [undefined, undefined],
    [true, [cannot]],
    [true, [cannot]],
  ]);
  const untold = [undefined, true, true].map((isWider) => [isWider, undefined]);
  for (const who of [viewer, limited]) assert.deepEqual(await widened(who), untold);
});

void test('another gate that is silent now stands before all others, with when it was last seen, for everybody', async (t) => {
  const directory = openFolder(t);
  writeJournal(directory, past(startMs));
  const lastSeen = '2026-01-02T03:00:00.000Z';
  const gate = { host: 'mx2', lastSeen, differs: [], findings: 1 };
  const text = 'nothing came from it; look whether it runs';
  const seen = {
    at: lastSeen,
    store: 's3',
    records: 7,
    gates: [gate, { ...gate, host: 'mx3' }],
    findingCount: 2,
    findings: [
      { kind: 'silent', host: 'mx2', text },
      { kind: 'differs', host: 'mx3', text },
    ],
  };
  const { ask, close } = openIncidents(directory, startMs + hourMs, undefined, seen);
  t.after(close);
  const before = openIncidents(directory, startMs + hourMs);
  t.after(before.close);
  for (const who of [viewer, limited]) {
    const [first, ...others] = (await ask(who)).rows;
    assert.deepEqual(first, { kind: 'silent', host: 'mx2', since: lastSeen, text: `mx2: ${text}.` });
    assert.deepEqual(others, (await before.ask(who)).rows);
  }
});
