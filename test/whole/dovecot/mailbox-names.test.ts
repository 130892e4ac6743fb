// Goal: a mailbox is one mailbox to policy under all the names that a real server has for it.
//
// First what went wrong: a deny on the INBOX was passed by another name of it, and a rule for `INBOX/*` emptied it. Then the table of
// names that each server takes for one mailbox, beside what policy makes of each.
// What must not happen: a command that a deny is for reaches its mailbox; one for other mailboxes does.
import assert from 'node:assert/strict';
import { type TestContext } from 'node:test';
import { GlobList } from '../../../src/doveadm/names/glob.js';
import { isMailboxMask, type Namespace } from '../../../src/doveadm/names/mailbox-names.js';
import type { Lab } from '../../kit/plain/dovecot-lab.js';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { openMailboxWorld } from './mailbox-world.js';
import { passesAllow, passesDeny } from './name-policy.js';
import { alice, onDovecot, openBareDovecot, openRealGateway } from './real-gateway.js';

function namespace(prefix: string, more: Partial<Namespace> = {}): Namespace {
  const separator = prefix.at(-1) ?? '/';
  return { prefix, separator, inbox: false, aliasFor: undefined, kind: 'private', ...more };
}

/** Namespaces, and another name of the INBOX in them. */
const setups: readonly (readonly [name: string, namespaces: readonly Namespace[], other: string])[] = [
  ['prefix INBOX/', [namespace('INBOX/', { inbox: true })], 'INBOX/INBOX'],
  ['prefix INBOX.', [namespace('INBOX.', { inbox: true })], 'INBOX.INBOX'],
  [
    'prefix INBOX/ and an alias for it',
    [namespace('INBOX/', { inbox: true }), namespace('Private/', { aliasFor: 'INBOX/' })],
    'Private',
  ],
];

onDovecot('the INBOX has no name that policy does not know', openBareDovecot, async (t, lab) => {
  for (const [name, namespaces, other] of setups) {
    await t.test(name, async (sub) => {
      const world = await openMailboxWorld(lab, namespaces);
      sub.after(() => world.close());
      assert.deepEqual(await world.reached('query', other), ['INBOX']);
      assert.deepEqual(await world.reached('name', other), ['INBOX']);
      const listed = JSON.stringify(namespaces.map(asYaml));
      // Without the list only names that end in INBOX are known to be doubtful.
      for (const said of /inbox$/i.test(other) ? [undefined, listed] : [listed]) {
        await rulesHold(sub, lab, said, namespaces, other);
      }
    });
  }
});

/**
 * What a name reaches: in a query, as a mask, and where a command opens it (the same as a mask where it is left out); `?`: another mailbox.
 */
type Row = readonly [name: string, query: Reached, mask?: Reached, opened?: Reached];
type Reached = string | { readonly '2.3': string; readonly '2.4': string };

const everythingPlain = 'INBOX Sub Sub/Kid Trash Ünïcode';
const belowInbox = 'INBOX/Sub INBOX/Sub/Kid INBOX/Trash INBOX/Ünïcode';
const onlyIn24 = { '2.3': '', '2.4': 'INBOX' };

/** What 2.3.19.1 and 2.4.1 take for one mailbox, measured. Trash has the special use \Trash. */
const tables: readonly {
  readonly title: string;
  readonly namespaces: readonly Namespace[];
  readonly rows: readonly Row[];
}[] = [
  {
    title: 'prefix "", separator /',
    namespaces: [namespace('', { inbox: true })],
    rows: [
      ['INBOX', 'INBOX'],
      ['inbox', 'INBOX'],
      ['INBOX/INBOX', ''],
      ['INBOX/', ''],
      ['/INBOX', ''],
      ['./INBOX', ''],
      ['~/INBOX', ''],
      ['~alice/INBOX', ''],
      ['"INBOX"', ''],
      ['INBOX ', ''],
      ['İNBOX', ''],
      ['&AEkATgBCAE8AWA-', ''],
      ['*', everythingPlain],
      ['%', 'INBOX Sub Trash Ünïcode'],
      ['inb*', 'INBOX'],
      ['I%', 'INBOX'],
      ['*INBOX', 'INBOX'],
      ['*/INBOX', ''],
      ['Sub', 'Sub'],
      ['sub', ''],
      ['Sub/', ''],
      ['/Sub', ''],
      ['Sub/Kid', 'Sub/Kid'],
      ['Sub//Kid', ''],
      ['Sub.Kid', ''],
      ['Sub/kid', ''],
      ['Sub/../Trash', ''],
      ['Trash', 'Trash'],
      ['\\Trash', ''],
      ['%54rash', ''],
      ['Ünïcode', 'Ünïcode'],
      ['Ünïcode'.normalize('NFD'), ''],
      ['ünïcode', ''],
      ['&ANw-n&AO8-code', ''],
    ],
  },
  {
    title: 'prefix INBOX/, an alias Private/, another namespace Archives/',
    namespaces: [
      namespace('INBOX/', { inbox: true }),
      namespace('Private/', { aliasFor: 'INBOX/' }),
      namespace('Archives/'),
    ],
    rows: [
      ['INBOX', 'INBOX'],
      ['inbox', 'INBOX'],
      ['INBOX/INBOX', 'INBOX'],
      ['inbox/INBOX', '', 'INBOX'],
      ['INBOX/inbox', ''],
      ['INBOX.INBOX', ''],
      ['INBOX/', ''],
      ['INBOX//INBOX', ''],
      ['INBOX/INBOX/INBOX', ''],
      ['Private', 'INBOX'],
      ['Private/', ''],
      ['Private/INBOX', onlyIn24, { '2.3': '?', '2.4': 'INBOX' }],
      ['Private/inbox', ''],
      ['private/INBOX', ''],
      ['INBOX/Sub', 'INBOX/Sub'],
      ['inbox/Sub', '', 'INBOX/Sub'],
      ['Private/Sub', 'INBOX/Sub'],
      ['private/Sub', ''],
      ['Sub', ''],
      ['INBOX/Sub/INBOX', ''],
      ['INBOX/*', belowInbox],
      ['inbox/*', belowInbox],
      ['*/INBOX', ''],
      ['*', ''],
      ['Priv*', ''],
      ['Private/S*', 'INBOX/Sub INBOX/Sub/Kid'],
      ['Private/*', belowInbox],
      ['Private/%', 'INBOX/Sub INBOX/Trash INBOX/Ünïcode'],
      ['Archives/Sub', 'Archives/Sub'],
      ['Archives/INBOX', ''],
    ],
  },
  {
    title: 'prefix Mail., whose root is the INBOX too (maildir)',
    namespaces: [namespace('Mail.', { inbox: true })],
    rows: [
      ['INBOX', 'INBOX'],
      ['Mail', 'INBOX'],
      ['mail', ''],
      ['Mail.', ''],
      ['Mail.INBOX', 'INBOX'],
      ['Mail.inbox', ''],
      ['Mail/INBOX', ''],
      ['MAIL.INBOX', ''],
      ['Mail.Sub.Kid', 'Mail.Sub.Kid'],
      ['Mail.Sub/Kid', ''],
      ['Mail.%', 'Mail.Sub Mail.Trash Mail.Ünïcode'],
      ['Mai*', ''],
      ['Mail.I*', ''],
      ['Sub', ''],
    ],
  },
];

onDovecot('the names of one mailbox, and what policy makes of them', openBareDovecot, async (t, lab) => {
  const { series } = lab;
  for (const { title, namespaces, rows } of tables) {
    await t.test(title, async (sub) => {
      const world = await openMailboxWorld(lab, namespaces);
      sub.after(() => world.close());
      for (const [name, query, mask = query, opened = mask] of rows) {
        for (const [use, reached] of [
          ['query', query],
          ['mask', mask],
          ['name', opened],
        ] as const) {
          if (use === 'name' && isMailboxMask(name)) continue;
          const expected = typeof reached === 'string' ? reached : reached[series];
          const found = (await world.reached(use, name)).toSorted().join(' ').replace('unknown', '?');
          assert.equal(found, expected, `${use} ${JSON.stringify(name)}`);
          for (const mailbox of expected.split(' ').filter((each) => each !== '' && each !== '?')) {
            const question = { use, name, series, namespaces };
            const others = [...world.plain, name].filter((each) => !new GlobList([each]).matches(mailbox));
            assert.ok(!passesDeny(question, [mailbox]), `deny ${mailbox}: ${use} ${name}`);
            if (!name.includes('%'))
              assert.ok(!passesAllow(question, others), `allow others: ${use} ${name}`);
          }
        }
      }
      await byGuid(lab, namespaces);
    });
  }
});

/** A GUID is looked for everywhere: a deny on a mailbox is for that too. */
async function byGuid({ unixPreauth, series }: Lab, namespaces: readonly Namespace[]): Promise<void> {
  const client = await openRawClient({ path: unixPreauth, minor: 2 });
  client.sendCommand({ user: alice, fields: ['fetch', 'mailbox-guid', 'mailbox', 'INBOX', 'all'] });
  const [guid = ''] = (await client.readReply()).cells;
  client.sendCommand({ user: alice, fields: ['fetch', 'mailbox-guid', 'mailbox-guid', guid, 'all'] });
  assert.equal((await client.readReply()).cells[0], guid);
  client.close();
  const question = { use: 'query', name: 'INBOX', series, namespaces, guid } as const;
  assert.ok(!passesDeny(question, ['INBOX']));
  assert.ok(!passesAllow(question, ['INBOX']));
}

/**
 * With `deny` on INBOX its other name is refused too; what `INBOX/*` is allowed, the INBOX is not, and what stands beside it is served.
 * A listener for each policy.
 */
async function rulesHold(
  t: TestContext,
  lab: Lab,
  said: string | undefined,
  namespaces: readonly Namespace[],
  other: string,
): Promise<void> {
  const prefix = namespaces[0]?.prefix ?? '';
  const patterns = JSON.stringify([...namespaces.map((each) => `${each.prefix}*`), other]);
  const gateway = await openRealGateway(t, lab, {
    policy: `
    users: ["*@example.org"]
    allow: [mailbox status, mailbox list, mailbox delete, mailbox rename, mailbox subscribe, save, copy, fetch, expunge, acl get]
    deny:
      - { command: mailbox status, where: { mailbox-mask: INBOX } }
      - { command: mailbox delete, where: { mailbox: inbox } }
      - { command: mailbox rename, where: { mailbox: INBOX } }
      - { command: mailbox subscribe, where: { mailbox: INBOX } }
      - { command: save, where: { mailbox: INBOX } }
      - { command: copy, where: { destination-mailbox: INBOX } }
      - { command: acl get, where: { mailbox: INBOX } }
      - { command: fetch, where: { query: { mailbox: INBOX } } }
      - { command: expunge, where: { query: { mailbox: INBOX } } }`,
    listeners: '  below: { unix: below.sock, mode: "0600", policy: below }',
    policies: `  below:
    users: ["*@example.org"]
    allow:
      - { command: mailbox delete, where: { mailbox: ${patterns} } }
      - { command: mailbox status, where: { mailbox-mask: ${patterns} } }
      - { command: expunge, where: { query: { mailbox: ${patterns} } } }
      - { command: fetch, where: { field: [uid], query: { mailbox: ${patterns} } } }`,
    ...(said === undefined ? {} : { namespaces: said }),
  });
  await expectRefused(gateway.daemon.path('support.sock'), [
    ['mailbox delete', other],
    ['mailbox delete', '-r', other],
    ['mailbox status', 'messages', other],
    ['mailbox rename', other, 'Elsewhere'],
    ['mailbox subscribe', other],
    ['acl get', other],
    ['copy', other, 'mailbox', 'Nothing', 'all'],
    ['fetch', 'uid', 'mailbox', other, 'all'],
    ['fetch', 'uid', 'mailbox', '*', 'all'],
    ['fetch', 'uid', 'mailbox', 'INBOX*', 'all'],
    ['fetch', 'uid', 'mailbox', '*/INBOX', 'all'],
    ['expunge', 'mailbox', other, 'all'],
  ]);
  const below = gateway.daemon.path('below.sock');
  await expectRefused(below, [
    ['mailbox delete', other],
    ['mailbox status', 'messages', other],
    ['expunge', 'mailbox', other, 'all'],
    ['fetch', 'uid', 'mailbox', other, 'all'],
  ]);
  const client = await openRawClient({ path: below, minor: 2 });
  client.sendCommand({ user: alice, fields: ['fetch', 'uid', 'mailbox', `${prefix}Sub`, 'all'] });
  assert.equal((await client.readReply()).status, '+');
  client.sendCommand({ user: alice, fields: ['mailbox status', 'messages', `${prefix}Sub`] });
  assert.equal((await client.readReply()).status, '+');
  client.close();
}

async function expectRefused(path: string, lines: readonly (readonly string[])[]): Promise<void> {
  for (const fields of lines) {
    const client = await openRawClient({ path, minor: 2 });
    client.sendCommand({ user: alice, fields });
    const { status, bodyBytes } = await client.readReply();
    assert.deepEqual([status, bodyBytes], ['-NOPERM', 0], fields.join(' '));
    client.close();
  }
}

function asYaml({ prefix, separator, inbox, aliasFor }: Namespace): Record<string, unknown> {
  return { prefix, separator, inbox, ...(aliasFor === undefined ? {} : { alias_for: aliasFor }) };
}
