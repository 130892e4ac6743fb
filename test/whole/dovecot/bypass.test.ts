// Goal: what gets round a filter that compares names does not get round the daemon. Each trick is first shown to work at Dovecot's own
// socket, on this release; then it is tried through the daemon, under a policy that allows what stands beside it.
// What must not happen: one byte of a trick at Dovecot, an answer that tells anything, a mail or mailbox that is not there any more, a
// policy so narrow that the honest command is refused too.
import assert from 'node:assert/strict';
import { appendFileSync, existsSync, rmSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab, Release } from '../../kit/plain/dovecot-lab.js';
import type { Owner } from '../../kit/plain/folder.js';
import { ends } from '../../kit/plain/program.js';
import { openRawClient, type RawReply } from '../../kit/plain/raw-client.js';
import { openTcpCounter } from '../../kit/plain/tcp-counter.js';
import { until } from '../../kit/plain/until.js';
import {
  alice,
  askOnce,
  bob,
  onDovecot,
  openRealDovecot,
  openRealGateway,
  passwordSetting,
  type RealGateway,
  type RealGatewayOptions,
  realmSettings,
  userdbListener,
  victim,
} from './real-gateway.js';
import { sharedNamespace } from './shared-namespace.js';

const boss = 'boss@example.org';
const chief = 'chief@example.org';

/** A shared namespace, a realm for names without one, and a socket for questions about users. */
function settingsOf({ series }: Lab, mail: string): string {
  return passwordSetting + realmSettings[series] + sharedNamespace[series](mail) + userdbListener;
}

/** `boss` means victim, and `chief` means boss. */
const aliases = `${boss}:{plain}pw::::::userdb_user=${victim}
${chief}:{plain}pw::::::userdb_user=${boss}
`;

/** Somebody whose userdb holds passwords, as it does where mail is encrypted or lies elsewhere. */
const keeper = 'keeper@example.org';
const kept = ['Bergamot2crypt', 'Bergamot3imapc'] as const;
const keeperLine = `${keeper}:{plain}pw::::::userdb_mail_crypt_private_password=${kept[0]} userdb_imapc_password=${kept[1]}
`;

type Line = readonly [user: string, ...words: string[]];
const inbox = ['mailbox', 'INBOX', 'all'] as const;

onDovecot('tricks that work there do not work through the daemon', openTrickedDovecot, async (t, lab) => {
  const gate: Gate = { lab, gateway: await openRealGateway(t, lab), sent: 0 };
  await t.test('expunge -d beside an allowed query takes a mailbox with the mails in it', async () => {
    for (const user of [alice, bob]) {
      for (const mailbox of ['Trash', 'Junk']) await fillMailbox(lab, user, mailbox);
    }
    const query = ['mailbox', 'Trash', 'savedbefore', '30d'];
    // At Dovecot, on bob: no mail is that old, and yet the mailbox is gone with both.
    await ask(lab, [bob, 'expunge', '-d', ...query]);
    assert.equal((await ask(lab, [bob, 'mailbox status', 'messages', 'Trash'])).status, '-NOTFOUND');
    // Once, what was left of it came back by itself while a later trick was tried.
    rmSync(join(lab.folder, 'mail', bob, 'Maildir', '.Trash'), { recursive: true, force: true });
    await holds(gate, {
      policy: janitor,
      refused: [
        [alice, 'expunge', '-d', ...query],
        [alice, 'expunge', ...query, '-d'],
        [alice, 'expunge', '-du', alice, ...query],
        [alice, 'expunge', '--delete-empty-mailbox', '--', ...query],
        [alice, 'expunge', '--delete-empty', ...query],
        [alice, 'expunge', '--query=mailbox', '-d', '--query=Trash', '--query=savedbefore', '--query=30d'],
        [alice, 'expunge', '-d', '(', ...query, ')', 'OR', '(', 'mailbox', 'Junk', 'savedbefore', '31d', ')'],
      ],
      honest: [[alice, 'expunge', ...query]],
    });
    assert.deepEqual((await ask(lab, [alice, 'mailbox status', 'messages', 'Trash'])).cells, ['Trash', '2']);
  });

  await t.test("a shared namespace opens another user's INBOX, whatever its ACL says", async () => {
    const shared = `shared/${victim}/INBOX`;
    const seen = await ask(lab, [alice, 'fetch', 'uid hdr.to', 'mailbox', shared, 'all']);
    assert.deepEqual(seen.cells, ['1', victim, '2', victim]);
    const tricks: readonly Line[] = [
      [alice, 'fetch', 'uid', 'mailbox', shared, 'all'],
      [alice, 'fetch', 'uid', 'mailbox', shared.toUpperCase(), 'all'],
      [alice, 'fetch', 'uid', 'mailbox', 'INBOX', 'OR', 'mailbox', shared],
      [alice, 'fetch', 'uid', '(', 'mailbox', 'INBOX', 'OR', '(', 'seen', 'mailbox', shared, ')', ')'],
      [alice, 'fetch', 'uid', 'NOT', '(', 'NOT', 'mailbox', shared, ')'],
      [alice, 'fetch', 'uid', 'mailbox', `sh%/${victim}/INBOX`, 'all'],
      [alice, 'fetch', 'uid', 'mailbox', `*/${victim}/*`, 'all'],
      [alice, 'fetch', 'uid', 'mailbox-guid', await guidOf(lab, victim), 'all'],
      [alice, 'search', 'mailbox', shared, 'all'],
      [alice, 'mailbox status', 'messages', shared],
      [alice, 'mailbox status', 'messages', 'INBOX', shared],
      [alice, 'mailbox', 'status', '--field=messages', `--mailbox-mask=${shared}`],
      [alice, 'mailbox list', 'shared/*'],
      [alice, 'mailbox create', `shared/${victim}/Planted`],
      [alice, 'copy', `shared/${victim}/INBOX`, ...inbox],
    ];
    for (const sharedNamespaces of ['["shared/"]', '']) {
      await holds(gate, {
        policy: desk,
        sharedNamespaces,
        refused: tricks,
        honest: [
          [alice, 'fetch', 'uid', ...inbox],
          [alice, 'mailbox status', 'messages', 'INBOX'],
        ],
      });
    }
  });

  await t.test('an alias, and a name without a realm, are the one whom except names', async () => {
    for (const user of [boss, 'victim', 'VICTIM', 'Victim@Example.ORG']) {
      const { cells } = await ask(lab, [user, 'fetch', 'hdr.to', ...inbox]);
      assert.deepEqual(cells, [victim, victim], user);
    }
    const spelled = ['victim', 'VICTIM', 'Victim@EXAMPLE.org', 'boss', 'BOSS@example.org', 'chief'];
    const names = [victim, boss, chief, ...spelled];
    const tricks = names.flatMap((user): Line[] => [
      [user, 'fetch', 'uid', ...inbox],
      [user, 'quota get'],
      [user, 'quota get', '-u', user],
      [alice, 'copy', 'Archive', 'user', user, ...inbox],
      ['', 'user', user],
      [alice, 'user', alice, user],
    ]);
    const resolve = `mail_users: { resolve: ${join(lab.folder, 'run', 'dovegate-userdb')}`;
    // In a domain, with the realm said; and for everybody, without: then the userdb alone says who `victim` is.
    for (const [users, realm] of [
      ['"*@example.org"', ', default_realm: example.org'],
      ['"*"', ''],
    ] as const) {
      await holds(gate, {
        policy: exceptVictim(users),
        more: `${resolve}${realm} }\n`,
        refused: tricks,
        honest: [
          [alice, 'fetch', 'uid', ...inbox],
          [alice, 'copy', 'Archive', 'user', bob, 'mailbox', 'INBOX', 'seen'],
        ],
      });
    }
  });

  await t.test('fetch uid ... text WORD tells whether a mail holds a word', async () => {
    const found = async (word: string): Promise<readonly string[]> =>
      (await ask(lab, [alice, 'fetch', 'uid', 'mailbox', 'INBOX', 'text', word])).cells;
    assert.deepEqual([await found('Hello'), await found('Hullo')], [['1'], []]);
    const keys = ['text', 'TEXT', 'body', 'subject', 'from', 'to', 'cc', 'bcc'];
    const tricks = ['Hello', 'Hullo'].flatMap((word): Line[] => [
      ...keys.map((key): Line => [alice, 'fetch', 'uid', 'mailbox', 'INBOX', key, word]),
      [alice, 'fetch', 'uid', 'mailbox', 'INBOX', 'header', 'Subject', word],
      [alice, 'fetch', 'uid', 'mailbox', 'INBOX', 'NOT', '(', 'NOT', 'text', word, ')'],
      [alice, 'fetch', 'uid', 'mailbox', 'INBOX', 'seen', 'OR', 'mailbox', 'INBOX', 'body', word],
      [alice, 'fetch', '--field=uid', '--query=mailbox', '--query=INBOX', '--query=text', `--query=${word}`],
      [alice, 'fetch', 'uid hdr.subject', ...inbox],
      [alice, 'fetch', 'uid body.snippet', ...inbox],
      [alice, 'search', 'mailbox', 'INBOX', 'text', word],
      [alice, 'copy', 'Archive', 'mailbox', 'INBOX', 'text', word],
    ]);
    await holds(gate, {
      policy: desk,
      refused: tricks,
      honest: [[alice, 'fetch', 'uid flags', ...inbox]],
    });
  });

  await t.test("user '*o*g' lists everybody", async () => {
    const everybody = (await ask(lab, ['', 'user', '*o*g'])).body.toString();
    for (const user of [alice, bob, victim]) assert.ok(everybody.includes(user));
    await holds(gate, {
      policy: exceptVictim('"*@example.org"'),
      refused: [
        ['', 'user', '*o*g'],
        ['', 'user', '*'],
        ['', 'user', '*@example.org'],
        ['', 'user', 'v?ctim@example.org'],
        ['', 'user', `v*${victim.slice(1)}`],
        [alice, 'user', '*o*g'],
        [alice, 'user', '--', '*o*g'],
        [alice, 'user', '--user-mask=*o*g'],
        [alice, 'user', '-f', 'home', '*o*g'],
        [alice, 'user', alice, '*o*g'],
        ['', 'user', alice],
        [alice, 'user', ''],
        ['', 'user', '-e', '%{env:PATH}', alice],
      ],
      honest: [['', 'user', '-f', 'home', alice]],
    });
  });

  await t.test('user NAME prints the passwords of a userdb', async () => {
    const shown = async (...args: string[]): Promise<string> =>
      (await ask(lab, ['', 'user', ...args])).body.toString();
    const field = 'mail_crypt_private_password';
    for (const secret of kept) assert.ok((await shown(keeper)).includes(secret));
    assert.ok((await shown('-f', field, keeper)).includes(kept[0]));
    assert.ok((await shown('-e', '%{userdb:imapc_password}', keeper)).includes(kept[1]));
    assert.ok(!(await shown('-f', field, 'k*')).includes(kept[0]));
    const refused: readonly Line[] = [
      ['', 'user', keeper],
      ['', 'user', alice, keeper],
      ['', 'user', '-f', field, keeper],
      ['', 'user', `-f${field}`, keeper],
      ['', 'user', `--field=${field}`, '--', keeper],
      ['', 'user', '-f', 'home', '-f', field, keeper],
      ['', 'user', '-f', 'imapc_password', keeper],
      ['', 'user', '-e', '%{userdb:imapc_password}', keeper],
      ['', 'user', '-x', 'service=imap', keeper],
    ];
    const some = '{ command: user, masks: true, where: { field: any, auth-info: any } }';
    const withContent = '{ command: user, content: true, where: { field: any } }';
    const expanded: Line = ['', 'user', '-e', '%{home}', keeper];
    for (const [rules, not, honest] of [
      ['use: [presets/read-only-auditor]', refused, ['', 'user', 'k*']],
      [`allow: [${some}]`, refused, ['', 'user', '-f', 'home', keeper]],
      // Where a rule says so, it is the client's; records and the log never hold it.
      [`allow: [${withContent}]`, [expanded], ['', 'user', keeper]],
      [`allow: [${withContent}]`, [expanded], ['', 'user', '-f', field, keeper]],
    ] satisfies (readonly [string, readonly Line[], Line])[])
      await holds(gate, { policy: `\n    users: ["*"]\n    ${rules}`, refused: not, honest: [honest] });
  });

  await t.test('an empty text is in every mail', async () => {
    const all = (await ask(lab, [alice, 'search', ...inbox])).cells.length;
    const matchesAll: readonly (readonly string[])[] = [
      ['from', ''],
      ['from', '\n'],
      ['from', '@'],
      ['from', 'e'],
      ['subject', ''],
      ['header', 'Message-ID', ''],
      ['header', 'Message-ID', '<'],
    ];
    for (const words of matchesAll) {
      const { cells } = await ask(lab, [alice, 'search', '--', 'mailbox', 'INBOX', ...words]);
      assert.equal(cells.length, all, words.join(' '));
    }
    await holds(gate, {
      policy: phishing,
      refused: matchesAll.map((words): Line => [alice, 'expunge', '--', 'mailbox', 'INBOX', ...words]),
      honest: [[alice, 'expunge', 'mailbox', 'INBOX', 'from', 'phisher@example.net']],
    });
  });

  await t.test('single values end the process of a server', async () => {
    const ofSeries: Readonly<Record<Lab['series'], readonly Line[]>> = {
      '2.3': [
        ['', 'oldstats dump', '--', 'all', 'X'],
        ['', 'oldstats dump', 'global', 'ip=x'],
      ],
      '2.4': [
        ['', 'proxy kick', '--', 'a@b', '%{user}'],
        ['', 'kick', '--passdb-field=K', '--', 'default', '/'],
        ['', 'kick', '--', 'a@b', '192.0.2.1/33'],
      ],
    };
    const deadly: readonly Line[] = [
      ['', 'stats dump', '--fields='],
      ['', 'stats dump', '--fields=,'],
      ['', 'stats dump', '-f', '  '],
      [alice, 'search', '--', 'mailbox', 'INBOX', 'savedsince', '-1'],
      ...ofSeries[lab.series],
    ];
    for (const line of deadly) await assert.rejects(ask(lab, line), line.join(' '));
    const names = new Set(deadly.map(([, name = '']) => name));
    const rules = [...names].map((name) => `{ command: ${name}, masks: true }`);
    await holds(gate, {
      policy: `\n    users: ["*"]\n    allow: [${rules.join(', ')}]`,
      // Else one line waits for the greeting, which shows whether this series dies of it.
      backend: `series: "${lab.series}"`,
      refused: deadly,
      honest: [['', 'stats dump']],
    });
  });

  await t.test('a file is read, and a program run, by root', async () => {
    // -F: the server reads the file, and says its lines in the log.
    const told = await ask(lab, [alice, 'mailbox list', '-F', '/etc/passwd']);
    const logs = told.logs.map(({ text }) => text).join('\n');
    assert.ok(logs.includes('daemon:'), logs.slice(0, 300));
    const flag = join(lab.folder, 'was-here');
    // The file is what counts: once the reply took more than 30 s.
    const client = await openRawClient({ path: lab.unixPreauth, minor: 2 });
    client.sendCommand({ user: alice, fields: ['sync', 'sh', '-c', `touch ${lab.inRoot(flag)}; exit 1`] });
    await until(() => existsSync(flag), 'what a program of the client made', 60_000);
    client.close();
    const flagToo = join(lab.folder, 'was-here-too');
    await holds(gate, {
      policy: desk,
      refused: [
        [alice, 'mailbox list', '-F', '/etc/passwd'],
        [alice, 'mailbox list', '-F/etc/passwd'],
        [alice, 'mailbox list', '-AF/etc/passwd'],
        [alice, 'mailbox list', '--user-file=/etc/passwd'],
        [alice, 'mailbox list', '--user-f=/etc/passwd'],
        [alice, 'sync', 'sh', '-c', `touch ${lab.inRoot(flagToo)}; exit 1`],
        [alice, 'sync', `sh -c "touch ${lab.inRoot(flagToo)}"`],
        [alice, 'backup', 'sh', '-c', `touch ${lab.inRoot(flagToo)}`],
      ],
      honest: [[alice, 'mailbox list', 'INBOX']],
    });
    assert.ok(!existsSync(flagToo));
  });

  await t.test('a destination below a folder leads out of it', async () => {
    const mail = join(lab.folder, 'mail');
    const [night, index] = [join(mail, 'night', 'Maildir'), join(mail, 'index')];
    await ask(lab, [alice, 'backup', 'maildir:~/copy/../../night/Maildir']);
    await ask(lab, [alice, 'backup', `maildir:~/copy/tue:INDEX=${lab.inRoot(index)}`]);
    assert.ok(existsSync(night), 'the mails are there');
    // 2.4 has an option for it.
    if (lab.series === '2.3') assert.ok(existsSync(index));
    for (const path of [night, index]) rmSync(path, { recursive: true, force: true });
    await holds(gate, {
      policy: `
    users: ["*@example.org"]
    allow:
      - { command: backup, root_equivalent: true, where: { destination: ["maildir:~/copy/*"] } }`,
      refused: [
        [alice, 'backup', 'maildir:~/copy/../../night/Maildir'],
        [alice, 'backup', 'maildir:~/copy/wed/../../../night/Maildir'],
        [alice, 'backup', `maildir:~/copy/wed:INDEX=${lab.inRoot(index)}`],
      ],
      honest: [[alice, 'backup', 'maildir:~/copy/wed']],
    });
    for (const path of [night, index]) assert.ok(!existsSync(path));
  });

  await t.test('what was sent has each its record, and passwords stand nowhere', async () => {
    // A flood of refusals is recorded as a number.
    const completions = await gate.gateway.finish('completion');
    assert.equal(completions.filter(({ sent }) => sent !== false).length, gate.sent);
    assert.deepEqual(gate.gateway.daemon.grepSecrets(kept), []);
  });
});

/** What a nightly expunge may do. */
const janitor = `
    users: ["*@example.org"]
    allow:
      - command: expunge
        where: { query: { mailbox: [Trash, Junk], savedbefore: { at_least: 30d } } }`;

/** What takes phish out of mailboxes. */
const phishing = `
    users: ["*@example.org"]
    allow:
      - command: expunge
        content: true
        where:
          query: { mailbox: present, any_of: [{ header: present }, { from: present }, { subject: present }] }`;

/** What a support desk may do: nothing about what mails say, or about mails of others. */
const desk = `
    users: ["*@example.org"]
    allow:
      - quota get
      - mailbox list
      - mailbox status
      - mailbox create
      - search
      - copy
      - { command: fetch, where: { field: [uid, flags] } }`;

function exceptVictim(users: string): string {
  return `
    users: [${users}]
    except: ["${victim}"]
    allow:
      - quota get
      - { command: user, where: { field: [home] } }
      - { command: copy, where: { source-user: any } }
      - { command: fetch, where: { field: [uid] } }`;
}

async function openTrickedDovecot(owner: Owner, release: Release): ReturnType<typeof openRealDovecot> {
  const lab = await openRealDovecot(owner, release);
  if ('skip' in lab) return lab;
  appendFileSync(join(lab.folder, 'passwd'), aliases + keeperLine);
  const mail = lab.inRoot(join(lab.folder, 'mail'));
  await lab.writeExtraConf(settingsOf(lab, mail));
  return lab;
}

/** Asks Dovecot itself. */
function ask(lab: Lab, [user, ...fields]: Line): Promise<RawReply> {
  return askOnce(lab.unixPreauth, { user, fields });
}

async function guidOf(lab: Lab, user: string): Promise<string> {
  const [guid = ''] = (await ask(lab, [user, 'mailbox status', 'guid', 'INBOX'])).cells.slice(-1);
  assert.match(guid, /^[0-9a-f]{32}$/);
  return guid;
}

/** Two mails in a mailbox that has been at rest for a while: Dovecot has nothing to learn there any more. */
async function fillMailbox(lab: Lab, user: string, mailbox: string): Promise<void> {
  const run = async (args: readonly string[], stdin?: string): Promise<void> => {
    await ends(0, lab.doveadm(args, stdin === undefined ? {} : { stdin }));
  };
  await run(['mailbox', 'create', '-u', user, mailbox]);
  for (const subject of ['one', 'two']) {
    await run(['save', '-u', user, '-m', mailbox], `Subject: ${subject}\r\n\r\ntext\r\n`);
  }
  for (const folder of ['new', 'cur']) {
    const path = join(lab.folder, 'mail', user, 'Maildir', `.${mailbox}`, folder);
    utimesSync(path, restedSince, restedSince);
  }
  await run(['fetch', '-u', user, 'uid', 'mailbox', mailbox, 'all']);
}

/** Seconds since 1970; some time before all tests. */
const restedSince = 1_750_000_000;

interface Trial extends RealGatewayOptions {
  readonly refused: readonly Line[];
  /** What the same policy allows. */
  readonly honest: readonly Line[];
}

/** One daemon for all trials: a start takes longer than a trial. */
interface Gate {
  readonly lab: Lab;
  readonly gateway: RealGateway;
  /** Lines that it sent to Dovecot. */
  sent: number;
}

/**
 * Each refused line gets no row, and with all of them no connection to Dovecot is made, so that nothing there can have changed; then the
 * honest ones are served. Each trial has a way to Dovecot of its own: no connection of the trial before can be used.
 */
async function holds(gate: Gate, { refused, honest, ...options }: Trial): Promise<void> {
  const { gateway, lab } = gate;
  const counter = await openTcpCounter(lab);
  try {
    await gateway.reload({ ...options, port: counter.port });
    for (const minor of [0, 2, 4]) {
      for (const [user, ...fields] of refused) {
        const client = await gateway.client({ minor });
        const { status, bodyBytes, body } = await client.ask({ user, fields });
        const title = `minor ${minor}: ${user} ${fields.join(' ')}: ${body.toString()}`;
        assert.match(status, /^-(?:NOPERM|USAGE)$/, title);
        assert.equal(bodyBytes, 0, title);
        client.close();
      }
    }
    assert.equal(counter.connections, 0);
    const client = await gateway.client({ minor: 2 });
    for (const [user, ...fields] of honest) {
      const { status } = await client.ask({ user, fields });
      assert.equal(status, '+', `${user} ${fields.join(' ')}`);
      gate.sent += 1;
    }
    client.close();
    assert.ok(counter.connections > 0 && counter.connections <= honest.length);
  } finally {
    await counter.close();
  }
}
