// How many connections of others Dovecot's doveadm had since doctor last looked: the processes that it started, one for each connection,
// less those that this gate and doctor dialled. A restart or a reload of Dovecot begins again, and a restart of dovegate too.

import { statSync } from 'node:fs';
import { ourselves } from '../../host/machine/accounts.js';
import { readIfThere, writeAtomically } from '../../host/machine/files.js';
import { isProgramEnd, runProgram } from '../../host/machine/programs.js';
import { isCount, isText, parseLine } from '../../host/values/values.js';
import { formatTime, parseTime } from '../../host/words/instants.js';
import { durationWords, plural } from '../../host/words/words.js';
import type { DovecotFacts } from '../../rules/setup/doveconf.js';
import { type Told, textOf } from './daemon-look.js';
import { type Look, ok } from './look.js';

export interface Counted {
  /** Of the Dovecot and of the dovegate that were counted. */
  readonly run: string;
  readonly started: number;
  readonly dialled: number;
}

/** The last count, and since when no other client has connected. */
export interface Quiet extends Counted {
  readonly since: string;
}

/** In the folder of Dovecot's sockets, which is root's and ends with the machine's run. */
const fileIn = (baseDirectory: string): string => `${baseDirectory}/dovegate-doctor.json`;

/** Undefined: it cannot be counted here. */
export async function countConnections(
  { baseDirectory, isCounting }: Pick<DovecotFacts, 'baseDirectory' | 'isCounting'>,
  told: Told | undefined,
): Promise<Counted | undefined> {
  if (!isCounting || told === undefined || 'why' in told || !ourselves().isRoot) return undefined;
  const asked = ['-f', 'tab', 'service', 'status', 'doveadm'];
  const ended = await runProgram('doveadm', asked, { timeoutMs: 5_000, bytesMax: 1 << 16 });
  const [names = '', row = ''] = isProgramEnd(ended, 'ended') ? ended.stdout.split('\n') : [];
  const started = Number(row.split('\t')[names.split('\t').indexOf('process_total')]);
  // Dovecot makes it at a start and at a reload, where it counts from 0.
  const made = statSync(`${baseDirectory}/config`, { throwIfNoEntry: false })?.mtimeMs;
  if (!isCount(started) || made === undefined) return undefined;
  return { run: `${made} ${textOf(told.status['started'])}`, started, dialled: dialsIn(told.metrics) };
}

/** Dials that reached a server. */
function dialsIn(metrics: string): number {
  const lines = metrics.matchAll(/^dovegate_dials_total\{[^}]*result="([^"]*)"\} (\d+)$/gm);
  return [...lines].reduce((sum, [, end = '', n]) => (end.startsWith('dial-') ? sum : sum + Number(n)), 0);
}

export function readQuiet({ baseDirectory }: Pick<DovecotFacts, 'baseDirectory'>): Quiet | undefined {
  const { run, started, dialled, since } = parseLine(readIfThere(fileIn(baseDirectory)) ?? '') ?? {};
  return isText(run) && isText(since) && isCount(started) && isCount(dialled)
    ? { run, since, started, dialled }
    : undefined;
}

/** As counted at the end of doctor, whose own dials are in it: the next one begins there. */
export function writeQuiet({ baseDirectory }: Pick<DovecotFacts, 'baseDirectory'>, quiet: Quiet): void {
  try {
    writeAtomically(fileIn(baseDirectory), `${JSON.stringify(quiet)}\n`);
  } catch {
    // As in a container, where that folder is mounted to be read only: each doctor begins to count.
  }
}

const dayMs = 86_400_000;

/** `since`: no other client has connected after it. */
export function lookAtOthers(
  now: Counted,
  before: Quiet | undefined,
  nowMs: number,
): { readonly look: Look; readonly since: string } {
  const name = 'other clients';
  const atNow = formatTime(nowMs);
  const others =
    before?.run === now.run ? now.started - before.started - (now.dialled - before.dialled) : undefined;
  if (before === undefined || others === undefined || others < 0)
    return {
      look: ok(name, "connections to Dovecot's doveadm beside those of dovegate are counted from now on"),
      since: atNow,
    };
  const ms = nowMs - (parseTime(before.since) ?? nowMs);
  if (others > 0)
    return {
      look: ok(
        name,
        `${plural(others, 'connection')} past dovegate since ${before.since}; ss shows whose: docs/migrate-from-root.md`,
      ),
      since: atNow,
    };
  const end = ms < dayMs ? '' : '; the old listener and its password may go';
  return {
    look: ok(name, `nobody came past dovegate since ${before.since} (${durationWords(ms)})${end}`),
    since: before.since,
  };
}
