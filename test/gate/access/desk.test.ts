// Goal: access on request, from a denial to the end of a grant, with two teams and the engine's own sessions. Phases: denied with the
// command that asks, requested, not approved by oneself, approved by a second person, used, used up; revoked; expired; two approvals;
// break-glass. What must not happen: a command at the backend without its grant, a step that is answered without its record.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAccess } from '../../../src/client/access.js';
import type { AccessItem } from '../../../src/gate/access/access-item.js';
import { AccessLimits } from '../../../src/gate/access/access-limits.js';
import { accessStateWords, whyNotWords } from '../../../src/gate/access/access-words.js';
import type { Asker } from '../../../src/gate/access/asker.js';
import type { AccessRights } from '../../../src/gate/access/desk.js';
import type { AccessResult } from '../../../src/gate/access/result.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import type { Peer } from '../../../src/host/ports/peer.js';
import { AccessBook, LastEnds } from '../../../src/journal/records/access-book.js';
import { type Person, Persons } from '../../../src/rules/identity/person.js';
import { replyPacket } from '../../kit/gate/memory-backend.js';
import {
  emptyReply,
  journalModes,
  type MemoryClient,
  type MemoryEngine,
  type MemoryRecord,
  openMemoryEngine,
} from '../../kit/gate/memory-engine.js';
import { requested as requestRecord } from '../../kit/plain/access-records.js';
import { compareStories } from '../../kit/plain/approved.js';
import { column, columns } from '../../kit/plain/columns.js';
import { createFakeClock, settle } from '../../kit/plain/fake-clock.js';
import { knownUids } from '../../kit/plain/names.js';

const settings = `
version: 1
listeners:
  support: { unix: /run/dovegate/support.sock, policy: support, sessions: 30, sessions_per_peer: 30 }
  leads: { unix: /run/dovegate/leads.sock, policy: leads }
backends: { mail1: { address: "unix:/run/dovecot/doveadm-server", connections: 2 } }
routes: [{ users: ["*"], backend: mail1 }]
audit: { sign_key: /etc/dovegate/sign.key }
persons: { anna: { users: [anna] }, carol: { users: [carol, carol-admin] }, dave: { users: [dave] } }
policies:
  support:
    users: ["*@example.org"]
    except: ["boss@example.org"]
    allow: [quota get]
    deny: [mailbox rename]
    on_request:
      - { command: fetch, content: true, approvals: 1, for: 2h, scope: user, uses: 2, reason: { regex: "ticket [0-9]+.*" } }
      - { command: mailbox list, approvals: 1, for: 1h }
      - { command: mailbox subscribe, approvals: 2, for: 30m }
      - { command: mailbox status, approvals: 0, for: 1h, uses: 20 }
    requests: { open: 3, wait: 2h }
  leads: { users: ["*@example.org"], except: ["ceo@example.org"], allow: [mailbox list], approve: [support] }
`;

const people = {
  anna: { uid: 1001, user: 'anna', loginUid: 1001 },
  carol: { uid: 1002, user: 'carol', loginUid: 1002 },
  dave: { uid: 1003, user: 'dave', loginUid: 1003 },
  'carol-admin': { uid: 1004, user: 'carol-admin', loginUid: 1004 },
} as const satisfies Readonly<Record<string, Partial<Peer>>>;

const uids = Object.fromEntries(Object.entries(people).map(([name, { uid }]) => [name, uid]));

/** The persons of the configuration, changed; each user has a uid. */
function personsOf(persons: ReadonlyMap<string, Person>): Persons {
  return new Persons(persons, knownUids({ ...uids, erin: 1005 }));
}

/** `rules`: further ones of `on_request`. */
function openDesk(rules: readonly string[] = []) {
  const more = rules.map((rule) => `      - ${rule}\n`).join('');
  const engine = openMemoryEngine({
    settings: settings.replace('    requests: {', `${more}    requests: {`),
    policyOf: ({ user, rangeOwners }) =>
      user === 'anna' || user === 'cron' || rangeOwners !== undefined ? 'support' : 'leads',
    isUser: (name) => Promise.resolve({ anna: true, 'nobody-here': false }[name]),
    uids,
  });
  engine.setAnswer(emptyReply);
  // What was sent, without the searches that count mails.
  const sent = (): string[] =>
    engine.commands.map(({ line }) => line.split('\t')[2] ?? '').filter((name) => name !== 'search');
  return {
    ...engine,
    sent,
    /** So many mails match each search from now on. */
    setMails: (count: number) =>
      engine.setAnswer((line) =>
        replyPacket(line.includes('search') ? `${'0123456789abcdef\t1\t'.repeat(count)}\n+\n` : '\n+\n'),
      ),
    as: (who: Partial<Peer>) => engine.client(2, who),
  };
}

/** The same, with a client of each team. */
async function openTeams(rules?: readonly string[]) {
  const desk = openDesk(rules);
  return { ...desk, anna: await desk.as(people.anna), carol: await desk.as(people.carol) };
}

/** What a journal with these records says, and what a start makes of it. */
function bookOf(records: readonly MemoryRecord[]) {
  const book = new AccessBook();
  for (const { record } of records) book.follow({ ...record });
  const restarted = (nowMs: number): AccessBook => {
    const again = new AccessBook();
    for (const record of book.carried(nowMs)) again.follow({ ...record });
    return again;
  };
  return { book, restarted };
}

/** What the client got for one line, and the items in it. */
async function ask(client: MemoryClient, line: string) {
  const before = client.said().length;
  await client.line(line);
  await settle();
  const text = client.said().slice(before);
  const items = [...text.matchAll(/access\t(\{.*?\})\t/g)].map(
    ([, json = '']): AccessItem => JSON.parse(json),
  );
  return { text, items, item: items[0] };
}

async function requestOf(client: MemoryClient, line: string): Promise<AccessItem> {
  const { item, text } = await ask(client, `||dovegate request|${line}`);
  assert.ok(item, text);
  return item;
}

async function assertState(
  client: MemoryClient,
  line: string,
  state: AccessItem['state'],
): Promise<AccessItem> {
  const { item, text } = await ask(client, `||dovegate ${line}`);
  assert.equal(item?.state, state, text);
  return item;
}

async function assertSays(client: MemoryClient, line: string, words: RegExp, of = line): Promise<void> {
  assert.match((await ask(client, `||dovegate ${line}`)).text, words, of);
}

/** What one asked for and another approved. */
async function granted(of: MemoryClient, by: MemoryClient, line = reading): Promise<AccessItem> {
  return assertState(by, `approve|${(await requestOf(of, line)).id}`, 'granted');
}

function lock({ access }: MemoryEngine['exchanges'], name: string, more: object = {}): void {
  const wish = { by: 'root', reason: 'stolen', forMs: 3_600_000, to: name, identities: [`person:${name}`] };
  access.locks.lock({ ...wish, ...more }, bounds.locks, () => 0);
}

/** As the desk itself is asked. */
function asking({ policies }: AccessRights, team: string, uid: number, ...more: readonly string[]): Asker {
  const policy = policies.get(team) ?? assert.fail();
  const [principal, origin] = [`${uid}@${team}`, `uid:${uid}`];
  const who = { listener: team, principal, origin, policy, peer: { uid } };
  return { ...who, identities: [`uid:${uid}`, ...more], login: `${uid}`, credential: undefined };
}

/** The leads approve nothing any more. */
function takeRight({ access }: MemoryEngine['exchanges']): void {
  const { rights } = access;
  const leads = rights.policies.get('leads') ?? assert.fail();
  access.turnTo({ ...rights, policies: new Map([...rights.policies, ['leads', { ...leads, approve: [] }]]) });
}

const reading = '-u|bob@example.org|--reason|ticket 4711|--|fetch|hdr.subject|mailbox|INBOX|all';
const unasked = '-u|bob@example.org|--reason|ticket 1|--|fetch|text|mailbox|INBOX|all';
const emergency = '-u|bob@example.org|--reason|x|--|mailbox status|messages|INBOX';
const readingLine = '|bob@example.org|fetch|hdr.subject|mailbox|INBOX|all';

void test('a reason that nobody can see is none, and one of a step is one line of text', async () => {
  const { anna, carol } = await openTeams();
  const { id } = await requestOf(anna, '-u|bob@example.org|--reason|ticket 1|--|mailbox list|INBOX');
  const unseen = [' ', '\u200b', '\u3164\u3164', '\u2800', '\u202e\u2066', '\ue000'];
  for (const reason of [...unseen, 'no\u001b[31m way']) {
    const why = unseen.includes(reason) ? /say why/ : /a reason is one line of text/;
    const wish = `-u|bob@example.org|--reason|${reason}|--|mailbox list|INBOX`;
    for (const line of [
      `request|${wish}`,
      `refuse|--reason|${reason}|${id}`,
      `revoke|--reason|${reason}|${id}`,
    ]) {
      const { text } = await ask(line.startsWith('request') ? anna : carol, `||dovegate ${line}`);
      assert.match(text, why, JSON.stringify([reason, line]));
    }
  }
  const { items } = await ask(carol, '||dovegate requests');
  const states = items.map((each) => [each.id, each.state]);
  assert.deepEqual(states, [[id, 'requested']]);
});

void test('an end, and each use of a limited number, has a signature that follows', async () => {
  const { offered, covered, anna, carol } = await openTeams();
  const isCovered = (key: 'action' | 'event', word: string): boolean =>
    offered.findLastIndex((record) => record[key] === word) < covered();
  const one = await granted(anna, carol);
  await ask(anna, readingLine);
  assert.ok(isCovered('event', 'admission'));
  await ask(carol, `||dovegate revoke|${one.id}`);
  assert.equal(offered.findLast(({ event }) => event === 'access')?.action, 'revoked');
  assert.ok(isCovered('action', 'revoked'));
  await granted(anna, carol, '-u|bob@example.org|--reason|x|--|mailbox list|INBOX');
  await ask(anna, '|bob@example.org|mailbox list|INBOX');
  assert.ok(isCovered('action', 'used-up'));
});

void test('a command that the journal has not at all gives no use back, also after a restart', async () => {
  const { as, records, setJournal, anna } = await openTeams();
  const { id } = await granted(anna, await as(people.carol));
  await ask(anna, readingLine);
  const used = (): number | undefined => bookOf(records).book.find(id)?.used;
  assert.equal(used(), 1);
  // The memory of the journal has no room for admissions, and some for completions.
  setJournal('full');
  assert.match((await ask(anna, readingLine)).text, /audit-failed/);
  setJournal('take');
  const last = records.at(-1)?.record;
  assert.deepEqual([last?.event, last?.sent], ['completion', false]);
  assert.equal(used(), 1);
  // It is another matter where the disk is full, and the record comes later.
  setJournal('later');
  assert.match((await ask(anna, readingLine)).text, /audit-failed/);
  setJournal('take');
  assert.equal(used(), 1);
  await ask(anna, readingLine);
  assert.match((await ask(anna, readingLine)).text, /on-request/);
});

void test('what one principal, and the process, can hold or ask is bounded', async () => {
  const { clock, exchanges, anna } = await openTeams();
  const wish = '-u|bob@example.org|--reason|x|--|mailbox list|INBOX';
  // The policy allows three, a policy at most this many.
  assert.ok(bounds.accessOpen >= 3);
  const ids: string[] = [];
  for (let count = 0; count < 3; count += 1) ids.push((await requestOf(anna, wish)).id);
  await assertSays(anna, `request|${wish}`, /3 of your requests wait/);
  // Refused ones count for the rate.
  for (let count = 4; count < bounds.accessRate; count += 1) await ask(anna, `||dovegate request|${wish}`);
  await assertSays(anna, `request|${wish}`, /more than 10 requests a minute/);
  await clock.advance(60_000);
  for (const id of ids) await ask(anna, `||dovegate revoke|${id}`);
  const users = Array.from({ length: bounds.accessUsers + 1 }, (_, at) => `-u|u${at}@example.org`).join('|');
  const many = await ask(anna, `||dovegate request|${users}|--reason|x|--|mailbox list|INBOX`);
  assert.match(many.text, /at most 10 users/);
  const long = 'x'.repeat(bounds.accessTextBytes);
  const tooLong = await ask(anna, `||dovegate request|-u|bob@example.org|--reason|x|--|mailbox list|${long}`);
  assert.match(tooLong.text, /longer than 2048 bytes|access-invalid/);
  const hint = await ask(anna, `|bob@example.org|mailbox list|${'y'.repeat(600)}`);
  const [, request = ''] = /available on request: (.*) \[on-request\]/.exec(hint.text) ?? [];
  assert.ok(request.length > 0 && request.length <= bounds.accessHintChars, hint.text);
  assert.equal(bounds.accessBroken, 3);
  // Ends are remembered for their requester, the last ones.
  await assertSays(anna, `access|${ids[0] ?? ''}`, /"state":"revoked"/);
  const ended = new LastEnds();
  const book = new AccessBook();
  book.follow(requestRecord('R', 0));
  const entry = book.find('R') ?? assert.fail();
  for (let count = 0; count <= bounds.accessOver; count += 1) ended.add({ ...entry, id: `E${count}` });
  assert.equal(ended.find('E0'), undefined);
  assert.ok(ended.find(`E${bounds.accessOver}`) !== undefined);
  assert.equal(exchanges.access.counts.requests, 0);
});

void test('a grant that an approver gave belongs to the login that uses it first, also after a restart', async () => {
  const { as, sent, records, clock, exchanges, carol } = await openTeams();
  const item = await assertState(carol, `grant|--to|anna@support|${unasked}`, 'granted');
  const other = await as({ ...people.anna, loginUid: 1009 });
  const unknown = await as({ uid: 1001, user: 'anna' });
  await ask(unknown, readingLine);
  assert.deepEqual(sent(), []);
  await ask(other, readingLine);
  assert.deepEqual(sent(), ['fetch']);
  const admissions = records.filter(({ record }) => record.event === 'admission' && record.grant === item.id);
  assert.deepEqual(
    admissions.map(({ record }) => record.bound),
    [{ login: '1009', credential: undefined, uid: 1001 }],
  );
  for (const client of [await as(people.anna), unknown])
    assert.match((await ask(client, readingLine)).text, /on-request/);
  assert.deepEqual(sent(), ['fetch']);
  // A start knows the login too.
  const again = bookOf(records).restarted(clock.wallMs());
  assert.equal(again.find(item.id)?.requested.bound?.login, '1009');
  assert.equal(exchanges.access.isLive(item.id), true);
  await ask(other, readingLine);
  assert.deepEqual(sent(), ['fetch', 'fetch']);
});

void test('an approval that did not count when another one arrived never counts again, also after a restart', async () => {
  const { as, exchanges, records, settings: configured } = openDesk();
  const desk = exchanges.access;
  const { id } = await requestOf(
    await as(people.anna),
    `-u|bob@example.org|--reason|x|--|mailbox subscribe|Sent`,
  );
  const [carol, dave] = [await as(people.carol), await as(people.dave)];
  await ask(carol, `||dovegate approve|${id}`);
  const { rights } = desk;
  const persons = new Map(configured.persons);
  persons.delete('carol');
  desk.turnTo({ ...rights, persons: personsOf(persons) });
  await ask(dave, `||dovegate approve|${id}`);
  desk.turnTo(rights);
  const [item] = desk.all(1);
  assert.deepEqual(column(item?.approved_by ?? [], 'principal'), ['dave@support']);
  const { book, restarted } = bookOf(records);
  const again = restarted(Date.now());
  for (const each of [book, again]) assert.equal(each.find(id)?.approvals.length, 1);
  const last = await ask(carol, `||dovegate approve|${id}`);
  assert.deepEqual([last.item?.state, last.item?.approved_by.length], ['granted', 2], last.text);
});

void test('the record of a search that counts mails for a request names it', async () => {
  const { as, recordsOf, carol } = await openTeams();
  const { id } = await requestOf(await as(people.anna), reading);
  await ask(carol, `||dovegate access|${id}`);
  const { item } = await ask(carol, `||dovegate grant|--to|anna@support|${unasked}`);
  const admissions = recordsOf('admission');
  const counts = admissions.filter(({ command }) => command === 'search');
  assert.deepEqual(columns(counts, 'principal', 'request'), [
    ['anna@support', id],
    ['carol@support', id],
    ['carol@support', item?.id],
  ]);
  const asked = new Map(admissions.map((record) => [record.id, record.command]));
  assert.deepEqual(
    counts.map(({ for: exchange }) => asked.get(exchange)),
    ['dovegate request', 'dovegate access', 'dovegate grant'],
  );
});

void test('access without approval counts for a day, also after its review and a restart', async () => {
  const { records, clock, anna, carol } = await openTeams();
  for (let count = 0; count < 3; count += 1) {
    const { id } = await requestOf(anna, emergency);
    await ask(anna, `||dovegate revoke|${id}`);
    await ask(carol, `||dovegate review|${id}`);
  }
  assert.deepEqual((await ask(carol, '||dovegate requests')).items, []);
  const again = bookOf(records).restarted(clock.wallMs());
  assert.equal(again.size, 3);
  assert.deepEqual(again.carried(clock.wallMs() + 90_000_000), []);
});

void test('what was asked before a wait is asked again after it: a lock, the right to approve', async () => {
  const acts = {
    request: ['anna', () => Promise.resolve(`||dovegate request|${emergency}`)],
    grant: ['carol', () => Promise.resolve(`||dovegate grant|--to|anna@support|${unasked}`)],
    approve: [
      'carol',
      async (anna: MemoryClient) => `||dovegate approve|${(await requestOf(anna, reading)).id}`,
    ],
  } as const;
  for (const [act, [who, lineOf]] of Object.entries(acts)) {
    for (const change of ['locked', 'right taken'] as const) {
      // Whoever asks for access has no right to approve that could be taken.
      if (act === 'request' && change === 'right taken') continue;
      for (const wait of ['turn', 'record'] as const) {
        const { as, exchanges, setJournal, records, anna, carol } = await openTeams();
        const desk = exchanges.access;
        const line = await lineOf(anna);
        setJournal('hold-access');
        const dave = await as(people.dave);
        // Its record is waited for, and what comes next waits for its turn.
        if (wait === 'turn') await dave.line(`||dovegate grant|--to|anna@support|${unasked}`);
        await settle();
        const client = { anna, carol }[who];
        await client.line(line);
        await settle();
        if (change === 'locked') lock(exchanges, who);
        else takeRight(exchanges);
        setJournal('take');
        await settle();
        const what = `${act}, ${change} while it waits for its ${wait}: ${client.said()}`;
        const given = wait === 'turn' && change === 'locked' ? 1 : 0;
        assert.equal(desk.counts.grants, given, what);
        assert.match(
          client.said(),
          /\[(?:access-denied|access-changed|changed-meanwhile)\]\n?.*-(?:NOPERM|TEMPFAIL)/s,
          what,
        );
        const restarted = bookOf(records).restarted(exchanges.clock.wallMs());
        assert.equal([...restarted.entries].filter(({ state }) => state === 'granted').length, given, what);
      }
    }
  }
});

// Goal: each second question of the desk, asked of it alone: what comes before it, and what is awaited between, is the same.
void test('each step asks again after its wait, before anything is recorded or shown', async () => {
  const rule = '{ command: expunge, approvals: 2, for: 30m }';
  /** Carol and dave, as they ask the desk itself; their mails are counted when `counted` is called. */
  const open = async () => {
    const teams = await openTeams([rule]);
    const { exchanges, setJournal, setMails, records } = teams;
    const desk = exchanges.access;
    const askerOf = (name: 'carol' | 'dave'): Asker =>
      asking(desk.rights, 'leads', people[name].uid, `name:${name}`, `person:${name}`);
    setMails(5);
    const line = '-u|bob@example.org|--reason|x|--|expunge|mailbox|Trash|all';
    const { id } = await requestOf(teams.anna, line);
    const counting: (() => void)[] = [];
    const count = (matches: number) => () =>
      new Promise<number>((resolve) => void counting.push(() => resolve(matches)));
    const counted = (): void => {
      for (const each of counting.splice(0)) each();
    };
    const steps = (of = id): readonly unknown[] =>
      records.flatMap(({ record }) =>
        record.request === of && record.event === 'access' ? [record.action] : [],
      );
    const reload = (): void => void desk.turnTo({ ...desk.rights });
    /** Holds the turn, until the journal takes again. */
    const holdTurn = async (): Promise<void> => {
      setJournal('hold-access');
      await (await teams.as(people.dave)).line(`||dovegate grant|--to|anna@support|${unasked}`);
      await settle();
    };
    return { ...teams, desk, id, askerOf, count, counted, steps, reload, holdTurn };
  };
  const result = async (asked: Promise<AccessResult>) => {
    const found = await asked;
    return found.kind === 'done' ? 'done' : found.code;
  };
  // While the mails of a request are counted that is shown.
  for (const change of ['locked', 'reload'] as const) {
    const { desk, id, askerOf, count, counted, exchanges, reload } = await open();
    const shown = desk.show(askerOf('carol'), id, count(7));
    await settle();
    if (change === 'locked') lock(exchanges, 'carol');
    else reload();
    counted();
    assert.equal(await result(shown), change === 'locked' ? 'access-denied' : 'access-changed', change);
  }
  // While they are counted for an approval; a reload turns every right.
  {
    const { desk, id, askerOf, count, counted, steps, reload } = await open();
    assert.equal(await result(desk.show(askerOf('carol'), id, async () => 5)), 'done');
    const approved = desk.decide(askerOf('carol'), 'approve', { id }, count(5));
    await settle();
    reload();
    counted();
    assert.equal(await result(approved), 'access-changed');
    assert.deepEqual(steps(), ['requested']);
  }
  // While an approval waits for its turn: the request is withdrawn, or another approval is for fewer mails than match now.
  for (const change of ['revoked', 'reload'] as const) {
    const { desk, id, askerOf, anna, setJournal, steps, holdTurn, reload } = await open();
    const five = async (): Promise<number> => 5;
    assert.equal(await result(desk.show(askerOf('carol'), id, five)), 'done');
    await holdTurn();
    const approved = desk.decide(askerOf('carol'), 'approve', { id }, five);
    await settle();
    if (change === 'revoked') await anna.line(`||dovegate revoke|${id}`);
    else reload();
    await settle();
    setJournal('take');
    assert.equal(await result(approved), change === 'revoked' ? 'access-unknown' : 'access-changed', change);
    assert.equal(steps().includes('approved'), false, `${change}: ${steps().join(' ')}`);
  }
  // The approval before it is for fewer mails than match now, and was recorded in that time.
  {
    const { desk, id, askerOf, setJournal, steps } = await open();
    const approve = async (who: 'carol' | 'dave', matches: number) => {
      const count = async (): Promise<number> => matches;
      assert.equal(await result(desk.show(askerOf(who), id, count)), 'done');
      setJournal('hold-access');
      const approved = desk.decide(askerOf(who), 'approve', { id }, count);
      await settle();
      return [approved];
    };
    const [carols = assert.fail()] = await approve('carol', 5);
    const [daves = assert.fail()] = await approve('dave', 9);
    setJournal('take');
    assert.deepEqual([await result(carols), await result(daves)], ['done', 'access-changed']);
    assert.deepEqual(steps(), ['requested', 'approved']);
  }
  // While its record is written, the request is withdrawn; it ends once, also where the record fails.
  for (const mode of ['take', 'refuse'] as const) {
    const { desk, askerOf, anna, setJournal, steps, clock } = await open();
    const { id } = await requestOf(anna, reading);
    setJournal('hold-access');
    const approved = desk.decide(askerOf('carol'), 'approve', { id }, async () => 5);
    await settle();
    await anna.line(`||dovegate revoke|${id}`);
    await settle();
    setJournal(mode);
    assert.equal(await result(approved), mode === 'take' ? 'access-changed' : 'access-unrecorded');
    assert.deepEqual([desk.counts.grants, desk.isLive(id)], [0, false]);
    setJournal('take');
    await clock.advance(2_000);
    const ends = steps(id).filter((step) => step === 'revoked' || step === 'ended');
    assert.deepEqual(ends, ['revoked'], mode);
  }
  // A request and a grant of somebody locked are not recorded, nor one above the limit.
  for (const [line, who] of [
    [`||dovegate request|${reading}`, 'anna'],
    [`||dovegate grant|--to|anna@support|${reading}`, 'carol'],
  ] as const) {
    const { exchanges, records, setJournal, holdTurn, ...teams } = await open();
    await holdTurn();
    await teams[who].line(line);
    await settle();
    lock(exchanges, who);
    setJournal('take');
    await settle();
    const asked = records.filter(
      ({ record }) => record.event === 'access' && record.reason === 'ticket 4711',
    );
    assert.deepEqual(asked, [], `${line}: ${teams[who].said()}`);
  }
  {
    const { desk, anna, as, setJournal, holdTurn } = await open();
    await holdTurn();
    const clients = [anna, await as(people.anna), await as(people.anna)];
    for (const client of clients) await client.line(`||dovegate request|${reading}`);
    await settle();
    setJournal('take');
    await settle();
    const texts = clients.map((client) => client.said());
    // With that of the stage, three are open.
    assert.equal(desk.counts.requests, 3, texts.join());
  }
});

void test('who is locked while a question is recorded is shown nothing', async () => {
  for (const lineOf of [() => '||dovegate requests', (id: string) => `||dovegate access|${id}`]) {
    const { exchanges, setJournal, anna, carol } = await openTeams();
    const { id } = await requestOf(anna, reading);
    const line = lineOf(id);
    setJournal('hold');
    const before = carol.said().length;
    await carol.line(line);
    await settle();
    lock(exchanges, 'carol');
    setJournal('take');
    await settle();
    const said = carol.said().slice(before);
    assert.ok(said.includes('[locked]') && !said.includes(id), `${line}: ${said}`);
  }
});

void test('an approval is for the number that its approver was shown, also where another one counted meanwhile', async () => {
  const { as, setJournal, setMails, anna, carol } = await openTeams([
    '{ command: expunge, approvals: 1, for: 30m }',
  ]);
  const dave = await as(people.dave);
  setMails(5);
  const { id } = await requestOf(anna, '-u|bob@example.org|--reason|x|--|expunge|mailbox|Trash|all');
  assert.equal((await ask(carol, `||dovegate access|${id}`)).item?.matches, 5);
  setJournal('hold-access');
  await (await as(people.dave)).line(`||dovegate grant|--to|anna@support|${unasked}`);
  await settle();
  await carol.line(`||dovegate approve|${id}`);
  await settle();
  setMails(50);
  const seen = await ask(dave, `||dovegate access|${id}`);
  assert.equal(seen.item?.matches, 50, seen.text);
  setJournal('take');
  await settle();
  assert.match(carol.said(), /50 mails match now, and 5 were shown; approve it again/);
});

void test('a user of persons whose uid was never known could be whoever asked: nothing is approved', async () => {
  const { as, exchanges, settings: configured, anna, carol } = await openTeams();
  const desk = exchanges.access;
  const { id } = await requestOf(await as(people.anna), reading);
  const isUnknown = (name: string): boolean => name === 'dave';
  const persons = new Persons(configured.persons, {
    uidsOf: (name) => (isUnknown(name) ? [] : [uids[name] ?? 0]),
    isUnknown,
    uidOf: (name) => (isUnknown(name) ? undefined : uids[name]),
  });
  desk.turnTo({ ...desk.rights, persons });
  await assertSays(carol, `approve|${id}`, /the uid of "dave".*\[access-identity\]/);
  await assertSays(anna, `request|${reading}`, /\[access-identity\]/);
  persons.learn(knownUids(uids));
  await assertState(carol, `approve|${id}`, 'granted');
});

void test('one human with many uids has one share of requests, and of access without approval', async () => {
  const { as } = openDesk();
  // The owner of the range of sub-uids.
  const from = (at: number) => ({ ...people.anna, uid: 100_000 + at, rangeOwners: [{ uid: 1001 }] });
  const asks: string[] = [];
  for (let at = 0; at < 5; at += 1)
    asks.push((await ask(await as(from(at)), `||dovegate request|${reading.replace('4711', `${at}`)}`)).text);
  assert.equal(asks.filter((text) => /"state":"requested"/.test(text)).length, 3);
  assert.match(asks.at(-1) ?? '', /3 of your requests wait/);
  const { as: later } = openDesk();
  const broken: string[] = [];
  for (let at = 10; at < 16; at += 1)
    broken.push((await ask(await later(from(at)), `||dovegate request|${emergency}`)).text);
  assert.equal(broken.filter((text) => /"state":"granted"/.test(text)).length, bounds.accessBroken);
  assert.match(broken.at(-1) ?? '', /access without approval is given 3 times a day/);
});

void test('access without approval is counted on where the owner of a range gets or loses its uid', async () => {
  const away = { ...people.anna, uid: 100_001, user: undefined, rangeOwners: [{ user: 'anna' }] };
  const back = { ...away, rangeOwners: [{ uid: 1001, user: 'anna' }] };
  for (const [first, then] of [
    [away, { ...back, uid: 100_002 }],
    [away, people.anna],
    [people.anna, away],
    [back, people.anna],
  ] as const) {
    const { as } = openDesk();
    for (let at = 0; at < bounds.accessBroken; at += 1) await requestOf(await as(first), emergency);
    await assertSays(await as(then), `request|${emergency}`, /3 times a day/);
  }
});

void test('a container whose owner in /etc/subuid is unknown, or no user, gets nothing that somebody must approve', async () => {
  const { as } = openDesk();
  const from = (rangeOwners: Peer['rangeOwners']) =>
    as({ ...people.anna, uid: 100_001, user: undefined, rangeOwners });
  for (const owners of [
    'unknown',
    [{ user: 'mall' }],
    [{ uid: 1001, user: 'anna' }, { user: 'mall' }],
  ] as const)
    await assertSays(await from(owners), `request|${reading}`, /\[access-identity\]/);
  const gone = await from([{ user: 'mall', isGone: true }]);
  for (const wish of [reading, emergency])
    await assertSays(gone, `request|${wish}`, /gives uid 100001 to mall, and there is no such user/);
});

// bounds.accessKeptPercent
void test('each policy has a share of the places, and some are for emergencies only', async () => {
  const { exchanges, settings: configured } = openDesk();
  const limits = new AccessLimits(createFakeClock());
  const book = new AccessBook();
  const policies = new Map([
    ...configured.policies,
    ['other', { ...(exchanges.access.rights.policies.get('support') ?? assert.fail()) }],
  ]);
  const whyNot = (policy: string, isBreakGlass = false) =>
    limits.whyNoPlace(policy, { book, policies }, isBreakGlass);
  const share = (bounds.accessRequests * (100 - bounds.accessKeptPercent)) / 100 / 2;
  for (let at = 0; at < share; at += 1) {
    assert.equal(whyNot('support'), undefined, `${at}`);
    book.follow(requestRecord(`R${at}`, 0, { policy: 'support' }));
  }
  assert.match(whyNot('support') ?? '', /too many requests or grants of policy support are open here/);
  assert.equal(whyNot('other'), undefined);
  assert.equal(whyNot('support', true), undefined);
  for (let at = 0; at < bounds.accessRequests; at += 1)
    book.follow(requestRecord(`S${at}`, 0, { policy: 'gone' }));
  assert.match(whyNot('other', true) ?? '', /too many requests or grants are open here/);
});

// bounds.accessListed
void test('a long list comes in pages, and a client of the library gets all of it', async () => {
  const { exchanges, carol } = await openTeams();
  const desk = exchanges.access;
  const rule = desk.rights.policies
    .get('support')
    ?.onRequest.find(({ command }) => command === 'mailbox list');
  assert.ok(rule !== undefined);
  const users = ['bob@example.org'];
  const wish = {
    rule,
    users,
    case: undefined,
    command: 'mailbox list',
    args: [],
    effect: 'read',
    reason: 'x',
    line: 'x',
    words: [],
  } as const;
  for (let at = 0; at < 2 * bounds.accessListed + 10; at += 1) {
    const asker = asking(desk.rights, 'support', 50_000 + at);
    const asked = await desk.request(asker, { ...wish, forMs: 1000, uses: 1 }, async () => undefined);
    assert.equal(asked.kind, 'done');
  }
  const first = await ask(carol, '||dovegate requests');
  assert.equal(first.items.length, bounds.accessListed + 1);
  assert.deepEqual(first.items.at(-1), { more: bounds.accessListed + 10 });
  const all = await createAccess(async ({ values: { after } }) => {
    const option = after === undefined ? '' : `|--after|${after}`;
    return (await ask(carol, `||dovegate requests${option}`)).items;
  }).list();
  assert.equal(new Set(all.map(({ id }) => id)).size, 2 * bounds.accessListed + 10);

  // Of those that are over, approvers see the newest: bounds.accessDecided.
  const approver = { ...asking(desk.rights, 'leads', people.carol.uid), principal: 'carol@support' };
  const ended = all.slice(0, bounds.accessDecided + 1).map(({ id }) => id);
  for (const id of ended) await desk.end(approver, id, 'refused', 'no');
  const decided = desk.decided(approver);
  assert.equal(decided.length, bounds.accessDecided);
  assert.equal(accessStateWords(decided[0] ?? assert.fail(), String), 'refused by carol@support: no');
  assert.deepEqual(desk.decided({ ...approver, identities: ['uid:1009'] }), []);
});

/** Ids of requests as R1, R2, ... in their order, no other ones; hashes as H1, H2, ... */
function createNames() {
  const ids: string[] = [];
  const hashes: string[] = [];
  const numberIn = (all: string[], text: string): number => {
    if (!all.includes(text)) all.push(text);
    return all.indexOf(text) + 1;
  };
  return {
    ids,
    named: (text: string): string =>
      text
        .replace(/\b[0-9A-HJKMNP-TV-Z]{26}\b/g, (id) => (ids.includes(id) ? `R${numberIn(ids, id)}` : 'ID'))
        .replace(/\b[0-9a-f]{64}\b/g, (hash) => `H${numberIn(hashes, hash)}`),
  };
}

/** A step of stories.txt that begins with `* `, and what it shows. */
async function actOn(desk: ReturnType<typeof openDesk>, step: string): Promise<unknown> {
  const { access } = desk.exchanges;
  const { policies } = desk.settings;
  const [, mails] = /^(\d+) mails match$/.exec(step) ?? [];
  if (mails !== undefined) return desk.setMails(Number(mails));
  const [, seconds] = /^(\S+) s later$/.exec(step) ?? [];
  if (seconds !== undefined) return desk.clock.advance(Number(seconds) * 1_000);
  const mode = journalModes.find((each) => step === `the journal: ${each}`);
  if (mode !== undefined) return desk.setJournal(mode);
  const [, name = '', wish] = /^lock (\w+ )?(\{.*\})$/.exec(step) ?? [];
  const nobody = { to: undefined, identities: undefined, forMs: undefined };
  if (wish !== undefined)
    return lock(desk.exchanges, name.trim(), { ...(name === '' && nobody), ...JSON.parse(wish) });
  const [, changes] = /^persons (.*)$/.exec(step) ?? [];
  if (changes !== undefined) {
    const persons = new Map<string, Person>(desk.settings.persons);
    for (const [sign, ...rest] of changes.split(' '))
      if (sign === '-') persons.delete(rest.join(''));
      else persons.set(rest.join(''), personOf(rest.join('')));
    return access.turnTo({ ...access.rights, persons: personsOf(persons) });
  }
  const [, most] = /^for operators (\d)$/.exec(step) ?? [];
  // bounds.accessShown
  if (most !== undefined) return access.all(Number(most));
  switch (step) {
    case 'counts':
      return access.counts;
    case 'leads approve nothing':
      return takeRight(desk.exchanges);
    case 'no policies':
      return access.turnTo({ ...access.rights, policies: new Map() });
    case 'the policies again':
      return access.turnTo({ ...access.rights, policies });
    case 'over, for dave':
      return access.decided(asking({ ...access.rights, policies }, 'leads', people.dave.uid, 'person:dave'));
    default:
      // A use of her grants, as anna@support under a policy.
      return access.grantsOf({
        ...asking(
          { ...access.rights, policies },
          step.replace('grants of anna, policy ', ''),
          people.anna.uid,
          'person:anna',
        ),
        principal: 'anna@support',
      })?.grants;
  }
}

const personOf = (name: string): Person => ({
  users: [name],
  accounts: [],
  keys: [],
  page: [],
  oidc: undefined,
});

// A step: `WHO LINE`, where a line without a TAB at its start is an own command, and R1 the first request; or `* ` and what happens.
void test('what each step of a story says, records and sends, as stories.txt has it', async () => {
  await compareStories('test/gate/access/stories.txt', async (withs) => {
    const of = (kind: RegExp) => withs.flatMap((each) => kind.exec(each)?.slice(1) ?? []);
    const desk = openDesk(of(/^rule (.*)/));
    const { records, commands } = desk;
    const peers: Record<string, Partial<Peer>> = { ...people };
    for (const [, who = '', peer = ''] of withs.map((each) => /^(?!rule )(\w+) (.*)/.exec(each) ?? []))
      if (who !== '') peers[who] = JSON.parse(peer);
    const clients: Record<string, MemoryClient> = {};
    const { ids, named } = createNames();
    return async (step) => {
      const [before, sentBefore] = [records.length, commands.length];
      const said: unknown[] = [];
      const [, who = '', line = ''] = /^(\S+) (.*)$/.exec(step) ?? [];
      if (who === '*') said.push(await actOn(desk, line));
      else {
        clients[who] ??= await desk.as(peers[who] ?? assert.fail(step));
        const whole = (line.startsWith('|') ? line : `||dovegate ${line}`)
          .replace(/\bR(\d+)\b/g, (_, at) => ids[at - 1] ?? '')
          .replace('\\u200b', '\u200b');
        const { text, items } = await ask(clients[who], whole);
        for (const item of items) {
          if (!ids.includes(item.id)) ids.push(item.id);
          said.push(item, [accessStateWords(item, String, '; more'), whyNotWords(item)]);
        }
        said.push(...[...text.matchAll(/(?:decision|term|mails)\t[^\t]*/g)].map(([row]) => row));
        said.push(/dovegate: .*?(?=, id|\n)/.exec(text)?.[0], /\n([+-]\w*)\n/.exec(text)?.[1]);
      }
      for (const { record, durable } of records.slice(before)) {
        const { event, action, grant, request, bound, sent: isSent, denial } = record;
        if (event === 'access' || event === 'lock') said.push({ durable, ...record });
        else if (grant !== undefined || request !== undefined)
          said.push({ event, action, durable, grant, request, bound, sent: isSent, denial });
      }
      said.push(...commands.slice(sentBefore).map(({ line: sent }) => `sent: ${sent.split('\t')[2]}`));
      return named(said.flatMap((each) => (each === undefined ? [] : [JSON.stringify(each)])).join('\n'));
    };
  });
});

test('a rule keeps nothing from the owner for longer than 30 days', () => {
  const seconds = bounds.accessQuietMs / 1000 + 1;
  assert.throws(() => openDesk([`{ command: mailbox delete, quiet: ${seconds}s }`]), /to 30d/);
});
