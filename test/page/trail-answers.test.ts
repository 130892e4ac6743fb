// Who gets what at the socket of the page: the table of roles, endpoint by endpoint; no record, no answer; a change of the configuration
// while a search runs.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lookPath, looks } from '../../src/evidence/views/look.js';
import { DoorFault } from '../../src/gate/door/door-client.js';
import { formatExtractHead } from '../../src/gate/door/extract-head.js';
import { formatFilter } from '../../src/gate/door/filter.js';
import type { TextAnswer } from '../../src/host/http/server.js';
import { JournalFault } from '../../src/host/ports/faults.js';
import { isSignedBy } from '../../src/journal/records/ledger.js';
import type { Endpoint } from '../../src/page/answers/endpoints.js';
import { type PageCaller, type PageRequest, Refusal, replyOf } from '../../src/page/http/page-request.js';
import type { SocketPeer } from '../../src/page/http/people-socket.js';
import { createPageAnswers, createTrailHandlers, type PageParts } from '../../src/page/trail-answers.js';
import type { PagePerson } from '../../src/rules/config/settings.js';
import type { PageRole } from '../../src/rules/identity/roles.js';
import { makeSignKey, parseSignKey } from '../../src/rules/keys/sign-key.js';
import { doorHead } from '../kit/gate/now.js';

const signer = parseSignKey(makeSignKey().secretPem);
const who: SocketPeer = { uid: 5, pid: 7, user: 'root' };
const from = ['uid=5', 'pid=7', 'user=root'];
const fromCarol = ['address=192.0.2.7'];
const head = { ...doorHead, ownKey: signer.key };

function desk(
  more: {
    person?: Partial<PagePerson>;
    read?: PageParts['looks']['read'];
    append?: () => Promise<void>;
    flushed?: () => Promise<void>;
    refuse?: string;
  } = {},
) {
  const records: unknown[] = [];
  const logged: string[] = [];
  const asked: unknown[] = [];
  const checks: PageRequest[] = [];
  let person: PagePerson | undefined = { name: 'alice', user: 'alice', roles: ['audit'], ...more.person };
  const parts: PageParts = {
    log: { report: ({ text }: { readonly text?: string | undefined }) => void logged.push(text ?? '') },
    daemon: {
      told: { head },
      async record({ name: by, from: where }, note): Promise<void> {
        await more.append?.();
        records.push({ by, from: where, ...note });
      },
      flush: more.flushed ?? (() => Promise.resolve()),
      async sign({ name: by, from: where }, { facts, filter, after, rows }) {
        await more.append?.();
        const words = formatFilter(filter);
        records.push({ by, action: 'audit-extract', from: where, args: [...words, ...after], rows });
        const users = person?.users;
        const { key } = signer;
        const text = formatExtractHead({ ...facts, timeMs: 17, by, users, filter: words, rows, key });
        return { head: text, signature: signer.sign(text) };
      },
    },
    people: { byUid: (uid: number) => (uid === 5 ? person : undefined), whyLocked: () => undefined },
    link: () => undefined,
    looks: {
      read: async (...task: Parameters<PageParts['looks']['read']>) => {
        asked.push(task[0]);
        const facts = { fromSeq: 1, toSeq: 4, isDamaged: false, sha256: 'ab' };
        return (await more.read?.(...task)) ?? { text: '{"end":{"rows":3}}\n', rows: 3, extract: facts };
      },
    },
    handlers: {
      verify: (request) => {
        checks.push(request);
        if (more.refuse !== undefined) return Promise.reject(new Refusal(503, more.refuse));
        return Promise.resolve({ status: 200, type: 'text/event-stream', pieces: checked() });
      },
      report: () => Promise.reject(new Error('not asked')),
    },
  };
  const answer = createPageAnswers(parts);
  const handlers = createTrailHandlers(parts);
  let isStill = true;
  const askPage = async (endpoint: Endpoint, body: string, caller: Partial<PageCaller> = {}) => {
    const carol: PageCaller = { name: 'carol', roles: ['audit'], users: undefined, from: fromCarol };
    const { signal } = new AbortController();
    const asking = {
      endpoint,
      params: [],
      body,
      who: { ...carol, ...caller },
      isStill: () => isStill,
      signal,
    };
    const reply = await replyOf(handlers, asking, parts.log);
    assert.ok('body' in reply);
    return reply;
  };
  const ask = (path: string, body = '{"wanted":"X"}', peer = who): Promise<TextAnswer> =>
    answer({ path, body, who: peer, signal: new AbortController().signal });
  const leave = (): boolean => (isStill = false);
  const replace = (next: PagePerson | undefined) => (person = next);
  return { ask, askPage, leave, records, logged, asked, checks, replace };
}

const ofJournal = ['search', 'histogram', 'export', 'extract', 'survey', 'requests', 'show'] as const;

// oxlint-disable-next-line typescript/require-await -- pieces of a check come one by one
async function* checked(): AsyncGenerator<string> {
  yield 'event: result\ndata: {}\n\n';
}

void test('a look waits for the records of the last moment, and goes on where the disk takes none', async () => {
  const readBefore: number[] = [];
  const { ask, asked } = desk({
    flushed: () => {
      readBefore.push(asked.length);
      return readBefore.length === 1
        ? Promise.resolve()
        : Promise.reject(new JournalFault('deadline', 'the disk is slow'));
    },
  });
  assert.equal((await ask(lookPath('show'))).status, 200);
  assert.equal((await ask(lookPath('show'))).status, 200);
  assert.deepEqual([readBefore, asked.length], [[0, 1], 2]);
});

void test('role by endpoint', async () => {
  const roles: readonly PageRole[] = ['view', 'operate', 'audit'];
  const table = new Map<string, string[]>();
  for (const role of roles) {
    const { ask, records } = desk({ person: { roles: [role] } });
    const given: string[] = [];
    table.set(role, given);
    for (const look of looks) {
      const { status, body } = await ask(lookPath(look));
      if (status === 200) given.push(look);
      else {
        assert.equal(status, 403);
        assert.match(body, /^alice has the role "\w+", which may not ask for \w+: that needs "audit"\n$/);
      }
    }
    for (const path of '/reload /kill/X /backend/mail1/drain /status.json / /trail/__proto__'.split(' ')) {
      const { status, body } = await ask(path);
      assert.equal(status, 404, path);
      assert.match(body, /^this is the page's socket: /);
    }
    assert.equal(records.length, role === 'audit' ? looks.length - 1 : 1);
  }
  const told = [...table].map(([role, given]) => `${role}: ${given.join(' ')}`);
  assert.deepEqual(told, [
    'view: me verify',
    'operate: me verify',
    'audit: me verify search histogram export extract report survey requests show',
  ]);
});

void test('the journal is read as the person may see it, and the record says who asked for what and how much it was', async () => {
  const { ask, records, asked } = desk({ person: { users: ['*@example.com'] } });
  const filter = { user: 'bob@other.org' };
  await ask('/trail/search', JSON.stringify({ filter, cursor: { after: 9, open: [] } }));
  const task = { look: 'search', filter, cursor: { after: 9, open: [] } };
  const users = ['*@example.com'];
  assert.deepEqual(asked, [{ directory: '/audit', asked: task, users, ownKey: signer.key }]);
  const args = ['user=bob@other.org', 'after=9'];
  assert.deepEqual(records, [{ action: 'audit-search', by: 'alice', from, args, rows: 3 }]);
});

void test('whoever is no auditor sees no word of a record in a verification either', async () => {
  for (const role of ['view', 'operate'] as const) {
    const { ask, asked } = desk({ person: { roles: [role] } });
    await ask('/trail/verify');
    assert.deepEqual(Object(asked[0]).users, []);
  }
  const { ask, asked } = desk();
  await ask('/trail/verify');
  assert.equal(Object(asked[0]).users, undefined);
});

void test('an extract is signed with its view and its question', async () => {
  const { ask } = desk({ person: { users: ['*@example.com'] } });
  const { body } = await ask('/trail/extract', '{"filter":{"user":"a@example.com"}}');
  const { head: text, signature } = JSON.parse(body.split('\n')[1] ?? '').signed;
  assert.ok(isSignedBy(signer.key, text, signature));
  const { view, filter, by, rows } = JSON.parse(text);
  assert.deepEqual([view, filter, by, rows], [['*@example.com'], ['user=a@example.com'], 'alice', 3]);
  assert.equal((await ask('/trail/search', '{}')).body, '{"end":{"rows":3}}\n');
});

void test('nobody who is not named is told more than that', async () => {
  const { ask, records, asked } = desk();
  for (const peer of [
    { uid: 6, user: 'eve' },
    { uid: 0, user: 'eve' },
  ]) {
    for (const path of ['/trail/search', '/trail/me', '/nothing']) {
      const { status, body } = await ask(path, '{}', peer);
      assert.equal(status, 403);
      assert.match(body, /^eve is not in admin\.page\.people/);
    }
  }
  assert.deepEqual([records, asked], [[], []]);
});

void test('without a record there is no answer', async () => {
  const fails = desk({ append: () => Promise.reject(new JournalFault('deadline', 'the disk is full')) });
  const { status, body } = await fails.ask('/trail/search', '{}');
  assert.equal(status, 503);
  assert.doesNotMatch(body, /rows/);
  assert.deepEqual(fails.logged, ['/trail/search: the disk is full']);
});

void test('who is taken out or narrowed while a search runs gets nothing of it', async () => {
  const changes: readonly (PagePerson | undefined)[] = [
    undefined,
    { name: 'alice', user: 'alice', roles: ['view'] },
    { name: 'alice', user: 'alice', roles: ['audit'], users: ['*@example.com'] },
  ];
  for (const next of changes) {
    const found = desk({
      read: () => {
        found.replace(next);
        return Promise.resolve({ text: 'secret', rows: 1 });
      },
    });
    const { status, body } = await found.ask('/trail/search', '{}');
    assert.equal(status, 409);
    assert.doesNotMatch(body, /secret/);
    assert.deepEqual(found.records, []);
    const late = desk({
      append: () => {
        late.replace(next);
        return Promise.resolve();
      },
      read: () => Promise.resolve({ text: 'secret', rows: 1 }),
    });
    assert.doesNotMatch((await late.ask('/trail/search', '{}')).body, /secret/);
  }
  // The same people in a new configuration are no change.
  const same = desk({
    read: () => {
      same.replace({ name: 'alice', user: 'alice', roles: ['audit'] });
      return Promise.resolve({ text: 'rows', rows: 1 });
    },
  });
  assert.equal((await same.ask('/trail/search', '{}')).status, 200);
});

void test('what cannot be read is told in a sentence, and what takes too long as well', async () => {
  const broken = desk({ read: () => Promise.reject(new JournalFault('unreadable', 'EIO')) });
  assert.equal((await broken.ask('/trail/search', '{}')).status, 503);
  assert.deepEqual(broken.logged, ['/trail/search: EIO']);
  const busy = desk({ read: () => Promise.reject(new Refusal(503, '3 searches run already')) });
  const { status, body } = await busy.ask('/trail/search', '{}');
  assert.deepEqual([status, body, busy.logged], [503, '3 searches run already\n', []]);
  const bad = await busy.ask('/trail/search', 'zuluq7');
  assert.deepEqual([bad.status, bad.body], [400, 'the request is not JSON\n']);
});

void test('the page in the browser gets the same, with a record of who asked from where', async () => {
  const { askPage, records, asked } = desk();
  const filter = { user: 'bob@other.org' };
  const users = ['*@example.com'];
  const newest = { before: 90, rows: 50 };
  const { status, body } = await askPage('search', JSON.stringify({ filter, newest }), { users });
  assert.deepEqual([status, body], [200, '{"end":{"rows":3}}\n']);
  assert.deepEqual(Object(asked[0]).users, users);
  const carols = (how: string) => ({
    action: 'audit-search',
    by: 'carol',
    from: fromCarol,
    args: ['user=bob@other.org', how],
    rows: 3,
  });
  assert.deepEqual(records, [carols('before=90')]);
  const histogram = await askPage('histogram', JSON.stringify({ filter }), { users });
  assert.equal(histogram.type, 'application/json; charset=utf-8');
  assert.deepEqual(Object(asked[1]).asked, { look: 'histogram', filter });
  assert.deepEqual(Object(records[1]), carols('as=histogram'));
  const extract = await askPage('extract', '{"as":"json"}');
  const { signed, notes } = JSON.parse(extract.body.split('\n')[1] ?? '');
  assert.ok(isSignedBy(signer.key, signed.head, signed.signature));
  assert.match(notes.join('\n'), /^# dovegate audit extract 1/);
});

void test('the page refuses in sentences: a role, a broken request, a session that ended, a journal without room', async () => {
  const { askPage, leave, records, asked } = desk();
  const textOf = ({ status, body }: { status: number; body: string }): string =>
    `${status} ${JSON.parse(body).text}`;
  for (const role of ['view', 'operate'] as const)
    for (const endpoint of ofJournal)
      assert.equal(
        textOf(await askPage(endpoint, '{"wanted":"X"}', { roles: [role] })),
        `403 your role may not ask for ${endpoint}`,
      );
  assert.equal(textOf(await askPage('search', 'zuluq7')), '400 the request is not JSON');
  assert.deepEqual([records, asked], [[], []]);
  leave();
  assert.match(textOf(await askPage('search', '{}')), /^409 the configuration was changed meanwhile/);
  assert.deepEqual(records, []);
  const fails = desk({ append: () => Promise.reject(new JournalFault('deadline', 'the disk is full')) });
  const full = await fails.askPage('search', '{}');
  const unread = /^503 the journal could not be read to its end, or the look could not be recorded/;
  assert.match(textOf(full), unread);
  assert.doesNotMatch(full.body, /rows/);
  assert.equal((await fails.askPage('histogram', '{}')).status, 503);
});

void test('every role may have the whole journal checked, as who the kernel says', async () => {
  const { ask, checks, replace } = desk({ person: { roles: ['view'], users: ['*@example.com'] } });
  const { status, pieces } = await ask('/page/verify');
  assert.equal(status, 200);
  assert.ok(pieces !== undefined);
  const [request] = checks;
  assert.deepEqual(request?.who, {
    name: 'alice',
    roles: ['view'],
    users: ['*@example.com'],
    from,
    opener: { uid: 5, user: 'root' },
  });
  assert.equal(request.isStill(), true);
  replace(undefined);
  assert.equal(request.isStill(), false);
  const busy = desk({ refuse: 'a check of the whole journal is being made for bob' });
  const refused = await busy.ask('/page/verify');
  const seen = [refused.status, refused.body, refused.pieces];
  assert.deepEqual(seen, [503, 'a check of the whole journal is being made for bob\n', undefined]);
});

void test('settings that were replaced, and a daemon that does not answer', async () => {
  const stale = desk({ append: () => Promise.reject(new DoorFault('stale', 'other settings')) });
  assert.equal((await stale.ask('/trail/search', '{}')).status, 409);
  assert.deepEqual(stale.logged, []);
  const away = desk({ append: () => Promise.reject(new DoorFault('away', 'nobody is there')) });
  const { status, body } = await away.ask('/trail/search', '{}');
  assert.equal(status, 503);
  assert.doesNotMatch(body, /rows/);
});
