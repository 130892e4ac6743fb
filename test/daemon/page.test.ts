// Who gets what at the socket of the page: the table of roles, endpoint by endpoint; no record, no answer; a change of the configuration while
// a search runs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Operator } from '../../src/adapters/admin/access.js';
import type { Answer } from '../../src/adapters/admin/pages.js';
import { LookRefused } from '../../src/adapters/views/looks.js';
import { createPageAnswers, type PageParts } from '../../src/daemon/page.js';
import { isSignedBy, makeSignKey, parseSignKey } from '../../src/domain/audit/ledger.js';
import type { AuditRecord } from '../../src/domain/audit/record.js';
import type { PagePerson } from '../../src/domain/config/settings.js';
import { lookPath, looks, type PageRole } from '../../src/domain/views/look.js';
import { JournalFault } from '../../src/ports/faults.js';

const place = { file: 'd.yaml', line: 1, column: 1 };
const signer = parseSignKey(makeSignKey().secretPem);
const who: Operator = { by: 'root', uid: 5, gid: 6, pid: 7, user: 'root' };

function desk(
  more: {
    person?: Partial<PagePerson>;
    read?: PageParts['looks']['read'];
    append?: () => Promise<void>;
  } = {},
) {
  const records: AuditRecord[] = [];
  const logged: string[] = [];
  const asked: unknown[] = [];
  let person: PagePerson | undefined = { name: 'alice', user: 'alice', role: 'audit', place, ...more.person };
  const parts: PageParts = {
    clock: { wallMs: () => 17 },
    log: { report: ({ text }: { readonly text?: string | undefined }) => void logged.push(text ?? '') },
    journal: {
      async appendDurable(record: AuditRecord): Promise<void> {
        await more.append?.();
        records.push(record);
      },
    },
    served: { now: { personOf: (uid: number) => (uid === 5 ? person : undefined) } },
    looks: {
      close: () => undefined,
      read: async (...task: Parameters<PageParts['looks']['read']>) => {
        asked.push(task[0]);
        const facts = { fromSeq: 1, toSeq: 4, isDamaged: false, sha256: 'ab' };
        return (await more.read?.(...task)) ?? { text: '{"end":{"rows":3}}\n', rows: 3, extract: facts };
      },
    },
    directory: '/audit',
    ownKey: signer.key,
    sign: (text: string): string => signer.sign(text),
  };
  const answer = createPageAnswers(parts);
  const ask = (path: string, body = '{"wanted":"X"}', from = who): Promise<Answer> =>
    answer({ path, body, who: from, signal: new AbortController().signal });
  return { ask, records, logged, asked, replace: (next: PagePerson | undefined) => (person = next) };
}

void test('role by endpoint', async () => {
  const roles: readonly PageRole[] = ['view', 'operate', 'audit'];
  const table: string[] = [];
  for (const role of roles) {
    const { ask, records } = desk({ person: { role } });
    for (const look of looks) {
      const { status, body } = await ask(lookPath(look));
      table.push(`${role} ${look} ${status}`);
      if (status === 403)
        assert.match(body, /^alice has the role "\w+", which may not ask for \w+: that needs "audit"\n$/);
    }
    for (const path of [
      '/reload',
      '/kill/X',
      '/backend/mail1/drain',
      '/status.json',
      '/',
      '/trail/__proto__',
    ])
      assert.equal((await ask(path)).status, 404, path);
    assert.equal(records.length, role === 'audit' ? looks.length - 1 : 1);
  }
  assert.deepEqual(
    table.filter((line) => line.endsWith('200')),
    [
      'view me 200',
      'view verify 200',
      'operate me 200',
      'operate verify 200',
      'audit me 200',
      'audit verify 200',
      'audit search 200',
      'audit export 200',
      'audit extract 200',
      'audit report 200',
      'audit survey 200',
      'audit show 200',
    ],
  );
  assert.equal(table.filter((line) => line.endsWith('403')).length, 12);
});

void test('the journal is read as the person may see it, and the record says who asked for what and how much it was', async () => {
  const { ask, records, asked } = desk({ person: { users: ['*@example.com'] } });
  const filter = { user: 'bob@other.org' };
  await ask('/trail/search', JSON.stringify({ filter, cursor: { after: 9, open: [] } }));
  assert.deepEqual(asked, [
    {
      directory: '/audit',
      asked: { look: 'search', filter, cursor: { after: 9, open: [] } },
      users: ['*@example.com'],
      ownKey: signer.key,
    },
  ]);
  assert.deepEqual(records, [
    {
      time: 17,
      event: 'operator',
      peer: { uid: 5, gid: 6, pid: 7, user: 'root' },
      action: 'audit-search',
      by: 'alice',
      args: ['user=bob@other.org', 'after=9', 'view=*@example.com'],
      rows: 3,
    },
  ]);
});

void test('whoever is no auditor sees no word of a record in a verification either', async () => {
  for (const role of ['view', 'operate'] as const) {
    const { ask, asked } = desk({ person: { role } });
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
  const { head, signature } = JSON.parse(body.split('\n')[1] ?? '').signed;
  assert.ok(isSignedBy(signer.key, head, signature));
  const { view, filter, by, rows } = JSON.parse(head);
  assert.deepEqual([view, filter, by, rows], [['*@example.com'], ['user=a@example.com'], 'alice', 3]);
  assert.equal((await ask('/trail/search', '{}')).body, '{"end":{"rows":3}}\n');
});

void test('nobody who is not named is told more than that', async () => {
  const { ask, records, asked } = desk();
  for (const from of [{ by: 'eve', uid: 6 }, { by: 'eve' }]) {
    for (const path of ['/trail/search', '/trail/me', '/nothing']) {
      const { status, body } = await ask(path, '{}', from);
      assert.equal(status, 403);
      assert.match(body, /^eve is nobody in admin\.page\.people/);
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
    { name: 'alice', user: 'alice', role: 'view', place },
    { name: 'alice', user: 'alice', role: 'audit', users: ['*@example.com'], place },
  ];
  for (const next of changes) {
    const found = desk({
      read: () => {
        found.replace(next);
        return Promise.resolve({ text: 'secret', rows: 1 });
      },
    });
    const { status, body } = await found.ask('/trail/search', '{}');
    assert.equal(status, 403);
    assert.doesNotMatch(body, /secret/);
    assert.deepEqual(found.records, []);
  }
  // The same people in a new configuration are no change.
  const same = desk({
    read: () => {
      same.replace({ name: 'alice', user: 'alice', role: 'audit', place: { ...place, line: 9 } });
      return Promise.resolve({ text: 'rows', rows: 1 });
    },
  });
  assert.equal((await same.ask('/trail/search', '{}')).status, 200);
});

void test('what cannot be read is told in a sentence, and what takes too long as well', async () => {
  const broken = desk({ read: () => Promise.reject(new JournalFault('unreadable', 'EIO')) });
  assert.equal((await broken.ask('/trail/search', '{}')).status, 503);
  assert.deepEqual(broken.logged, ['/trail/search: EIO']);
  const busy = desk({ read: () => Promise.reject(new LookRefused('3 searches run already')) });
  const { status, body } = await busy.ask('/trail/search', '{}');
  assert.deepEqual([status, body, busy.logged], [503, '3 searches run already\n', []]);
  const bad = await busy.ask('/trail/search', 'zq7');
  assert.deepEqual([bad.status, bad.body], [400, 'the request is not JSON\n']);
});
