// What the page is told of the journal as a whole: the record comes first, who was taken out gets nothing more, the last check is shown to
// others, and a mailbox outside of a view is refused.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type LongPart, type LongTask } from '../../src/evidence/reading/read-long.js';
import type { Proof, VerifyResult } from '../../src/evidence/views/proof.js';
import { systemNumbers } from '../../src/host/machine/accounts.js';
import { systemClock } from '../../src/host/machine/clock.js';
import { JournalFault } from '../../src/host/ports/faults.js';
import type { Note } from '../../src/page/daemon.js';
import { createFleetNow } from '../../src/page/fleet-look.js';
import { type PageCaller, type PageReply, Refusal, replyOf } from '../../src/page/http/page-request.js';
import { createLooks } from '../../src/page/looks.js';
import { createProofHandlers } from '../../src/page/proof-answers.js';
import { writeJournal } from '../evidence/cli/shown.js';
import { doorHead } from '../kit/gate/now.js';
import { openFolder } from '../kit/plain/folder.js';
import { settingsOf, sound } from '../rules/config/sound.js';

const result: VerifyResult = { isWhole: true, fromSeq: 1, toSeq: 9, records: 9, faultCount: 0, findings: [] };
const halfway: LongPart = { part: 'progress', progress: { bytes: 5, ofBytes: 10, seq: 4 } };
const reported: readonly LongPart[] = [
  { part: 'counted', commands: 3 },
  { part: 'event', event: 'head', data: '{"secret":1}' },
  { part: 'event', event: 'end', data: '{"commands":3}' },
];

function settingsWith(fleet: string | undefined) {
  const page = `page: { unix: page.sock, people: { anna: { user: anna, role: audit } }${fleet === undefined ? '' : `, fleet: ${fleet}`} }`;
  return settingsOf(`${sound}admin: { unix: admin.sock, ${page} }\n`);
}

const receivers = [{ name: 'siem', state: 'connected', lagRecords: 2, safeSeq: 10 }] as const;
const anna: PageCaller = { name: 'anna', roles: ['audit'], users: undefined, from: ['address=127.0.0.1'] };

function desk(
  more: {
    parts?: readonly LongPart[];
    append?: () => Promise<void>;
    flushed?: () => Promise<void>;
    refuse?: string;
    directory?: string;
    fleetFile?: string;
  } = {},
) {
  const records: (Note & { readonly by: string; readonly from: readonly string[] })[] = [];
  const logged: string[] = [];
  const tasks: LongTask[] = [];
  const { parts = [halfway, { part: 'verified', result }] } = more;
  const log = { report: ({ text }: { readonly text?: string | undefined }) => void logged.push(text ?? '') };
  const clock = { ...systemClock, now: () => 1_000, wallMs: () => 1_000 };
  const told = {
    head: { ...doorHead, directory: more.directory ?? '/nowhere' },
    numbers: systemNumbers,
    settings: settingsWith(more.fleetFile),
  };
  const handlers = createProofHandlers({
    clock,
    log,
    fleet: createFleetNow({ told }, clock),
    daemon: {
      told,
      async record({ name: by, from }, note) {
        await more.append?.();
        records.push({ by, from, ...note });
      },
      flush: more.flushed ?? (() => Promise.resolve()),
      sign: () => Promise.reject(new Error('nothing is signed here')),
      facts: () =>
        Promise.resolve({
          atMs: 1_000,
          seq: 12,
          receivers,
          notices: [],
          series: {},
          certificates: [],
          used: [],
        }),
    },
    looks: {
      // oxlint-disable-next-line typescript/require-await -- parts of a thread come one by one
      async *readLong(task) {
        tasks.push(task);
        if (more.refuse !== undefined) throw new Refusal(503, more.refuse);
        yield* parts;
      },
    },
  });
  const ask = (
    endpoint: 'proof' | 'verify' | 'report',
    asking: { who?: PageCaller; body?: string; isStill?: () => boolean } = {},
  ): Promise<PageReply> => {
    const { signal } = new AbortController();
    const usual = { params: [], body: '', who: anna, isStill: () => true };
    return replyOf(handlers, { ...usual, endpoint, signal, ...asking }, log);
  };
  /** What is known of the journal. */
  const proof = async (who = anna): Promise<Proof> => JSON.parse(await textOf(await ask('proof', { who })));
  return { ask, proof, records, logged, tasks };
}

async function textOf(reply: PageReply): Promise<string> {
  if ('body' in reply) return reply.body;
  let text = '';
  for await (const piece of reply.pieces) text += piece;
  return text;
}

const question = JSON.stringify({ mailbox: 'alice@example.com', form: 'page' });

void test('a check: its progress, its record, and then its result', async () => {
  const { ask, records } = desk();
  const [progress, found] = (await textOf(await ask('verify'))).split(/(?<=\n\n)/);
  assert.equal(progress, 'event: progress\ndata: {"bytes":5,"ofBytes":10,"seq":4}\n\n');
  const told = JSON.stringify({ ...result, at: '1970-01-01T00:00:01.000Z', by: 'anna' });
  assert.equal(found, `event: result\ndata: ${told}\n\n`);
  const { from } = anna;
  assert.deepEqual(records, [{ from, action: 'audit-verify', by: 'anna', args: ['whole', 'to=9'], rows: 0 }]);
});

void test('what is known without reading it, and the last check with who asked for it', async (t) => {
  const directory = await writeJournal(t, 40);
  const { ask, proof } = desk({ directory });
  const before = await proof();
  assert.deepEqual([before.journal, before.seq, before.key, before.oldestSeq], ['J', 12, 'KEY', 1]);
  assert.ok(before.segments > 1 && before.bytes > 8192);
  assert.match(before.checkpoint?.at ?? '', /^2\d{3}-/);
  assert.deepEqual([before.last, before.running], [undefined, undefined]);
  assert.deepEqual(before.receivers, receivers);
  const reply = await ask('verify');
  const during = await proof();
  assert.deepEqual([during.running?.by, during.running?.bytes, during.last], ['anna', 5, undefined]);
  await textOf(reply);
  const after = await proof();
  assert.deepEqual([after.running, after.last?.by, after.last?.isWhole], [undefined, 'anna', true]);
});

void test('other gates: nothing where no file is set; everybody sees them, in a limited view too', async (t) => {
  const directory = await writeJournal(t, 4);
  assert.ok(!('fleet' in (await desk({ directory }).proof())));
  const fleetFile = join(openFolder(t), 'status.json');
  const gates = [{ host: 'mx1', policies: {}, open: 0, findings: 0, differs: [], seq: 7 }];
  const at = '1970-01-01T00:00:00.500Z';
  writeFileSync(fleetFile, JSON.stringify({ at, store: 'A', records: 7, gates, findings: [] }));
  const { proof } = desk({ directory, fleetFile });
  const shown = [{ host: 'mx1', findings: 0, differs: [], seq: 7 }];
  const seen = { at, store: 'A', records: 7, gates: shown, findingCount: 0, findings: [] };
  const limited: PageCaller = { ...anna, users: ['*@example.com'] };
  for (const who of [anna, limited, { ...anna, roles: ['view'] as const }])
    assert.deepEqual((await proof(who)).fleet, { seen });
});

void test('without a record there is no result, and no report', async () => {
  for (const [endpoint, parts] of [
    ['verify', undefined],
    ['report', reported],
  ] as const) {
    const append = () => Promise.reject(new JournalFault('deadline', 'the disk is full'));
    const { ask, logged } = desk({ append, ...(parts !== undefined && { parts }) });
    const reply = await ask(endpoint, { body: question });
    const text = await textOf(reply);
    assert.doesNotMatch(text, /isWhole|secret/);
    assert.match(text, /could not be read to its end, or the look could not be recorded/);
    assert.deepEqual(logged, [`${endpoint}: the disk is full`]);
  }
});

void test('who was taken out meanwhile gets nothing more', async () => {
  const { ask } = desk({ parts: [halfway, ...reported] });
  const text = await textOf(await ask('report', { body: question, isStill: () => false }));
  assert.doesNotMatch(text, /secret/);
  assert.match(text, /event: failed\ndata: \{"text":"the configuration was changed meanwhile/);
});

void test('a report: what was asked for is recorded with its rows before anything of it leaves', async () => {
  const { ask, records, tasks } = desk({ parts: reported });
  const who: PageCaller = { ...anna, users: ['*@example.com'] };
  const mailbox = 'Alice@example.com';
  const body = JSON.stringify({ mailbox, fromMs: 0, toMs: 1000, content: true, form: 'csv' });
  const text = await textOf(await ask('report', { who, body }));
  assert.equal(text, 'event: head\ndata: {"secret":1}\n\nevent: end\ndata: {"commands":3}\n\n');
  const [{ action, args, rows } = assert.fail()] = records;
  const [since, until] = ['since=1970-01-01T00:00:00.000Z', 'until=1970-01-01T00:00:01.000Z'];
  const expected = ['audit-report', [`user=${mailbox}`, since, until, 'content'], 3];
  assert.deepEqual([action, args, rows], expected);
  const [task] = tasks;
  assert.ok(task?.long === 'report');
  assert.deepEqual([task.users, task.form, task.report.madeBy], [['*@example.com'], 'csv', 'anna on gate']);
  assert.match(task.limits?.text ?? '', /^anna sees the records of \*@example\.com only/);
});

void test('a report reads the journal after the records of the last moment are on disk', async () => {
  const readBefore: number[] = [];
  const { ask, tasks } = desk({
    flushed: () => {
      readBefore.push(tasks.length);
      return Promise.reject(new Error('the disk is slow'));
    },
  });
  await ask('report', { body: JSON.stringify({ mailbox: 'alice@example.com', form: 'html' }) });
  assert.deepEqual([readBefore, tasks.length], [[0], 1]);
});

void test('a mailbox outside of the view is refused, and that is recorded', async () => {
  const { ask, records, tasks } = desk({ parts: reported });
  const who: PageCaller = { ...anna, users: ['*@example.com'] };
  const body = JSON.stringify({ mailbox: 'dora@other.org', form: 'page' });
  const reply = await ask('report', { who, body });
  assert.equal(reply.status, 403);
  assert.match(await textOf(reply), /you see the records of \*@example\.com only/);
  assert.deepEqual([records[0]?.args?.[0], tasks], ['refused', []]);
});

void test('what is no request, and what has no place', async () => {
  const { ask, records } = desk({ parts: reported });
  const none = ['', '[]', '{}', '{"mailbox":"a"}', '{"mailbox":"a","form":"pdf"}'];
  const mailboxes = ['""', '"*@a"', '7', `"${'a'.repeat(5000)}"`];
  const more = ['"fromMs":"x"', '"fromMs":1e300', '"toMs":-1', '"fromMs":5,"toMs":5', '"content":1'];
  const bodies = [
    ...none,
    ...mailboxes.map((mailbox) => `{"mailbox":${mailbox},"form":"page"}`),
    ...more.map((each) => `{"mailbox":"a","form":"page",${each}}`),
  ];
  for (const body of bodies) assert.equal((await ask('report', { body })).status, 400, body.slice(0, 60));
  assert.deepEqual(records, []);
  const busy = desk({ refuse: 'a report is being made for bob' });
  const refused = await busy.ask('report', { body: question });
  assert.equal(refused.status, 503);
  assert.equal(await textOf(refused), '{"text":"a report is being made for bob"}\n');
  assert.deepEqual(busy.logged, []);
});

void test('a client that goes before it takes anything leaves nothing running', async (t) => {
  const looks = createLooks(systemClock);
  t.after(() => looks.close());
  const directory = await writeJournal(t, 10);
  const task = { long: 'verify', directory, ownKey: 'KEY' } as const;
  const gone = new AbortController();
  await looks.readLong(task, 'a', gone.signal).next();
  gone.abort(new Error('gone'));
  assert.doesNotThrow(() => looks.readLong(task, 'a', new AbortController().signal));
});

void test('with a limited view and no other role: a check was made by somebody else, whoever that was', async (t) => {
  const { ask, proof } = desk({ directory: await writeJournal(t, 4) });
  await textOf(await ask('verify'));
  const by = async (who: PageCaller) => (await proof(who)).last?.by;
  const frank: PageCaller = { ...anna, name: 'frank', users: ['*@example.org'] };
  assert.equal(await by(frank), 'somebody else');
  assert.equal(await by({ ...frank, name: 'anna' }), 'anna');
  assert.equal(await by({ ...frank, roles: ['audit', 'view'] }), 'anna');
  assert.equal(await by({ ...frank, users: undefined }), 'anna');
});
