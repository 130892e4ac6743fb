// Goal: a mailbox is one mailbox to policy under all the names that a real server has for it.
// The names that each server takes for one mailbox, and what policy makes of each.
// What must not happen: a command that a deny is for reaches its mailbox; one for other mailboxes does.
import assert from 'node:assert/strict';
import { GlobList } from '../../../src/doveadm/names/glob.js';
import { isMailboxMask, type Namespace } from '../../../src/doveadm/names/mailbox-names.js';
import type { Lab } from '../../kit/plain/dovecot-lab.js';
import { openMailboxWorld } from './mailbox-world.js';
import { passesAllow, passesDeny } from './name-policy.js';
import { alice, askOnce, onDovecot, openBareDovecot } from './real-gateway.js';

function namespace(prefix: string, more: Partial<Namespace> = {}): Namespace {
  const separator = prefix.at(-1) ?? '/';
  return { prefix, separator, inbox: false, aliasFor: undefined, kind: 'private', ...more };
}

/**
 * What a name reaches: in a query, as a mask, and where a command opens it (the same as a mask where it is left out); `?`: another mailbox.
 */
type Row = readonly [name: string, query: Reached, mask?: Reached, opened?: Reached];
type Reached = string | { readonly '2.3': string; readonly '2.4': string };

const everythingPlain = 'INBOX Sub Sub/Kid Trash Ünïcode';
const belowInbox = 'INBOX/Sub INBOX/Sub/Kid INBOX/Trash INBOX/Ünïcode';
const onlyIn24 = { '2.3': '', '2.4': 'INBOX' };

/** Each of them reaches nothing. */
const nowhere = (names: string): readonly Row[] => names.split(' ').map((name) => [name, '']);

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
      ['INBOX ', ''],
      ['*', everythingPlain],
      ['%', 'INBOX Sub Trash Ünïcode'],
      ['inb*', 'INBOX'],
      ['I%', 'INBOX'],
      ['*INBOX', 'INBOX'],
      ['Sub', 'Sub'],
      ['Sub/Kid', 'Sub/Kid'],
      ['Trash', 'Trash'],
      ['\\Trash', ''],
      ['Ünïcode', 'Ünïcode'],
      ['Ünïcode'.normalize('NFD'), ''],
      ...nowhere('INBOX/INBOX INBOX/ /INBOX ./INBOX ~/INBOX ~alice/INBOX "INBOX" İNBOX &AEkATgBCAE8AWA-'),
      ...nowhere('*/INBOX sub Sub/ /Sub Sub//Kid Sub.Kid Sub/kid Sub/../Trash %54rash ünïcode'),
      ...nowhere('&ANw-n&AO8-code'),
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
      ['Private', 'INBOX'],
      ['Private/INBOX', onlyIn24, { '2.3': '?', '2.4': 'INBOX' }],
      ['INBOX/Sub', 'INBOX/Sub'],
      ['inbox/Sub', '', 'INBOX/Sub'],
      ['Private/Sub', 'INBOX/Sub'],
      ['INBOX/*', belowInbox],
      ['inbox/*', belowInbox],
      ['Private/S*', 'INBOX/Sub INBOX/Sub/Kid'],
      ['Private/*', belowInbox],
      ['Private/%', 'INBOX/Sub INBOX/Trash INBOX/Ünïcode'],
      ['Archives/Sub', 'Archives/Sub'],
      ...nowhere('INBOX/inbox INBOX.INBOX INBOX/ INBOX//INBOX INBOX/INBOX/INBOX Private/ Private/inbox'),
      ...nowhere('private/INBOX private/Sub Sub INBOX/Sub/INBOX */INBOX * Priv* Archives/INBOX'),
    ],
  },
  {
    title: 'prefix Mail., whose root is the INBOX too (maildir)',
    namespaces: [namespace('Mail.', { inbox: true })],
    rows: [
      ['INBOX', 'INBOX'],
      ['Mail', 'INBOX'],
      ['Mail.INBOX', 'INBOX'],
      ['Mail.Sub.Kid', 'Mail.Sub.Kid'],
      ['Mail.%', 'Mail.Sub Mail.Trash Mail.Ünïcode'],
      ...nowhere('mail Mail. Mail.inbox Mail/INBOX MAIL.INBOX Mail.Sub/Kid Mai* Mail.I* Sub'),
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
  const guidOf = async (...query: string[]): Promise<string> => {
    const fields = ['fetch', 'mailbox-guid', ...query, 'all'];
    return (await askOnce(unixPreauth, { user: alice, fields })).cells[0] ?? '';
  };
  const guid = await guidOf('mailbox', 'INBOX');
  assert.match(guid, /^[0-9a-f]{32}$/);
  assert.equal(await guidOf('mailbox-guid', guid), guid);
  const question = { use: 'query', name: 'INBOX', series, namespaces, guid } as const;
  assert.ok(!passesDeny(question, ['INBOX']));
  assert.ok(!passesAllow(question, ['INBOX']));
}
