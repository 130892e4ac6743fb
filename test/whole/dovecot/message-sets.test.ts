// Goal: a query selects through the daemon exactly what the same words select at Dovecot's own socket: message sets with `*`, and
// the INBOX in small letters, which a server compares letter by letter beside a mask, a NOT or an OR.
// Phases, for each release and each storage: every query as a search, twice; then as an expunge the queries that select nothing.
// What must not happen: another mail in an answer, a mail that is gone.
import assert from 'node:assert/strict';
import type { Lab } from '../../kit/plain/dovecot-lab.js';
import { openRawClient, type RawClient } from '../../kit/plain/raw-client.js';
import { alice, backendPassword, onDovecot, openRealDovecot, openRealGateway } from './real-gateway.js';

const sets = ['*', '*:1', '2:*', '*:2', '99:*', '*:99', '1,*', '*,1', '*:*', '1,', '3:1,*', '1:4294967295'];

/** A set in the INBOX: of positions, of UIDs, under NOT, in an OR. */
const setQueries = sets.flatMap((set) => [
  `mailbox INBOX ${set}`,
  `mailbox INBOX uid ${set}`,
  `mailbox INBOX x-real-uid ${set}`,
  `mailbox INBOX not ${set}`,
  `mailbox INBOX not uid ${set}`,
  `mailbox INBOX ( 2 or ${set} )`,
  `mailbox * ${set}`,
  `mailbox Drafts ${set}`,
]);

const nameQueries = [
  'mailbox inbox all',
  'mailbox inbox mailbox INBOX all',
  'not mailbox inbox mailbox * all',
  'not ( mailbox inbox seen ) mailbox * all',
  'mailbox inbo% all',
  'mailbox inbox* all',
  'mailbox inbox.* all',
  'mailbox inbox/* all',
];
/** Nothing is in them: the server finds no mailbox of that very name. */
const emptyQueries = [
  'mailbox inbox mailbox * all',
  'mailbox inbox mailbox I* all',
  'mailbox inbox not mailbox Trash all',
  'mailbox Inbox not mailbox T* all',
  '( mailbox inbox or mailbox Trash ) all',
  'mailbox INBOX uid *',
  'mailbox Drafts *',
];

/** Two mailboxes that differ in the case of INBOX alone; only storages whose separator is `/` can have both. */
const lowerName = 'inbox.Sub';
const upperName = 'INBOX.Sub';

function configOf(lab: Lab, storage: 'maildir' | 'mdbox'): string {
  const password = `doveadm_password = ${backendPassword}\n`;
  if (storage === 'maildir') return password;
  const home = `${lab.inRoot(lab.folder)}/mail/mdbox/`;
  const location =
    lab.series === '2.3'
      ? `mail_location = mdbox:${home}%u`
      : `mail_driver = mdbox\nmail_path = ${home}%{user}\nmailbox_list_layout = fs`;
  return `${password}${location}\nnamespace inbox {\n  separator = /\n}\n`;
}

/** What it prints and the status after it. */
async function answerOf(client: RawClient, fields: readonly string[]): Promise<string> {
  const { body, status } = await client.ask({ user: alice, fields });
  return `${body.toString().trimStart()}${status}`;
}

async function fill(client: RawClient): Promise<void> {
  for (const name of ['Drafts', lowerName, upperName]) {
    assert.equal(await answerOf(client, ['mailbox create', name]), '+');
  }
  for (const mailbox of ['INBOX', 'INBOX', 'INBOX', 'INBOX', lowerName, upperName]) {
    client.sendCommand({ user: alice, fields: ['save', '-m', mailbox] });
    client.send('Subject: one\n\ntext\n.');
    assert.equal((await client.readReply()).status, '+');
  }
}

onDovecot('a query selects the same mails through the daemon', openRealDovecot, async (t, lab) => {
  for (const storage of ['maildir', 'mdbox'] as const) {
    await t.test(storage, async (sub) => {
      await lab.writeExtraConf(configOf(lab, storage));
      const own = await openRawClient({ path: lab.unixPreauth, minor: 2 });
      sub.after(() => own.close());
      if (storage === 'mdbox') await fill(own);
      const gateway = await openRealGateway(sub, lab, {
        policy: `
    users: ["*@example.org"]
    allow:
      - { command: search, content: true }
      - expunge
      - mailbox delete`,
      });
      const client = await gateway.client({ minor: 2 });
      const compare = async (query: string): Promise<string> => {
        const fields = ['search', ...query.split(' ')];
        const direct = await answerOf(own, fields);
        assert.equal(await answerOf(client, fields), direct, query);
        return direct;
      };
      const everything = await compare('mailbox * all');
      assert.notEqual(await compare('mailbox INBOX *'), '+');
      for (const query of [...setQueries, ...nameQueries]) await compare(query);
      for (const query of emptyQueries) {
        assert.equal(await compare(query), '+', query);
        assert.equal(await answerOf(client, ['expunge', ...query.split(' ')]), '+', query);
        assert.equal(await compare('mailbox * all'), everything, query);
      }
      if (storage === 'mdbox') {
        // A storage whose separator is "/" takes "." for a letter.
        await compare(`mailbox ${lowerName} all`);
        assert.equal(await answerOf(client, ['mailbox delete', lowerName]), '+');
        assert.notEqual(await compare(`mailbox ${upperName} all`), '+');
      }
      await gateway.finish();
    });
  }
});
