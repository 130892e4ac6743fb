// Goal: `dovegate send` prints for every command of the shipped presets what doveadm of the release prints, in every format that the
// real one has, and ends with its exit code.
// What must not happen: another byte that is no row of the differences in docs/client-shell.md; a preset with a command that is
// not tried here and is not excused.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { runDovegate } from '../kit/daemon.js';
import { type Lab, openLab } from '../kit/dovecot-lab.js';
import type { ProgramResult } from '../kit/program.js';
import { runWarm } from '../kit/warm-program.js';
import { alice, onDovecot } from './real-gateway.js';
import { columnsOf } from './typed-lines.js';

interface Tried {
  readonly args: readonly string[];
  readonly stdin?: string;
  /** Never leaves the real program, which asks the same Dovecot by itself. */
  readonly isLocal?: true;
  /** Its numbers are of the moment. */
  readonly isOfNow?: true;
}

/** Two users with the same mails; each program changes one. */
const twins = { real: 'bob@example.org', ours: 'victim@example.org' };
const script = 'keep;\n';
/** Commands with rows. */
const prints =
  /^(?:fetch|search|quota get|mailbox (?:list|status|metadata list)|acl (?:get|rights)|sieve (?:get|list))$/;

const tried: Readonly<Record<string, readonly Tried[]>> = {
  'acl add': [{ args: ['Archive', 'user=x@example.org', 'read'] }],
  'acl delete': [{ args: ['Archive', 'user=x@example.org'] }],
  'acl get': [{ args: ['INBOX'] }],
  'acl remove': [{ args: ['Archive', 'user=x@example.org', 'read'] }],
  'acl rights': [{ args: ['INBOX'] }],
  'acl set': [{ args: ['Archive', 'user=x@example.org', 'lookup'] }],
  expunge: [{ args: ['mailbox', 'Trash', 'savedbefore', '30d'] }],
  fetch: [
    { args: ['uid guid flags size.physical', 'mailbox', 'Archive', 'all'] },
    { args: ['uid flags hdr.subject', 'mailbox', 'INBOX', 'all'] },
    { args: ['mailbox seq', 'all'] },
  ],
  'force-resync': [{ args: ['INBOX'] }],
  index: [{ args: ['INBOX'] }],
  'mailbox cache purge': [{ args: ['INBOX'] }],
  'mailbox create': [{ args: ['New'] }, { args: ['INBOX'] }],
  'mailbox delete': [{ args: ['New'] }, { args: ['Nope'] }],
  'mailbox list': [{ args: [] }, { args: ['A*'] }],
  'mailbox metadata get': [{ args: ['INBOX', '/private/comment'] }],
  'mailbox metadata list': [{ args: ['INBOX'] }],
  'mailbox metadata set': [{ args: ['INBOX', '/private/comment', 'x'] }],
  'mailbox metadata unset': [{ args: ['INBOX', '/private/comment'] }],
  'mailbox rename': [{ args: ['Nope', 'Other'] }],
  'mailbox status': [
    { args: ['all', '*'] },
    { args: ['messages vsize', 'INBOX'] },
    { args: ['-t', 'messages', '*'] },
  ],
  'mailbox subscribe': [{ args: ['Archive'] }],
  'mailbox unsubscribe': [{ args: ['Archive'] }],
  move: [{ args: ['Archive', 'mailbox', 'INBOX', 'header', 'Message-ID', '<nobody@example.net>'] }],
  penalty: [{ args: [], isLocal: true }],
  'process status': [{ args: ['anvil'], isLocal: true, isOfNow: true }],
  purge: [{ args: [] }],
  'quota get': [{ args: [] }],
  'quota recalc': [{ args: [] }],
  search: [{ args: ['mailbox', 'INBOX', 'all'] }],
  'service status': [{ args: ['anvil'], isLocal: true, isOfNow: true }],
  'sieve activate': [{ args: ['nope'] }],
  'sieve deactivate': [{ args: [] }],
  'sieve delete': [{ args: ['nope'] }],
  'sieve get': [{ args: ['again'] }],
  'sieve list': [{ args: [] }],
  'sieve put': [{ args: ['again'], stdin: script }],
  who: [{ args: ['nobody@example.org'], isLocal: true }],
};

/** Why a command of a preset is not tried. */
const excused: Readonly<Record<string, string>> = {
  'auth cache flush': 'it says how many entries there were',
  backup: 'needs another server',
  'director ring status': 'no directors here',
  'director status': 'no directors here',
  'dsync-server': 'it is a conversation, which send refuses',
  'fts rescan': 'no full text search here',
  import: 'needs another store',
  'instance list': 'it is written as the programs run',
  kick: 'nobody is logged in',
  'log errors': 'errors come as the programs run',
  'proxy kick': 'no proxy here',
  'replicator replicate': 'no replicator here',
  'replicator status': 'no replicator here',
  'stats dump': 'counts what the programs do',
  sync: 'needs another server',
  user: 'the real one prints other fields of its own machine; see drop-in',
};

function presetCommands(): Set<string> {
  const folder = fileURLToPath(new URL('../../../config/presets/', import.meta.url));
  const names = new Set<string>();
  for (const file of readdirSync(folder)) {
    const preset: { allow?: (string | { command: string })[] } = parse(
      readFileSync(join(folder, file), 'utf8'),
    );
    for (const rule of preset.allow ?? []) names.add(typeof rule === 'string' ? rule : rule.command);
  }
  return names;
}

onDovecot('send prints as the real one, for every command of the presets', openLab, async (t, lab) => {
  // 2.3 writes JSON in a way of its own.
  const all = ['tab', 'flow', 'pager', ...(lab.series === '2.4' ? ['json'] : []), 'table', undefined];
  let count = 0;
  for (const [name, ways] of Object.entries(tried)) {
    for (const way of ways) {
      // Where nothing is printed, one format that prints a line of names and none are all that there is.
      for (const format of prints.test(name) || way.isLocal === true ? all : ['tab', undefined]) {
        const title = `${name} ${way.args.join(' ')} -f ${format ?? 'none'}`;
        const real = await runReal(lab, name, way, format);
        const ours = await runOurs(lab, name, way, format);
        const said = `${title}\n${real.stderr}\n${ours.stderr}`;
        assert.deepEqual(
          readAs(name, format, shown(ours, way)),
          readAs(name, format, shown(real, way)),
          said,
        );
        assert.equal(ours.exit, real.exit, said);
        count += 1;
      }
    }
  }
  t.diagnostic(`Dovecot ${lab.version}: ${count} tables`);
});

test('every command of the presets is tried, or there is a reason', () => {
  const missing = [...presetCommands()].filter((name) => !Object.hasOwn({ ...tried, ...excused }, name));
  assert.deepEqual(missing, []);
});

function userFor(name: string, user: string): string {
  return prints.test(name) && !name.startsWith('sieve') ? alice : user;
}

function runReal(lab: Lab, name: string, way: Tried, format: string | undefined): Promise<ProgramResult> {
  const where =
    way.isLocal === true ? [] : ['-S', lab.inRoot(lab.unixPreauth), '-u', userFor(name, twins.real)];
  const ahead = format === undefined ? [] : ['-f', format];
  return lab.doveadm([...ahead, ...name.split(' '), ...where, ...way.args], { stdin: way.stdin ?? '' });
}

function runOurs(lab: Lab, name: string, way: Tried, format: string | undefined): Promise<ProgramResult> {
  const args = ['send', '--socket', lab.unixPreauth, '--user', userFor(name, twins.ours)];
  if (format !== undefined) args.push('--format', format);
  args.push('--', ...name.split(' '), ...way.args);
  return way.stdin === undefined ? runWarm(args) : runDovegate(args, { stdin: way.stdin });
}

/** Commands with a table if no format is asked for. */
const tables = /^(?:quota get|acl (?:get|rights)|penalty|process status|who)$/;

/** What a reader finds, where only the form differs from that of the real program. */
function readAs(name: string, format: string | undefined, text: string): unknown {
  if (format === 'json') return JSON.parse(text);
  if (format === 'table' || (format === undefined && tables.test(name))) return columnsOf(text);
  return format === 'tab' && text === '\n' ? '' : text;
}

function shown({ stdout }: ProgramResult, way: Tried): string {
  const text = stdout.toString('latin1').replaceAll(twins.ours, twins.real);
  return way.isOfNow === true ? text.replace(/\d+/g, '0').replace(/ +/g, ' ') : text;
}
