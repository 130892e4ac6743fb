// Two instances of one Dovecot release with byte-identical mail, so that a client's line can run in the one and what we would
// send instead in the other, and everything that can be seen from outside be compared: rows, status, end of the connection, log
// lines, whose homes and which mailboxes were opened (the server's own debug lines say so), and every file below the mail folders.
//
// Each user's mails, mailboxes and script hold a word that nobody else's hold. What differs between two runs of the same thing
// (process and session ids, new GUIDs, unique file names, the time of day) is taken out before anything is compared.

import {
  accessSync,
  chownSync,
  constants,
  cpSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import type { Series } from '../../../src/doveadm/commands/catalog.js';
import { type Lab, openLab, type Release } from '../../kit/plain/dovecot-lab.js';
import { memoryPlace, type Owner } from '../../kit/plain/folder.js';
import { openRawClient, type RawClient } from '../../kit/plain/raw-client.js';
import { RawClientError } from '../../kit/plain/raw-reply.js';
import type { Skipped } from '../../kit/plain/skipped.js';
import { sharedNamespace } from './shared-namespace.js';

/** Everybody who has mail. The lab has more users, without any. */
export const people = ['alice', 'bob', 'victim'] as const;

export const realm = 'example.org';

/** Stands in each mail of that user, in the names of a mailbox and a script, and nowhere else. */
export function markOf(person: string): string {
  return `mark-of-${person}`;
}

/** What one line did, as far as it shows. */
export interface Seen {
  /** `EOF` when the connection ended instead. */
  readonly status: string;
  readonly cells: readonly string[];
  /** Rows, status and logs but debug lines as they came, for marks. */
  readonly text: string;
  /** Log lines but debug lines, made comparable. */
  readonly logs: readonly string[];
  /** Users who were made ready for the command, and owners of mailboxes that were opened, also in a shared namespace. */
  readonly users: readonly string[];
  /** Mailboxes that were opened, with their owners, sorted. */
  readonly mailboxes: readonly string[];
}

/** How a line is sent. */
export interface Sending {
  /** Bytes behind the line, at once. */
  readonly input?: Buffer | undefined;
  /** On a connection of its own: server commands leave rows behind for the next reply. */
  readonly isAlone: boolean;
}

export interface World {
  readonly lab: Lab;
  /** Sends a line (without LF) and waits for its reply. */
  run(line: Buffer, sending: Sending): Promise<Seen>;
  /** Lines are sent on connections that announced this minor from now on; before, 2. */
  announce(minor: number): void;
  /** Puts all mail back to how it was in the beginning. */
  restore(): void;
  /** Every file of every user, made comparable: path and size. */
  files(): ReadonlyMap<string, readonly string[]>;
  /** Users below whose homes anything was written since `restore`, down to the indexes: with what. */
  changed(): ReadonlyMap<string, readonly string[]>;
}

/** What is common to the worlds of a release. */
export interface WorldFacts {
  readonly series: Series;
  readonly version: string;
  readonly serverMinor: number;
  /** A folder of mails that nobody owns, and a mail, as the servers see them. */
  readonly importFolder: string;
  readonly mailFile: string;
  /** Lists users, as the servers see it. */
  readonly userFile: string;
}

export interface TwinWorlds extends WorldFacts {
  readonly worlds: readonly [World, World];
}

/** Sends a command that must succeed, with the text behind it. */
export type RunAs = (user: string, fields: readonly string[], input?: string | Buffer) => Promise<void>;

export interface WorldsOptions {
  readonly count: number;
  /** More settings. */
  readonly settings?: (series: Series) => string;
  /** Before Dovecot is started with the settings. */
  readonly prepare?: (lab: Lab) => void;
  /** Plants more than mails, mailboxes and scripts. */
  readonly fillMore?: (run: RunAs) => Promise<void>;
}

/** Mails by mailbox: how many, and their flags. */
const mailboxes: readonly (readonly [name: string, folder: string, mails: readonly string[]])[] = [
  ['INBOX', '', ['', 'S', 'FS', 'RS', 'T']],
  ['Archive', '.Archive', ['S', 'S', 'F']],
  ['Trash', '.Trash', ['S', '']],
  ['Junk', '.Junk', ['']],
  ['Drafts', '.Drafts', []],
  ['Work', '.Work', ['S']],
  ['Work/Plans', '.Work.Plans', ['S', 'F']],
  ['Ünïcode', '.&ANw-n&AO8-code', ['S']],
];

const settings: Record<Series, (mail: string) => string> = {
  '2.3': (mail) => `mail_debug = yes
mail_fsync = never
mail_attribute_dict = file:%h/attributes
${sharedNamespace['2.3'](mail)}`,
  '2.4': (mail) => `log_debug = category=mail or category=storage or category=doveadm or category=acl
mail_fsync = never
mail_attribute {
  dict file {
    path = %{home}/attributes
  }
}
${sharedNamespace['2.4'](mail)}`,
};

/** Two worlds with the same mail. */
export async function openTwinWorlds(owner: Owner, release: Release): Promise<TwinWorlds | Skipped> {
  const opened = await openWorlds(owner, release, { count: 2 });
  if ('skip' in opened) return opened;
  const [first, second] = opened.worlds;
  if (first === undefined || second === undefined) throw new Error('two worlds were asked for');
  return { ...opened, worlds: [first, second] };
}

/** Opens labs, fills the first, and copies its mail to the others. */
export async function openWorlds(
  owner: Owner,
  release: Release,
  { count, settings: more, prepare, fillMore }: WorldsOptions,
): Promise<(WorldFacts & { readonly worlds: readonly World[] }) | Skipped> {
  preferMemory();
  const labs: Lab[] = [];
  for (let left = count; left > 0; left -= 1) {
    const lab = await openLab(owner, release, { users: false });
    if ('skip' in lab) return lab;
    prepare?.(lab);
    const mail = lab.inRoot(join(lab.folder, 'mail'));
    await lab.writeExtraConf(settings[lab.series](mail) + (more?.(lab.series) ?? ''));
    labs.push(lab);
  }
  const [first] = labs;
  if (first === undefined) throw new Error('no world was asked for');
  const imported = join(first.folder, 'import');
  writeMaildir(imported, 'nobody');
  const mailFile = join(first.folder, 'mail.eml');
  writeFileSync(mailFile, mailText('nobody', 'INBOX', 1));
  const userFile = join(first.folder, 'users.txt');
  writeFileSync(userFile, `bob@${realm}\nvictim@${realm}\n`);
  await fill(owner, first, fillMore);
  const template = join(first.folder, 'template');
  copyMail(join(first.folder, 'mail'), template, new Map());
  const users = people.map((person) => `${person}@${realm}`);
  const known = knownIds(
    template,
    users,
    mailboxes.map(([, folder]) => folder),
  );
  let serverMinor = 0;
  const worlds: World[] = [];
  for (const lab of labs) {
    const { world, minor } = await openWorld(owner, lab, template, known);
    serverMinor = minor;
    world.restore();
    worlds.push(world);
  }
  return {
    series: first.series,
    version: first.version,
    importFolder: first.inRoot(imported),
    mailFile: first.inRoot(mailFile),
    userFile: first.inRoot(userFile),
    worlds,
    serverMinor,
  };
}

/** Mail is written and put back thousands of times: on a disk that takes longer than everything else. */
function preferMemory(): void {
  const memory = memoryPlace();
  try {
    accessSync(memory, constants.W_OK | constants.X_OK);
    process.env['TMPDIR'] = memory;
  } catch {
    // There are systems without it.
  }
}

const greetingsMax = 20;

async function openWorld(
  owner: Owner,
  lab: Lab,
  template: string,
  known: ReadonlySet<string>,
): Promise<{ world: World; minor: number }> {
  let announced = 2;
  let serverMinor = 0;
  const open = async (tries = greetingsMax): Promise<RawClient> => {
    try {
      return await openRawClient({
        path: lab.unixPreauth,
        minor: announced,
        optionLogPassthrough: announced >= 3 && serverMinor >= 3,
        timeoutMs: 20_000,
      });
    } catch (error) {
      // A line before this one may end Dovecot's processes (`reload`, `service stop`), and with them one that has just accepted.
      if (tries === 1 || !String(error).includes('ended in the greeting')) throw error;
      return open(tries - 1);
    }
  };
  let kept: RawClient | undefined = await open();
  serverMinor = kept.serverMinor ?? 0;
  owner.after(() => kept?.close());
  const mail = join(lab.folder, 'mail');
  /** Releases before 2.3.17 answer a failure with two status lines. */
  const failsTwice = /^2\.3\.(?:\d|1[0-6])(?:\D|$)/.test(lab.version);
  const stamps = new Map<string, Stamp>();
  const world: World = {
    lab,
    async run(line, { input, isAlone }) {
      const client = isAlone ? await open() : (kept ?? (await open()));
      if (!isAlone) kept = client;
      client.send(line);
      if (input !== undefined) await client.write(input).catch(() => undefined);
      let seen: Seen;
      try {
        const { cells, status, logs, body } = await client.readReply();
        seen = seenOf(known, status, cells, body.toString('latin1'), logs);
      } catch (error) {
        if (!(error instanceof RawClientError)) {
          client.close();
          kept = kept === client ? undefined : kept;
          throw new Error(`${JSON.stringify(line.toString('latin1'))}: ${String(error)}`, { cause: error });
        }
        const { body, logs } = error.end;
        seen = seenOf(known, 'EOF', [], body.toString('latin1'), logs);
      }
      if (isAlone || seen.status === 'EOF' || (failsTwice && seen.status !== '+')) {
        client.close();
        if (kept === client) kept = undefined;
      }
      return seen;
    },
    announce(minor) {
      announced = minor;
      kept?.close();
      kept = undefined;
    },
    restore() {
      copyMail(template, mail, stamps);
    },
    changed() {
      const names: string[] = [];
      const seen = new Set<string>();
      for (const entry of readdirSync(mail, { withFileTypes: true, recursive: true })) {
        if (entry.isDirectory()) continue;
        const path = join(entry.parentPath, entry.name);
        const name = relative(mail, path);
        seen.add(name);
        if (stamps.get(name) !== stampOf(path)) names.push(name);
      }
      for (const name of stamps.keys()) if (!seen.has(name)) names.push(name);
      const homes = new Map<string, string[]>();
      for (const name of names) {
        const [home = '', ...below] = name.split('/');
        if (home.includes('@')) homes.set(home, [...(homes.get(home) ?? []), below.join('/')]);
      }
      return homes;
    },
    files() {
      const found = new Map<string, string[]>();
      for (const person of readdirSync(mail)) {
        const home = join(mail, person);
        const list: string[] = [];
        if (statSync(home).isDirectory()) listFiles(home, '', list);
        found.set(person, list.toSorted());
      }
      return found;
    },
  };
  return { world, minor: serverMinor };
}

function seenOf(
  known: ReadonlySet<string>,
  status: string,
  cells: readonly string[],
  body: string,
  logs: readonly { readonly type: string; readonly text: string }[],
): Seen {
  const users = new Set<string>();
  const mailboxesOpened = new Set<string>();
  const told: string[] = [];
  for (const { type, text } of logs) {
    const privately = /^doveadm\((.+?)\).*: Namespace inbox: type=private/.exec(text);
    if (privately?.[1] !== undefined) users.add(privately[1]);
    const opened =
      /^doveadm\((.+?)\)<[^:]*: (?:.*: )?Mailbox (?:shared\/([^/]+@[^/:]+))?(.*?): Mailbox opened/.exec(text);
    if (opened !== null) {
      const owner = opened[2] ?? opened[1] ?? '';
      users.add(owner);
      mailboxesOpened.add(`${owner}: ${opened[3]}`);
    }
    if (type !== 'debug') told.push(`${type} ${comparable(known, text)}`);
  }
  return {
    status,
    cells: cells.map((cell) => comparable(known, cell)),
    text: [body, status, ...logs.filter((log) => log.type !== 'debug').map((log) => log.text)].join('\n'),
    logs: told,
    users: [...users].toSorted(),
    mailboxes: [...mailboxesOpened].toSorted(),
  };
}

/** Without what differs between two runs of the same thing. `known`: identifiers of mailboxes that do not. */
export function comparable(known: ReadonlySet<string>, text: string): string {
  const now = Date.now() / 1000;
  return (
    text
      // Also of the other instance: files that both read lie in one of them.
      .replaceAll(/(?:\/[\w.-]+)+\/dg-\w{6}\b/g, 'FOLDER')
      // The prefix can name the user of the command before.
      .replaceAll(/^doveadm(?:\([^)]*\))?(?:<\d+><[^>]*>)?: /g, '')
      .replaceAll(/\binbox\b/gi, 'INBOX')
      .replaceAll(/\b[0-9a-f]{32}\b/g, (guid) => (known.has(guid) ? guid : 'GUID'))
      .replaceAll(/\b\d{10}\.M\d+P\d+\.[^\s,:/]+/g, 'UNIQUE')
      .replaceAll(/\b\d{10}\b/g, (number) => (Math.abs(Number(number) - now) < 86_400 ? 'NOW' : number))
      .replaceAll(/\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\b/g, (time) =>
        Math.abs(Date.parse(`${time.replace(' ', 'T')}Z`) / 1000 - now) < 2 * 86_400 ? 'NOW' : time,
      )
      .replaceAll(/(Client sent unknown command): .*/g, '$1')
      .replaceAll(/\bpid[= ]\d+/g, 'pid')
  );
}

/** Maildir names without what makes them unique: their flags, and the size as a second check of which mail it is. */
function listFiles(folder: string, below: string, list: string[]): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    const name = `${below}/${entry.name}`;
    if (entry.isDirectory()) {
      list.push(`${name}/`);
      listFiles(path, name, list);
    } else {
      const plain = name
        .replace(/\/\d{10}\.M\d+P\d+\.[^,:/]+/, '/UNIQUE')
        .replace(/dovecot-uidvalidity\.[0-9a-f]{8}$/, 'dovecot-uidvalidity.N');
      // What the server keeps for itself grows with the moment at which it notices things.
      const isOwn = /\/dovecot[.-](?:index|list|uidlist|mailbox)/.test(plain);
      list.push(
        isOwn || !entry.isFile() ? plain : `${plain} ${statSync(path, { throwIfNoEntry: false })?.size ?? 0}`,
      );
    }
  }
}

/** GUIDs of the mailboxes that these users have in the beginning, by the folders of their maildirs. */
export function knownIds(
  mail: string,
  users: readonly string[],
  folders: readonly string[],
): ReadonlySet<string> {
  const lists = users.flatMap((user) =>
    folders.map((each) => join(mail, user, 'Maildir', each, 'dovecot-uidlist')),
  );
  return new Set(lists.flatMap((file) => /\bG([0-9a-f]{32})/.exec(readFileSync(file, 'latin1'))?.[1] ?? []));
}

/** What a file was after it was put there: any change since shows in one of these. */
type Stamp = string;

function stampOf(path: string): Stamp {
  // A lock can go while it is looked at.
  const found = lstatSync(path, { throwIfNoEntry: false });
  return found === undefined ? '' : `${found.ino} ${found.size} ${found.ctimeMs} ${found.mtimeMs}`;
}

/** Makes `to` equal to `from`, touching only what has changed since `stamps` were taken; takes them anew. */
function copyMail(from: string, to: string, stamps: Map<string, Stamp>): void {
  const wanted = new Map<string, boolean>();
  const look = (folder: string): void => {
    for (const entry of readdirSync(join(from, folder), { withFileTypes: true })) {
      const name = join(folder, entry.name);
      wanted.set(name, entry.isDirectory());
      if (entry.isDirectory()) look(name);
    }
  };
  look('');
  const sweep = (folder: string): void => {
    for (const entry of readdirSync(join(to, folder), { withFileTypes: true })) {
      const name = join(folder, entry.name);
      if (wanted.get(name) !== entry.isDirectory()) rmSync(join(to, name), { recursive: true, force: true });
      else if (entry.isDirectory()) sweep(name);
    }
  };
  mkdirSync(to, { recursive: true });
  sweep('');
  for (const [name, isFolder] of wanted) {
    const [source, target] = [join(from, name), join(to, name)];
    if (isFolder) {
      if (existsSync(target)) continue;
      mkdirSync(target);
      chownSync(target, 5000, 5000);
      continue;
    }
    if (existsSync(target) && stamps.get(name) === stampOf(target)) continue;
    rmSync(target, { force: true });
    cpSync(source, target, { preserveTimestamps: true, verbatimSymlinks: true });
    lchownSync(target, 5000, 5000);
    stamps.set(name, stampOf(target));
  }
  // Servers remember the times of folders, so these must be as they were, innermost first.
  for (const [name, isFolder] of [...wanted].toReversed()) {
    if (!isFolder) continue;
    const { atime, mtime } = statSync(join(from, name));
    utimesSync(join(to, name), atime, mtime);
  }
}

/** Gives all of it to the user of Dovecot's mail. */
export function own(path: string): void {
  chownSync(path, 5000, 5000);
  for (const entry of readdirSync(path, { withFileTypes: true, recursive: true })) {
    if (!entry.isSymbolicLink()) chownSync(join(entry.parentPath, entry.name), 5000, 5000);
  }
}

function mailText(person: string, mailbox: string, number: number): string {
  const mark = markOf(person);
  return [
    `From: sender${number}@example.net`,
    `To: ${person}@${realm}`,
    `Subject: ${mark} ${mailbox} ${number}`,
    `Message-ID: <${number}.${mailbox.length}.${mark}>`,
    `Date: Mon, 0${number} Mar 2026 10:00:00 +0000`,
    '',
    `${mark} says ${'x'.repeat(7 * number + 31 * mailbox.length)}`,
    '',
  ].join('\r\n');
}

/** Mails written as files: their names, dates and so their order are known. `folder`: of a mailbox in a maildir; empty: INBOX. */
export function writeMailbox(
  maildir: string,
  folder: string,
  seed: string,
  mails: readonly (readonly [text: string, flags: string])[],
): void {
  for (const part of ['cur', 'new', 'tmp']) mkdirSync(join(maildir, folder, part), { recursive: true });
  if (folder !== '') writeFileSync(join(maildir, folder, 'maildirfolder'), '');
  for (const [at, [text, flags]] of mails.entries()) {
    const size = Buffer.byteLength(text);
    const file = join(maildir, folder, 'cur', `${seed}-${at + 1},S=${size},W=${size}:2,${flags}`);
    writeFileSync(file, text);
    utimesSync(file, 1_700_000_000 + at, 1_700_000_000 + at);
  }
}

function writeMaildir(maildir: string, person: string): void {
  for (const [name, folder, mails] of mailboxes) {
    const texts = mails.map((flags, at) => [mailText(person, name, at + 1), flags] as const);
    writeMailbox(maildir, folder, `seed-${person}`, texts);
  }
  mkdirSync(join(maildir, `.${markOf(person)}`, 'cur'), { recursive: true });
  writeFileSync(join(maildir, 'subscriptions'), person === 'nobody' ? '' : `Archive\n${markOf(person)}\n`);
  own(maildir);
}

/** Mail by files, then everything that only the server can write, and a look at everything so that indexes are there. */
async function fill(owner: Owner, lab: Lab, more: WorldsOptions['fillMore']): Promise<void> {
  const client = await openRawClient({ path: lab.unixPreauth, minor: 2, owner });
  const run: RunAs = async (user, fields, input) => {
    client.sendCommand({ user, fields });
    if (input !== undefined) await client.write(input);
    const { status, logs } = await client.readReply();
    if (status === '+') return;
    const why = logs.filter((log) => log.type !== 'debug').map((log) => log.text);
    throw new Error(`${fields.join(' ')}: ${status} ${why.join('; ')}`);
  };
  for (const person of people) {
    const user = `${person}@${realm}`;
    const home = join(lab.folder, 'mail', user);
    writeMaildir(join(home, 'Maildir'), person);
    own(home);
    await run(user, ['force-resync', '*']);
    await run(user, ['sieve put', '-a', '--', 'main'], `# ${markOf(person)}\nkeep;\n.\n`);
    await run(user, ['sieve put', '--', `script-${markOf(person)}`], 'discard;\n.\n');
    await run(user, ['mailbox metadata set', '--', 'INBOX', '/private/comment', markOf(person)]);
    await run(user, ['fetch', '--', 'uid hdr.subject date.saved size.virtual', 'all']);
    await run(user, ['mailbox status', '--', 'all', '*']);
    await run(user, ['quota recalc']);
  }
  for (const person of ['bob', 'victim']) {
    await run(`${person}@${realm}`, ['acl set', '--', 'Archive', `user=alice@${realm}`, 'lookup', 'read']);
  }
  await more?.(run);
  client.close();
}
