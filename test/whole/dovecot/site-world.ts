// The mail of the site in two Dovecots that are equal to the byte, and what of an answer can be compared: rows, status and log lines. Taken
// out before: the folder of an instance, identifiers of mailboxes that were made since, process ids and the time of day.

import { chownSync, cpSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Series } from '../../../src/doveadm/commands/catalog.js';
import { type Lab, openLab, type Release } from '../../kit/plain/dovecot-lab.js';
import type { Owner } from '../../kit/plain/folder.js';
import { openRawClient, type RawClient, type RawReply } from '../../kit/plain/raw-client.js';
import type { Skipped } from '../../kit/plain/skipped.js';
import { backendPassword } from './real-gateway.js';
import { mailboxes, newcomers, people } from './site.js';
import { comparable } from './twin-worlds.js';

export interface Site {
  readonly series: Series;
  readonly version: string;
  /** Behind the gates, and the twin that is asked directly. */
  readonly labs: readonly [Lab, Lab];
  /** What a client of this release announces. */
  readonly client: { readonly minor: number; readonly optionLogPassthrough: boolean };
  comparable(words: readonly string[], reply: Pick<RawReply, 'cells' | 'status' | 'logs'>): Answer;
}

export interface Answer {
  readonly status: string;
  readonly cells: readonly string[];
  readonly logs: readonly string[];
}

/** Their rows are about the processes of the machine. */
const onlyStatus: ReadonlySet<string> = new Set(['service status']);

export async function openSite(owner: Owner, release: Release): Promise<Site | Skipped> {
  const extraConf = `doveadm_password = ${backendPassword}\nmail_fsync = never\n`;
  const opened = await Promise.all([0, 1].map(() => openLab(owner, release, { users: false, extraConf })));
  const labs: Lab[] = [];
  for (const lab of opened) {
    if ('skip' in lab) return lab;
    labs.push(lab);
  }
  const [first, second] = labs;
  if (first === undefined || second === undefined) throw new Error('two instances were asked for');
  const client =
    first.series === '2.3'
      ? { minor: 2, optionLogPassthrough: false }
      : { minor: 3, optionLogPassthrough: true };
  const names = [...people, ...newcomers].map((name) => `${name}:{plain}pw::::::`);
  await Promise.all(labs.map((lab) => lab.addUsers(names)));
  const mail = join(first.folder, 'mail');
  for (const person of people) writeMail(join(mail, person), person);
  const direct = await openRawClient({ path: first.unixPreauth, ...client, owner });
  await writeIndexes(direct);
  direct.close();
  cpSync(mail, join(second.folder, 'mail'), { recursive: true, preserveTimestamps: true });
  ownAll(join(second.folder, 'mail'));
  const known = knownIds(mail);
  return {
    series: first.series,
    version: first.version,
    labs: [first, second],
    client,
    comparable([name = '', second_ = ''], { cells, status, logs }) {
      const isRead = !onlyStatus.has(`${name} ${second_}`);
      return {
        status,
        cells: isRead ? cells.map((cell) => comparable(known, cell)) : [],
        logs: logs.filter(({ type }) => type !== 'debug').map(({ text }) => comparable(known, text)),
      };
    },
  };
}

function writeMail(home: string, person: string): void {
  for (const [name, count] of Object.entries(mailboxes)) {
    const folder = join(home, 'Maildir', name === 'INBOX' ? '' : `.${name}`);
    for (const part of ['cur', 'new', 'tmp']) mkdirSync(join(folder, part), { recursive: true });
    if (name !== 'INBOX') writeFileSync(join(folder, 'maildirfolder'), '');
    for (let number = 1; number <= count; number += 1) {
      const text = [
        `From: sender${number}@example.net`,
        `To: ${person}`,
        `Subject: mail ${number} in ${name}`,
        `Message-ID: <${number}.${name}.${person}>`,
        `Date: Mon, 0${number} Mar 2026 10:00:00 +0000`,
        '',
        `${person} ${'x'.repeat(13 * number)}`,
        '',
      ].join('\r\n');
      const size = Buffer.byteLength(text);
      const file = join(folder, 'cur', `seed-${number},S=${size},W=${size}:2,`);
      writeFileSync(file, text);
      utimesSync(file, 1_700_000_000 + number, 1_700_000_000 + number);
    }
  }
  ownAll(home);
}

function ownAll(path: string): void {
  chownSync(path, 5000, 5000);
  for (const entry of readdirSync(path, { withFileTypes: true, recursive: true }))
    chownSync(join(entry.parentPath, entry.name), 5000, 5000);
}

/** Lets the server number all mails, before they are copied. */
async function writeIndexes(direct: RawClient): Promise<void> {
  for (const user of people) {
    for (const fields of [
      ['mailbox status', '--', 'all', '*'],
      ['fetch', '--', 'hdr.subject date.saved size.virtual', 'all'],
    ]) {
      const { status } = await direct.ask({ user, fields });
      if (status !== '+') throw new Error(`${user} ${fields.join(' ')}: ${status}`);
    }
  }
}

function knownIds(mail: string): ReadonlySet<string> {
  const lists = people.flatMap((person) =>
    Object.keys(mailboxes).map((name) =>
      join(mail, person, 'Maildir', name === 'INBOX' ? '' : `.${name}`, 'dovecot-uidlist'),
    ),
  );
  return new Set(lists.flatMap((file) => /\bG([0-9a-f]{32})/.exec(readFileSync(file, 'latin1'))?.[1] ?? []));
}
