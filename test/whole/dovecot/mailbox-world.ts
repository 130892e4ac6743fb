// One user's mailboxes in namespaces that a test chooses, at a real Dovecot, and which of them a name reaches there: for a search query,
// for a mask, and for a command that opens the mailbox by its name.
// Each mailbox is known by its plain name: the prefix of its own namespace (never of an alias) and what follows, `INBOX` for the INBOX.
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Namespace } from '../../../src/doveadm/names/mailbox-names.js';
import type { Lab } from '../../kit/plain/dovecot-lab.js';
import { openRawClient, type RawClient, type RawReply } from '../../kit/plain/raw-client.js';
import { RawClientError } from '../../kit/plain/raw-reply.js';
import { alice, passwordSetting } from './real-gateway.js';

/** How mailboxes are stored; of all namespaces alike. */
export const allStorages = ['maildir', 'maildir-fs', 'sdbox', 'mdbox'] as const;
export type Storage = (typeof allStorages)[number];

/** How a name is used: `mailbox` of a query, a mask, the mailbox that a command opens. */
export const allUses = ['query', 'mask', 'name'] as const;
export type NameUse = (typeof allUses)[number];

/** A command line that uses a name like this, without the user. */
export function lineWith(use: NameUse, name: string): string[] {
  if (use === 'query') return ['fetch', 'mailbox-guid', 'mailbox', name, 'all'];
  return use === 'mask' ? ['mailbox status', 'guid', name] : ['save', '-m', name];
}

export interface MailboxWorld {
  /** The mailboxes that there are, by plain name. */
  readonly plain: readonly string[];
  /** Plain names of what the name reaches; `unknown`: something else than these. */
  reached(use: NameUse, name: string): Promise<readonly string[]>;
  close(): void;
}

/** What mailboxes each namespace has, by the part behind its prefix; `/` becomes its separator. */
const parts = ['Sub', 'Sub/Kid', 'Trash', 'Ünïcode'];

/** Dovecot is started with these namespaces and nothing else in its mailboxes. One of them has the INBOX. */
export async function openMailboxWorld(
  lab: Lab,
  namespaces: readonly Namespace[],
  storage: Storage = 'maildir',
): Promise<MailboxWorld> {
  rmSync(join(lab.folder, 'mail', alice), { recursive: true, force: true });
  const more = `${passwordSetting}mail_fsync = never\n`;
  await lab.writeExtraConf(more + configurationOf(lab, namespaces, storage));
  let client: RawClient | undefined;
  /** Undefined: the process ended twice, so it ends of the command. `isAgain`: the command may have run before, its reply lost. */
  const ask = async (
    fields: readonly string[],
    input?: string,
  ): Promise<{ readonly reply: RawReply | undefined; readonly isAgain: boolean }> => {
    for (const isAgain of [false, true]) {
      // A busy machine takes more than ten seconds for a reply, and what runs on then is seen with the next question.
      client ??= await openRawClient({ path: lab.unixPreauth, minor: 2, timeoutMs: replyMs });
      try {
        client.sendCommand({ user: alice, fields });
        if (input !== undefined) await client.write(input);
        return { reply: await client.readReply(), isAgain };
      } catch (error) {
        // A process that has nothing to do may end between two commands.
        if (!(error instanceof RawClientError) && isAgain) throw error;
        client.close();
        client = undefined;
      }
    }
    return { reply: undefined, isAgain: true };
  };

  const plain = ['INBOX'];
  for (const one of namespaces) {
    if (one.aliasFor !== undefined) continue;
    const names = parts.map((part) => one.prefix + part.replace('/', one.separator));
    plain.push(...names.filter((name) => !isElsewhere(name, one, namespaces)));
  }
  const byGuid = new Map<string, string>();
  const counts = new Map<string, string>();
  for (const name of plain) {
    if (name !== 'INBOX') await must(['mailbox create', name]);
    await must(['save', '-m', name], mail);
    const [guid = ''] = (await must(['fetch', 'mailbox-guid', 'mailbox', name, 'all'])).cells;
    assert.match(guid, /^[0-9a-f]{32}$/, name);
    assert.ok(!byGuid.has(guid), `${name} and ${byGuid.get(guid) ?? ''} are one mailbox`);
    byGuid.set(guid, name);
    counts.set(name, '1');
  }

  return {
    plain,
    async reached(use, name) {
      const { reply, isAgain } = await ask(lineWith(use, name), use === 'name' ? mail : undefined);
      // A text that was sent twice, or whose reply is lost, is counted here and not with the next question.
      const found = use === 'name' && (isAgain || reply?.status === '+') ? await grown() : [];
      if (reply?.status !== '+') return [];
      if (use === 'name') return found;
      const guids = use === 'query' ? reply.cells : reply.cells.filter((_, at) => at % 2 === 1);
      return [...new Set(guids.map((guid) => byGuid.get(guid) ?? 'unknown'))];
    },
    close: () => client?.close(),
  };

  async function must(fields: readonly string[], input?: string): Promise<RawReply> {
    const { reply, isAgain } = await ask(fields, input);
    const logs = reply?.logs.map(({ text }) => text).join('; ') ?? 'no reply';
    const isMade = isAgain && fields[0] === 'mailbox create' && logs.includes('already exists');
    assert.ok(reply !== undefined && (reply.status === '+' || isMade), `${fields.join(' ')}: ${logs}`);
    return reply;
  }

  /** Which mailbox has a mail more than when this was called last. */
  async function grown(): Promise<readonly string[]> {
    const found: string[] = [];
    for (const name of plain) {
      const { cells } = await must(['mailbox status', 'messages', name]);
      const [count = ''] = cells.slice(-1);
      if (counts.get(name) !== count) found.push(name);
      counts.set(name, count);
    }
    return found.length === 0 ? ['unknown'] : found;
  }
}

/** A longer prefix, or the root of another namespace, takes the name. */
function isElsewhere(name: string, own: Namespace, namespaces: readonly Namespace[]): boolean {
  return namespaces.some(
    ({ prefix }) =>
      prefix.length > own.prefix.length && (name.startsWith(prefix) || name === prefix.slice(0, -1)),
  );
}

const replyMs = 60_000;
const mail = 'Subject: here\r\n\r\ntext\r\n.\r\n';

/** In the language of the release; the lab's own `namespace inbox` is the one with the INBOX. */
function configurationOf(lab: Lab, namespaces: readonly Namespace[], storage: Storage): string {
  const nameOf = (namespace: Namespace): string =>
    namespace.inbox ? 'inbox' : `n${namespaces.indexOf(namespace)}`;
  const first = namespaces.find((each) => each.inbox);
  return namespaces
    .map((namespace) => {
      const { prefix, separator, aliasFor, inbox } = namespace;
      const home = namespaces.find((each) => each.prefix === (aliasFor ?? prefix)) ?? namespace;
      const lines = [`  prefix = ${quoted(prefix)}`, `  separator = ${quoted(separator)}`];
      lines.push(...locationOf(lab, storage, home.inbox ? 'inbox' : nameOf(home)));
      if (aliasFor !== undefined) {
        lines.push(
          `  alias_for = ${lab.series === '2.3' ? quoted(aliasFor) : nameOf(home)}`,
          '  hidden = yes',
          '  list = no',
        );
      }
      // Those that are listed must have one separator.
      else if (separator !== first?.separator) lines.push('  list = no');
      if (inbox) lines.push('  mailbox Trash {', '    special_use = \\Trash', '  }');
      else lines.push('  subscriptions = no');
      return `namespace ${nameOf(namespace)} {\n${lines.join('\n')}\n}\n`;
    })
    .join('');
}

function quoted(text: string): string {
  return `"${text.replaceAll('\\', '\\\\')}"`;
}

function locationOf(lab: Lab, storage: Storage, folder: string): string[] {
  const [driver = '', layout] = storage.split('-');
  const path = `~/${driver}-${folder}`;
  if (lab.series === '2.3')
    return [`  location = ${driver}:${path}${layout === undefined ? '' : `:LAYOUT=${layout}`}`];
  return [
    `  mail_driver = ${driver}`,
    `  mail_path = ${path}`,
    ...(layout === undefined ? [] : [`  mailbox_list_layout = ${layout}`]),
  ];
}
