// Goal: while the mail of a user is held, no command that goes through the gate destroys, hides, moves or changes it, at a real Dovecot.
// Phases: each line through the gate without a hold, which must change the mailbox, so that the line proves something; then all lines with
// the hold, by each name of the user; then what a hold lets through. What must not happen: a file or an answer of Dovecot about that
// mailbox that differs; a command of the catalog that changes mail and is not tried; another user who is stopped.
//
// DOVEGATE_RELEASES="native trixie" says which Dovecots.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { hash } from 'node:crypto';
import { appendFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { commandNames, commandsOf } from '../../../src/doveadm/commands/catalog.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import type { Lab, Release } from '../../kit/plain/dovecot-lab.js';
import type { Owner } from '../../kit/plain/folder.js';
import { plainArguments } from '../../kit/plain/plain-arguments.js';
import { ends } from '../../kit/plain/program.js';
import type { RawReply } from '../../kit/plain/raw-client.js';
import { policyFor } from './http-twins.js';
import {
  alice,
  askOnce,
  bob,
  onDovecot,
  openRealDovecot,
  openRealGateway,
  passwordSetting,
  realmSettings,
  userdbListener,
  victim,
} from './real-gateway.js';
import { sharedNamespace, virtualNamespace } from './shared-namespace.js';

const boss = 'boss@example.org';
const chief = 'chief@example.org';

/** `boss` means victim, and `chief` means boss. */
const aliases = `${boss}:{plain}pw::::::userdb_user=${victim}
${chief}:{plain}pw::::::userdb_user=${boss}
`;

interface Line {
  readonly user: string;
  readonly fields: readonly string[];
  readonly input?: string;
  /** Here it changes nothing that can be seen: only that it is refused is shown. */
  readonly isSilent?: true;
}

/** With aliases, and these settings. */
async function openWith(
  owner: Owner,
  release: Release,
  settings: (lab: Lab) => string,
): ReturnType<typeof openRealDovecot> {
  const lab = await openRealDovecot(owner, release);
  if ('skip' in lab) return lab;
  appendFileSync(join(lab.folder, 'passwd'), aliases);
  await lab.writeExtraConf(passwordSetting + realmSettings[lab.series] + settings(lab) + userdbListener);
  return lab;
}

async function openSharing(owner: Owner, release: Release): ReturnType<typeof openRealDovecot> {
  const settings = (opened: Lab): string =>
    sharedNamespace[opened.series](opened.inRoot(join(opened.folder, 'mail'))) +
    virtualNamespace[opened.series];
  const lab = await openWith(owner, release, settings);
  if ('skip' in lab) return lab;
  const folder = join(lab.folder, 'mail', alice, 'virtual');
  mkdirSync(join(folder, 'all'), { recursive: true });
  writeFileSync(join(folder, 'all', 'dovecot-virtual'), `shared/${victim}/INBOX\n  all\n`);
  execFileSync('chown', ['-R', '--reference', join(folder, '..'), folder]);
  return lab;
}

/** Mail in files of several, of which some can lie elsewhere. */
const mdbox: Readonly<Record<Lab['series'], string>> = {
  '2.3': `mail_location = mdbox:~/mdbox:ALT=~/alt
mail_attribute_dict = file:%h/dovecot-attributes
`,
  '2.4': `mail_driver = mdbox
mail_path = ~/mdbox
mail_alt_path = ~/alt
mail_attribute {
  dict file {
    path = %{home}/dovecot-attributes
  }
}
`,
};

const openMdbox = (owner: Owner, release: Release) => openWith(owner, release, ({ series }) => mdbox[series]);

onDovecot('a held mailbox stays as it was, byte for byte', openSharing, async (t, lab) => {
  const ask = (line: Line): Promise<RawReply> => askOnce(lab.unixPreauth, line);
  await fill(lab);
  const guid = (await ask({ user: victim, fields: ['mailbox status', 'guid', 'INBOX'] })).cells.at(-1) ?? '';
  const { gateway, through, before, home } = await tryLines(t, lab, '["shared/", "virtual/"]', (user) =>
    linesOf(lab, user, guid),
  );
  for (const line of [
    { user: victim, fields: ['fetch', 'uid flags', 'mailbox', 'INBOX', 'all'] },
    { user: alice, fields: ['copy', 'Archive', 'user', victim, 'mailbox', 'INBOX', 'all'] },
    { user: victim, fields: ['flags add', '\\Flagged', 'mailbox', 'Dupes', 'all'] },
    { user: bob, fields: ['save', '-m', 'Drafts'], input: 'Subject: new\r\n\r\ntext\r\n.\r\n' },
    { user: bob, fields: ['expunge', 'mailbox', 'INBOX', 'all'] },
    { user: bob, fields: ['mailbox delete', 'Archive'] },
  ])
    assert.equal((await through(line)).status, '+', titleOf(line));
  const { files, mails } = await stateOf(home, ask);
  const isFlagged = (text: string): boolean => /Dupes/.test(text);
  assert.deepEqual(
    files.filter((file) => !isFlagged(file)),
    before.files.filter((file) => !isFlagged(file)),
  );
  assert.equal(mails.length, before.mails.length);
  const held = (await gateway.finish()).filter(({ error }) => error === 'held');
  assert.ok(held.length > 0 && held.every(({ sent }) => sent === false));
});

onDovecot('a held mailbox of mdbox, with another storage and attributes', openMdbox, async (t, lab) => {
  await fillMdbox(lab);
  const { gateway } = await tryLines(t, lab, '[]', linesOfMdbox);
  await gateway.finish();
});

/** Tries each line without a hold and, by each name of the user, with one, and looks at the mailbox. */
async function tryLines(
  t: TestContext,
  lab: Lab,
  sharedNamespaces: string,
  linesFor: (user: string) => readonly Line[],
) {
  const ask = (line: Line): Promise<RawReply> => askOnce(lab.unixPreauth, line);
  const home = join(lab.folder, 'mail', victim);
  // Of all users: `sync` makes mailboxes of others, which these cannot read then.
  const [mail, saved] = [join(lab.folder, 'mail'), join(lab.folder, 'saved')];
  execFileSync('cp', ['-a', mail, saved]);
  const restore = (): void => {
    execFileSync('rm', ['-rf', mail]);
    execFileSync('cp', ['-a', saved, mail]);
  };
  const gateway = await openRealGateway(t, lab, {
    way: 'unix',
    sharedNamespaces,
    policy: policyFor([...commandNames()]),
    more: `mail_users: { resolve: ${join(lab.folder, 'run', 'dovegate-userdb')}, default_realm: example.org }
admin: { unix: admin.sock }
`,
  });
  const through = (line: Line): Promise<RawReply> => askOnce(gateway.daemon.path('support.sock'), line);
  assert.equal((await through({ user: alice, fields: ['quota get'] })).status, '+');

  const before = await stateOf(home, ask);
  const lines = linesFor(victim);
  const untold: string[] = [];
  for (const line of lines) {
    if (line.isSilent === true) continue;
    let [status, isChanged] = ['', false];
    // dsync says -TEMPFAIL where somebody else changes a mailbox meanwhile, and means that it shall be run again.
    for (let tries = 0; tries === 0 || (tries < 5 && status === '-TEMPFAIL' && !isChanged); tries += 1) {
      ({ status } = await through(line));
      isChanged = JSON.stringify(await stateOf(home, ask)) !== JSON.stringify(before);
      restore();
    }
    if (!isChanged) untold.push(`${titleOf(line)}: ${status}`);
  }
  assert.deepEqual(untold, [], 'without a hold each of them changes the mailbox');
  assert.deepEqual(await stateOf(home, ask), before);
  const tried = new Set(lines.map(({ fields: [name = ''] }) => name));
  const rest = commandsOf(lab.series).filter(({ name, hold }) => hold !== 'keeps' && !tried.has(name));
  const others = rest.map(
    ({ name, scope }): Line => ({
      user: scope === 'user' ? victim : '',
      fields: [name, ...plainArguments(lab.series, name, victim)],
      ...(['sieve put', 'save'].includes(name) && { input: 'keep;\r\n.\r\n' }),
    }),
  );
  t.diagnostic(
    `${lines.length} lines change it, and by name only: ${rest.map(({ name }) => name).join(', ')}`,
  );

  // By an alias: the hold has the name that the userdb gives for it.
  const words = [`user:${boss}`, '--destroying', '--reason', 'case 17'];
  await ends(0, runWarm(['lock', '--socket', gateway.daemon.path('admin.sock'), ...words]));
  const byName = [victim, 'victim', 'VICTIM@Example.ORG', boss, chief].flatMap((name) => linesFor(name));
  const passed: string[] = [];
  for (const line of [...byName, ...others]) {
    const { status, logs } = await through(line);
    const text = logs.map((log) => log.text).join();
    if (status !== '-NOPERM' || !/ is held by root since \S+, reason: .* \[held\]/.test(text))
      passed.push(`${titleOf(line)}: ${status} ${text}`);
  }
  assert.deepEqual(passed, [], 'each of them is refused');
  assert.deepEqual(await stateOf(home, ask), before);

  return { gateway, through, before, home };
}

const mailOf = (subject: string): string =>
  `Message-ID: <one@example.org>\r\nSubject: ${subject}\r\n\r\ntext\r\n.\r\n`;

/** A command of victim, which must succeed. */
async function asVictim({ unixPreauth }: Lab, fields: readonly string[], input?: string): Promise<void> {
  const { status } = await askOnce(unixPreauth, {
    user: victim,
    fields,
    ...(input !== undefined && { input }),
  });
  assert.equal(status, '+', fields.join(' '));
}

/** Mail whose flags are in the index alone, deleted mail that is still in its files, and a comment. */
async function fillMdbox(lab: Lab): Promise<void> {
  await asVictim(lab, ['mailbox create', 'Archive', 'Dupes']);
  for (const mailbox of ['INBOX', 'INBOX', 'Archive', 'Dupes', 'Dupes'])
    await asVictim(lab, ['save', '-m', mailbox], mailOf('one'));
  await asVictim(lab, ['flags add', '\\Seen', 'mailbox', 'INBOX', '1']);
  await asVictim(lab, ['expunge', 'mailbox', 'INBOX', '2']);
  await asVictim(lab, ['mailbox metadata set', 'INBOX', '/private/comment', 'mine']);
}

function linesOfMdbox(user: string): readonly Line[] {
  const inbox = ['mailbox', 'INBOX', 'all'];
  return [
    ['purge'],
    ['altmove', ...inbox],
    ['expunge', ...inbox],
    ['flags add', '\\Deleted', ...inbox],
    ['flags remove', '\\Seen', ...inbox],
    ['flags replace', '\\Answered', ...inbox],
    ['move', 'Archive', ...inbox],
    ['deduplicate', '-m', 'mailbox', 'Dupes', 'all'],
    ['mailbox delete', 'Archive'],
    ['mailbox rename', 'Archive', 'Kept'],
    ['mailbox update', '--min-next-uid', '500', 'INBOX'],
    ['mailbox metadata set', 'INBOX', '/private/comment', 'another'],
    ['mailbox metadata unset', 'INBOX', '/private/comment'],
  ].map((fields) => ({ user, fields }));
}

/** Mail that each line below can change. */
async function fill(lab: Lab): Promise<void> {
  await asVictim(lab, ['mailbox create', 'Dupes', 'Old', 'Old/Below']);
  for (const mailbox of ['Dupes', 'Dupes', 'Old'])
    await asVictim(lab, ['save', '-m', mailbox], mailOf(mailbox));
  await asVictim(lab, ['flags add', '\\Seen', 'mailbox', 'INBOX', '1']);
  await asVictim(lab, ['acl set', 'Archive', `user=${bob}`, 'lookup', 'read']);
  const rights = ['lookup', 'read', 'write', 'write-seen', 'write-deleted', 'insert', 'expunge'];
  await asVictim(lab, ['acl set', 'INBOX', `user=${alice}`, ...rights]);
  for (const script of ['main', 'other']) await asVictim(lab, ['sieve put', script], 'keep;\r\n.\r\n');
  await asVictim(lab, ['sieve activate', 'main']);
}

/** Of each kind, the lines that name `user`, are for everybody, or reach that mail by a shared namespace or a GUID. */
function linesOf(lab: Lab, user: string, guid: string): readonly Line[] {
  const inRoot = (path: string): string => lab.inRoot(join(lab.folder, 'mail', path));
  const inbox = ['mailbox', 'INBOX', 'all'];
  const own: readonly (readonly string[])[] = [
    ['expunge', ...inbox],
    ['expunge', '-d', 'mailbox', 'Old', 'all'],
    ['expunge', 'mailbox-guid', guid, 'all'],
    ['flags add', '\\Deleted', ...inbox],
    ['flags add', '\\Flagged \\deleted', ...inbox],
    ['flags remove', '\\Seen', ...inbox],
    ['flags replace', '\\Answered', ...inbox],
    ['flags replace', '', ...inbox],
    ['move', 'Archive', ...inbox],
    ['move', 'Archive', 'user', alice, ...inbox],
    ['deduplicate', '-m', 'mailbox', 'Dupes', 'all'],
    ['mailbox delete', 'Archive'],
    ['mailbox delete', '-r', 'Old'],
    ['mailbox delete', '-s', '-Z', 'Archive'],
    ['mailbox rename', 'Archive', 'Kept'],
    ['mailbox update', '--min-next-uid', '500', 'INBOX'],
    ['mailbox unsubscribe', 'Archive'],
    ['copy', 'Archive', 'user', bob, ...inbox],
    ['acl set', 'Archive', `user=${bob}`, 'lookup'],
    ['acl add', 'Archive', 'anyone', 'lookup'],
    ['acl remove', 'Archive', `user=${bob}`, 'read'],
    ['acl delete', 'Archive', `user=${bob}`],
    ['sieve activate', 'other'],
    ['sieve deactivate'],
    ['sieve delete', 'other'],
    ['sieve rename', 'other', 'third'],
    ['backup', '-R', `maildir:${inRoot(`${alice}/Maildir`)}`],
    ['sync', `maildir:${inRoot(`${alice}/Maildir`)}`],
    ['import', `maildir:${inRoot(`${alice}/Maildir`)}`, 'Imported', 'all'],
  ];
  const shared = (name: string): string => `shared/${victim}/${name}`;
  const ofAlice: readonly (readonly string[])[] = [
    ['move', 'Archive', 'user', user, ...inbox],
    ['expunge', 'mailbox', shared('INBOX'), 'all'],
    ['flags add', '\\Deleted', 'mailbox', shared('INBOX'), 'all'],
    ['backup', `maildir:${inRoot(`${victim}/Maildir`)}`],
    // No mailbox is named: the INBOX that victim shares is one of them.
    ['flags add', '\\Deleted', 'all'],
    ['flags replace', '\\Answered', 'all'],
    ['expunge', 'mailbox', 'virtual/all', 'all'],
  ];
  const mail = 'Subject: new\r\n\r\ntext\r\n.\r\n';
  const uploads = [
    { user, fields: ['sieve put', 'other'], input: 'discard;\r\n.\r\n' },
    { user, fields: ['save', '-m', 'Archive'], input: mail },
    { user: alice, fields: ['save', '-m', shared('INBOX')], input: mail },
  ];
  const prefix = `prefix=${inRoot(`${victim}/`)}`;
  const ofSeries: readonly (readonly string[])[] =
    lab.series === '2.3'
      ? [
          ['fs delete', 'posix', prefix, 'Maildir/subscriptions'],
          ['fs put', 'posix', prefix, lab.inRoot(join(lab.folder, 'passwd')), 'Maildir/subscriptions'],
          ['fs copy', 'posix', prefix, 'Maildir/dovecot-uidlist', 'Maildir/subscriptions'],
          ['dict set', `file:${inRoot(`${victim}/Maildir/subscriptions`)}`, 'shared/x', 'y'],
        ]
      : [['expunge', '-A', ...inbox]];
  return [
    ...own.map((fields) => ({ user, fields })),
    ...ofAlice.map((fields) => ({ user: alice, fields })),
    ...uploads,
    ...ofSeries.map((fields) => ({ user: '', fields })),
    // Only refused: this Dovecot lets alice list nothing below the INBOX, and says no itself where a mail would be taken out. The virtual
    // mailbox has another state by then.
    ...[
      ['flags add', '\\Deleted', 'mailbox', 'v*', 'all'],
      ['move', 'Archive', 'mailbox', 'virtual/all', 'all'],
      ['expunge', 'mailbox-guid', guid, 'all'],
      ['expunge', 'mailbox', 's*', 'all'],
      ['move', 'Archive', 'mailbox', shared('INBOX'), 'all'],
      ['mailbox delete', shared('Archive')],
      ['mailbox rename', shared('Archive'), shared('Kept')],
    ].map((fields): Line => ({ user: alice, fields, isSilent: true })),
  ];
}

interface State {
  /** Path and digest of what is no index, cache or lock. */
  readonly files: readonly string[];
  readonly mails: readonly string[];
  readonly mailboxes: readonly string[];
}

async function stateOf(home: string, ask: (line: Line) => Promise<RawReply>): Promise<State> {
  const cells = async (...fields: string[]): Promise<readonly string[]> =>
    (await ask({ user: victim, fields })).cells;
  const fields = 'mailbox mailbox-guid uid guid flags size.physical date.received hdr body';
  const mailboxes = await Promise.all([
    cells('mailbox list'),
    cells('mailbox list', '-s'),
    cells('mailbox status', 'messages uidnext uidvalidity guid', '*'),
    cells('acl get', 'Archive'),
    cells('sieve list'),
  ]);
  const mails = await cells('fetch', fields, 'all');
  return { files: filesIn(home), mails, mailboxes: mailboxes.map((each) => each.join('\t')) };
}

const derived =
  /dovecot[.](list[.]|map[.])?index|dovecot-uidvalidity|maildirsize|[.]lock$|[/]tmp[/]|[.]dovecot[.]sieve$|svbin$|[.]dovecot[.]lda/;

function filesIn(home: string): string[] {
  return readdirSync(home, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(home.length))
    .filter((path) => !derived.test(path))
    .map((path) => `${path} ${hash('sha256', readFileSync(home + path))}`)
    .toSorted();
}

function titleOf({ user, fields }: Line): string {
  return `${user} ${fields.join(' ')}`;
}
