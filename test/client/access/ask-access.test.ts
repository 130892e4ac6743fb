// Goal: what scripts rely on: exit codes of each decision and of wrong usage, JSON as the server gave it, and a list sorted by what waits.
// A server that says what a test tells it stands for the daemon; scenario tests ask the daemon itself.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { AccessItem } from '../../../src/client/connect.js';
import { accessItem as item } from '../../kit/gate/access-item.js';
import type { Script } from '../../kit/gate/script.js';
import { openScriptedDovecot } from '../../kit/gate/scripted-dovecot.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { openFolder } from '../../kit/plain/folder.js';

const { id } = item;

/** Answers the commands of dovegate in turn: with objects, or with a status and its sentence. */
type Said = readonly AccessItem[] | readonly [status: string, sentence: string];

function isList(said: Said | readonly Said[]): said is readonly Said[] {
  return Array.isArray(said[0]);
}

async function openGate(t: TestContext, answers: Readonly<Record<string, Said | readonly Said[]>>) {
  const asked: string[] = [];
  const turns = Object.entries(answers).map(
    ([verb, said]) => [verb, isList(said) ? [...said] : [said]] as const,
  );
  const left = new Map(turns);
  const script: Script = async ({ fields, user }, connection) => {
    asked.push([user, ...fields].join('|'));
    const [name = ''] = fields;
    const isOwn = name.startsWith('dovegate ');
    const list = left.get(isOwn ? name.slice('dovegate '.length) : 'send') ?? [];
    const said = list.length > 1 ? list.shift() : list[0];
    if (said === undefined && isOwn) return connection.status('-USAGE');
    if (said === undefined || said.length === 0) {
      if (!isOwn) await connection.row('subject');
      return connection.status('+');
    }
    const [first, sentence] = said;
    if (typeof first === 'string' && typeof sentence === 'string') {
      await connection.log('error', sentence);
      return connection.status(first);
    }
    for (const one of said) await connection.row('access', JSON.stringify(one));
    return connection.status('+');
  };
  const unix = join(openFolder(t), 'gate.sock');
  await openScriptedDovecot({ unix, minor: 3, script, owner: t });
  const env = { TZ: 'Europe/Berlin' };
  const run = (verb: string, ...args: string[]) => runWarm([verb, '--socket', unix, ...args], { env });
  return { asked, unix, run };
}

const why = ['--reason', 'ticket 4711'];
const fetchWords = ['--', 'fetch', 'hdr.subject', 'mailbox', 'INBOX', 'all'];

void test('a request is recorded and shown; its words are those that send would send', async (t) => {
  const gate = await openGate(t, { request: [item] });
  const terms = ['--user', 'bob@example.com', ...why, '--for', '1h', '--uses', '1'];
  const said = await gate.run('request', ...terms, ...fetchWords);
  assert.equal(said.exit, 0, said.text);
  assert.deepEqual(gate.asked, [
    '|dovegate request|--user=bob@example.com|--for=3600000ms|--uses=1|--reason=ticket 4711|--|fetch|--|hdr.subject|mailbox|INBOX|all',
  ]);
  assert.match(said.text, new RegExp(`^waits for 1 approval: ${id}\n`));
  assert.match(said.text, /^command {2,}fetch hdr\.subject mailbox INBOX all$/m);
  assert.match(said.text, /^you may {2,}revoke$/m);
  const json = await gate.run('request', ...why, '--json', ...fetchWords);
  assert.deepEqual(JSON.parse(json.stdout.toString()), item);
});

void test('--wait: the exit code says what was decided', async (t) => {
  for (const [state, exit] of [
    ['granted', 0],
    ['refused', 77],
    ['revoked', 77],
    ['expired', 75],
    ['ended', 75],
    ['used-up', 75],
  ] as const) {
    const gate = await openGate(t, { request: [item], access: [[{ ...item, state, why: 'because' }]] });
    const said = await gate.run('request', ...why, '--wait', '30s', ...fetchWords);
    assert.equal(said.exit, exit, `${state}: ${said.text}`);
    assert.match(said.stderr, new RegExp(`request ${id} is recorded; waiting for a decision`));
  }
  const open = await openGate(t, { request: [item], access: [item] });
  const late = await open.run('request', ...why, '--wait', '1500ms', '--json', ...fetchWords);
  assert.equal(late.exit, 75);
  assert.equal(JSON.parse(late.stdout.toString()).state, 'requested');
  // A daemon that cannot answer for a moment is asked again; a request that is gone is not.
  const down = ['-TEMPFAIL', 'dovegate: the journal cannot be written [journal-down]'] as const;
  const busy = await openGate(t, { request: [item], access: [down, [{ ...item, state: 'granted' }]] });
  assert.equal((await busy.run('request', ...why, '--wait', '30s', ...fetchWords)).exit, 0);
  const gone = await openGate(t, { request: [item], access: ['-NOTFOUND', 'no such request'] });
  const forgotten = await gone.run('request', ...why, '--wait', '30s', ...fetchWords);
  assert.equal(forgotten.exit, 75, forgotten.text);
  const over = new RegExp(`request ${id} is over: .* while dovegate was restarted.*--grant ${id}`);
  assert.match(forgotten.stderr, over);
});

void test('granted at once where no approval is needed', async (t) => {
  const given = { ...item, state: 'granted', approvals: 0, break_glass: true, place: undefined } as const;
  const gate = await openGate(t, { request: [given] });
  const said = await gate.run('request', ...why, '--wait', '5s', ...fetchWords);
  assert.equal(said.exit, 0);
  assert.match(said.text, /^granted until 2026-11-27 11:00 \+01:00 \(break-glass, not reviewed\): /);
  assert.match(said.text, /^approvals {2,}none needed; not reviewed$/m);
  // Where the rule is written is not for requesters.
  assert.match(said.text, /^rule {2,}policy support$/m);
});

void test('the list begins with what waits for the reader', async (t) => {
  const items: AccessItem[] = [
    { ...item, id: 'C', mine: false, may: [], state: 'granted', uses: 3, used: 2 },
    { ...item, id: 'B', state: 'granted' },
    { ...item, id: 'A', state: 'expired', break_glass: true, may: ['review'], mine: false },
    { ...item, id: 'Z', may: ['approve', 'refuse'], mine: false, matches: 3 },
  ];
  const odd = { ...item, reason: 'a\u202eb\u001b[2J' };
  const gate = await openGate(t, { requests: [items, items, [], [odd]] });
  const { exit, text } = await gate.run('requests');
  assert.equal(exit, 0);
  const first = text.split('\n').flatMap((line) => /^[* ] +([A-Z]) /.exec(line)?.[1] ?? []);
  assert.deepEqual(first, ['Z', 'A', 'B', 'C']);
  assert.match(text, /^\* +Z +waits for you .* 2026-11-27 11:00 \+01:00 {2}fetch hdr/m);
  assert.match(text, /reason: ticket 4711; 3 mails/);
  assert.match(text, /2 lines with \* wait for you\./);
  const json = await gate.run('requests', '--json');
  assert.equal(JSON.parse(json.stdout.toString()).length, 4);
  assert.match((await gate.run('requests')).text, /^No requests/);
  const hostile = await gate.run('requests');
  assert.ok(!hostile.text.includes('\u202e') && !hostile.text.includes('\u001b'), hostile.text);
});

void test('JSON on a terminal has no character that nobody sees, and is the same value', async (t) => {
  // Bidirectional, zero width, C1, a tag, a variation selector, fillers and a blank symbol.
  const reason = 'a\u202eb\u200bc\u009bd\u{e0041}e\ufe0ff\u3164g\u034fh\u2800i\ufffc';
  const shown = { ...item, reason };
  const gate = await openGate(t, { requests: [shown], access: [shown], revoke: [shown] });
  for (const args of [['requests'], ['requests', id], ['revoke', id]] as const) {
    const [verb, ...more] = args;
    const { stdout } = await gate.run(verb, '--json', ...more);
    const text = stdout.toString();
    assert.match(text, /^[\n -~]*$/, verb);
    assert.deepEqual([JSON.parse(text)].flat(), [shown]);
  }
});

void test('one in full; approve, refuse, revoke, review and grant', async (t) => {
  const approved_by = [{ principal: 'carol@leads', time: item.asked }];
  const done = { ...item, state: 'granted', approved_by } as const;
  const gate = await openGate(t, {
    access: [item],
    approve: [done],
    refuse: [{ ...item, state: 'refused', why: 'ask bob' }],
    revoke: [{ ...item, state: 'revoked' }],
    review: [done],
    grant: [done],
  });
  assert.match((await gate.run('requests', id)).text, /^open until {2,}2026-11-27 11:00/m);
  const approved = await gate.run('approve', '--for', '30m', '--uses', '1', id);
  assert.equal(approved.exit, 0);
  assert.match(approved.text, /^approved by {2,}carol@leads at 2026-11-26 11:00 \+01:00$/m);
  assert.match((await gate.run('refuse', id, '--reason', 'ask bob')).text, /^refused: ask bob: /);
  assert.equal((await gate.run('revoke', id)).exit, 0);
  assert.equal((await gate.run('review', id)).exit, 0);
  const given = await gate.run('grant', '--to', 'anna@support', '--user', 'bob', ...why, ...fetchWords);
  assert.equal(given.exit, 0);
  assert.deepEqual(gate.asked.slice(1), [
    `|dovegate approve|--for=1800000ms|--uses=1|--|${id}`,
    `|dovegate refuse|--reason=ask bob|--|${id}`,
    `|dovegate revoke|--|${id}`,
    `|dovegate review|--|${id}`,
    '|dovegate grant|--to=anna@support|--user=bob|--reason=ticket 4711|--|fetch|--|hdr.subject|mailbox|INBOX|all',
  ]);
});

void test('a refusal is said in the words of dovegate, with the exit code of its status', async (t) => {
  const another = 'dovegate: a request is approved by another person than its requester';
  const gate = await openGate(t, {
    approve: ['-NOPERM', `${another} [denied], id ${id}`],
    review: ['-NOTFOUND', 'dovegate: no such grant'],
    request: ['-TEMPFAIL', 'dovegate: 5 requests of anna@support are open'],
  });
  const own = await gate.run('approve', id);
  assert.equal(own.exit, 77);
  assert.equal(own.stderr, `${another}\n`);
  assert.equal((await gate.run('review', id)).exit, 68);
  assert.equal((await gate.run('request', ...why, ...fetchWords)).exit, 75);
});

void test('wrong usage is 64, and nothing is asked', async (t) => {
  const gate = await openGate(t, {});
  for (const wrong of [
    ['request', '--reason', 'x'.repeat(513), ...fetchWords],
    ['request', '--reason', 'two\nlines', ...fetchWords],
    ['request', ...why, '--user', 'bob', '--user', 'bob', ...fetchWords],
    ['request', ...why, '--user', '*@example.com', ...fetchWords],
    ['request', ...why, '--user', 'bob', '--', 'fetch', '-u', 'alice', 'uid', 'all'],
    ['request', ...why, '--', 'fetch', '-A', 'uid', 'all'],
    ['request', ...why, '--', 'save'],
    ['request', ...why, '--', 'exec', 'x'],
    ['request', ...why, '--for', '1', ...fetchWords],
    ['request', ...why, '--for', '0s', ...fetchWords],
    ['request', ...why, '--uses', '0', ...fetchWords],
    ['request', ...why, '--wait', 'soon', ...fetchWords],
    ['request'],
    ['approve'],
    ['refuse', id],
    ['grant', ...why, ...fetchWords],
    ['grant', '--to', 'anna@support', ...fetchWords],
    ['request', ...fetchWords],
    ['send', '--request', '--dry-run', ...fetchWords],
    ['send', '--request', '--users', 'all', ...fetchWords],
    ['send', '--wait', '1m', ...fetchWords],
  ]) {
    const [verb = '', ...args] = wrong;
    const said = await gate.run(verb, ...args);
    assert.equal(said.exit, 64, `${wrong.join(' ')}: ${said.text}`);
  }
  assert.deepEqual(gate.asked, []);
  assert.equal((await runWarm(['requests', '--socket', '/nowhere/gate.sock'])).exit, 69);
});

const denied = [
  '-NOPERM',
  "dovegate: denied by policy support; available on request: dovegate request --socket '/run/the gate/a.sock' -- fetch [on-request]",
] as const;
const sendArgs = ['--request', '--wait', '30s', '--user', 'bob@example.com', '--reason', 'ticket 4711'];
const fetchLine = 'bob@example.com|fetch|--|hdr.subject|mailbox|INBOX|all';
const verbsOf = (asked: readonly string[]) => asked.map((line) => line.split('|')[1]);

void test('a denial proposes a command that can be pasted: it names the socket that was typed', async (t) => {
  const gate = await openGate(t, { send: denied });
  const said = await gate.run('send', '--user', 'bob@example.com', ...fetchWords);
  assert.equal(said.exit, 77);
  const proposal = `available on request: dovegate request --socket ${gate.unix} -- fetch`;
  assert.ok(said.stderr.includes(proposal), said.stderr);
});

void test('send --request sends, and where policy denies it asks, waits and sends', async (t) => {
  const gate = await openGate(t, {
    send: [denied, []],
    requests: [[]],
    request: [item],
    access: [[item], [{ ...item, state: 'granted' }]],
  });
  const sent = await gate.run('send', ...sendArgs, '--format', 'tab', ...fetchWords);
  assert.equal(sent.exit, 0, sent.text);
  assert.equal(sent.stdout.toString(), 'hdr.subject\nsubject\n');
  assert.match(sent.stderr, /^dovegate: request .* waiting for a decision\n.*granted until/s);
  assert.doesNotMatch(sent.stderr, /denied/);
  assert.deepEqual(verbsOf(gate.asked).slice(0, 3), ['fetch', 'dovegate requests', 'dovegate request']);
  assert.equal(gate.asked.at(-1), fetchLine);
  const refused = await openGate(t, {
    send: denied,
    requests: [[]],
    request: [item],
    access: [{ ...item, state: 'refused', why: 'no' }],
  });
  const not = await refused.run('send', ...sendArgs, ...fetchWords);
  assert.equal(not.exit, 77);
  assert.match(not.stderr, /refused: no/);
  assert.equal(refused.asked.filter((line) => !line.includes('dovegate')).length, 1);
});

void test('send --request asks nothing where a rule or a grant allows the command, or another answer comes', async (t) => {
  const allowed = await openGate(t, {});
  const sent = await allowed.run('send', ...sendArgs, '--format', 'tab', ...fetchWords);
  assert.deepEqual([sent.exit, sent.stdout.toString(), sent.stderr], [0, 'hdr.subject\nsubject\n', '']);
  assert.deepEqual(allowed.asked, [fetchLine]);
  // What a backend denies, no approver can change.
  for (const [status, text, exit] of [
    ['-NOPERM', 'Permission denied', 77],
    ['-NOPERM', 'dovegate: backend mail1 does not allow this command: nothing ran [backend-refused]', 77],
    ['-NOPERM', 'dovegate: bob@example.com is locked by the operators [locked]', 77],
    ['-TEMPFAIL', 'dovegate: over the rate [over-limit]', 75],
  ] as const) {
    const gate = await openGate(t, { send: [[status, text]] });
    const said = await gate.run('send', ...sendArgs, ...fetchWords);
    assert.equal(said.exit, exit, said.text);
    assert.ok(said.stderr.includes(text), said.stderr);
    assert.deepEqual(gate.asked, [fetchLine]);
  }
});

void test('send --request waits for an own open request of the same command, user and reason', async (t) => {
  const granted = { ...item, state: 'granted' } as const;
  const same = await openGate(t, {
    send: [denied, []],
    requests: [[{ ...item, id: 'OTHER', mine: false }, item]],
    access: [[granted]],
  });
  const sent = await same.run('send', ...sendArgs, ...fetchWords);
  assert.equal(sent.exit, 0, sent.text);
  assert.match(sent.stderr, new RegExp(`request ${id} asks for this already; waiting for a decision`));
  assert.deepEqual(verbsOf(same.asked), ['fetch', 'dovegate requests', 'dovegate access', 'fetch']);
  for (const change of [
    { mine: false },
    { users: ['eve@example.com'] },
    { command: 'fetch hdr.subject mailbox Sent all' },
    { reason: 'ticket 4712' },
    { state: 'granted' },
  ] as const) {
    const other = await openGate(t, {
      send: [denied, []],
      requests: [[{ ...item, ...change }]],
      request: [granted],
    });
    assert.equal((await other.run('send', ...sendArgs, ...fetchWords)).exit, 0, JSON.stringify(change));
    assert.ok(verbsOf(other.asked).includes('dovegate request'), JSON.stringify(change));
  }
});
