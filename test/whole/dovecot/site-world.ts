// The mail of the site in two Dovecots that are equal to the byte, and what of an answer can be compared: rows, status and log lines. Taken
// out before: the folder of an instance, identifiers of mailboxes that were made since, process ids and the time of day.

import { cpSync } from 'node:fs';
import { join } from 'node:path';
import type { Series } from '../../../src/doveadm/commands/catalog.js';
import { type Lab, openLab, type Release } from '../../kit/plain/dovecot-lab.js';
import type { Owner } from '../../kit/plain/folder.js';
import { openRawClient, type RawClient, type RawReply } from '../../kit/plain/raw-client.js';
import type { Skipped } from '../../kit/plain/skipped.js';
import { passwordSetting } from './real-gateway.js';
import { mailboxes, newcomers, people } from './site.js';
import { comparable, knownIds, own, writeMailbox } from './twin-worlds.js';

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
  const extraConf = `${passwordSetting}mail_fsync = never\n`;
  const opened = await Promise.all([0, 1].map(() => openLab(owner, release, { users: false, extraConf })));
  const labs: Lab[] = [];
  for (const lab of opened) {
    if ('skip' in lab) return lab;
    labs.push(lab);
  }
  const [first, second] = labs;
  if (first === undefined || second === undefined) throw new Error('two instances were asked for');
  const isOld = first.series === '2.3';
  const client = { minor: isOld ? 2 : 3, optionLogPassthrough: !isOld };
  const names = [...people, ...newcomers].map((name) => `${name}:{plain}pw::::::`);
  await Promise.all(labs.map((lab) => lab.addUsers(names)));
  const mail = join(first.folder, 'mail');
  for (const person of people) writeMail(join(mail, person), person);
  const direct = await openRawClient({ path: first.unixPreauth, ...client, owner });
  await writeIndexes(direct);
  direct.close();
  cpSync(mail, join(second.folder, 'mail'), { recursive: true, preserveTimestamps: true });
  own(join(second.folder, 'mail'));
  const known = knownIds(mail, people, Object.keys(mailboxes).map(folderOf));
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

const folderOf = (name: string): string => (name === 'INBOX' ? '' : `.${name}`);

function mailText(person: string, name: string, number: number): string {
  return [
    `From: sender${number}@example.net`,
    `To: ${person}`,
    `Subject: mail ${number} in ${name}`,
    `Message-ID: <${number}.${name}.${person}>`,
    `Date: Mon, 0${number} Mar 2026 10:00:00 +0000`,
    '',
    `${person} ${'x'.repeat(13 * number)}`,
    '',
  ].join('\r\n');
}

function writeMail(home: string, person: string): void {
  for (const [name, count] of Object.entries(mailboxes)) {
    const texts = Array.from({ length: count }, (_, at) => [mailText(person, name, at + 1), ''] as const);
    writeMailbox(join(home, 'Maildir'), folderOf(name), 'seed', texts);
  }
  own(home);
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
