// What a client got against what its backend gave: wrong answers, cut replies that look whole, commands that ran twice, refusals and
// silence that no fault explains.

import { parseEntry } from './backend.js';
import type { Series } from './catalog.js';
import { catalog } from './catalog.js';
import { type Arrival, type Entry, nameArrival, nameEntry } from './evidence.js';
import {
  backendKinds,
  clientKinds,
  diskKinds,
  type Faults,
  gateKinds,
  kindsOfCode,
  processKinds,
  queueKinds,
  reloadKinds,
} from './faults.js';
import type { ClientIndex } from './index-clients.js';
import { denialOf, type Policies, type Timeline } from './judge.js';
import type { Code, Report } from './report.js';
import { hasUserColumn, isJoined, isNative } from './truth.js';

interface AnswerSetting {
  index: ClientIndex;
  faults: Faults;
  timeline: Timeline;
  policies: Policies;
  report: Report;
}

interface AnswerChecker {
  check(entry: Entry): void;
}

const switchMs = 3000;
const queueMs = 35_000;
const silenceMs = 5000;
/** Longer than `limits.queue_timeout` (30 s), and than the gate takes to notice that a backend is gone. */
const forgottenMs = 42_000;
const exitStatus: Record<string, string> = {
  'exit 0': '+',
  'exit 64': '-USAGE',
  'exit 65': '-DATAERR',
  'exit 67': '-NOUSER',
  'exit 68': '-NOTFOUND',
  'exit 75': '-TEMPFAIL',
  'exit 77': '-NOPERM',
};
/** Failures that the HTTP API has a number for; it says -1 for all others. */
const namedOverHttp = new Set(
  '-NOUSER -NOTFOUND -USAGE -DATAERR -NOPERM -TEMPFAIL -PROTOCOL -CHANGED -EXPIRED'.split(' '),
);
/** Statuses that the gate gives by itself. */
const ownStatus = new Set(['-NOPERM', '-USAGE', '-TEMPFAIL']);

export function createAnswerChecker(entries: readonly Entry[], setting: AnswerSetting): AnswerChecker {
  const { report, faults, timeline, policies, index } = setting;
  const closed = closedSessions(entries);
  const say = (code: Code, entry: Entry, what: string, where: string): void =>
    report.add(code, nameEntry(entry) + what, where);

  /** The oracle's own judgement of what the client sent, by every policy that may have been in force. */
  const verdictOf = (entry: Entry): 'allow' | 'deny' | 'unknown' => {
    const versions = timeline.between(
      entry.begun - switchMs,
      Math.min(entry.ended, entry.begun + 600_000) + switchMs,
    );
    const user = index.normalUser(entry.user);
    const verdicts = new Set<string>();
    for (const series of ['2.3', '2.4'] as Series[]) {
      const parsed = entry.kind === 'http' ? undefined : parseEntry(entry, series);
      if (parsed === undefined || parsed.oddities.length > 0 || hasUserColumn(entry)) return 'unknown';
      for (const version of versions) {
        const why = denialOf(policies.get(version)?.get(entry.principal) ?? [], parsed, user);
        verdicts.add(why === undefined ? 'allow' : 'deny');
      }
    }
    if (verdicts.size !== 1) return 'unknown';
    return verdicts.has('allow') ? 'allow' : 'deny';
  };

  const isToBeServed = (entry: Entry): boolean => {
    if (entry.kind === 'hostile' || entry.inputCut || entry.end === 'left') return false;
    if (entry.expect === 'refuse') return false;
    const verdict = verdictOf(entry);
    return entry.expect === 'allow' ? verdict !== 'deny' : verdict === 'allow';
  };

  const checkRefusal = (entry: Entry, status: string, lines: readonly Arrival[]): void => {
    if (!isToBeServed(entry)) return;
    const done = entry.exchanges.findLast((one) => !one.isTwin)?.done;
    const code = done?.error === '' || done === undefined ? (entry.word?.code ?? '') : done.error;
    const where = `answered after ${entry.ended - entry.begun} ms at ${entry.ended}`;
    const reply = lines.at(-1)?.reply;
    const isContradicted =
      reply?.whole === true && lines.at(-1)?.isForged !== true && ofBrokenReply.test(code);
    if (isContradicted && !faults.explain(entry.begun, entry.ended, tornKinds)) {
      say('wrong-refusal', entry, `: ${status} [${code}], and the backend gave ${reply.status}`, where);
      return;
    }
    // A backend that announces a newer minor is sent reads only, until it greets again; of a flood of refusals most are only counted.
    const isOfNewer = status === '-NOPERM' && (code === 'backend-newer' || code === '');
    if (status !== '-TEMPFAIL' && !isOfNewer) {
      if (!code.endsWith('-differ') || !faults.explain(entry.begun, entry.ended, gateKinds))
        say('wrong-refusal', entry, `: ${status} [${code}]`, where);
      return;
    }
    const isAny = code === '' || code === 'outcome-unknown';
    const kinds = isOfNewer ? backendKinds : isAny ? undefined : kindsOfCode(code);
    const isNever = code !== '' && code !== 'outcome-unknown' && kinds === undefined;
    const from = kinds === queueKinds ? entry.begun - queueMs : entry.begun;
    const backend = done?.backend === '' ? undefined : done?.backend;
    if (isNever || !faults.explain(from, entry.ended, kinds, backend))
      say('wrong-refusal', entry, `: ${status} [${code}]`, where);
  };

  const compareRows = (entry: Entry, whole: readonly Arrival[], joined: boolean): void => {
    if (entry.rowBytes < 0 || entry.rowSha === '' || hasUserColumn(entry)) return;
    if (joined) {
      const sum = whole.reduce((bytes, one) => bytes + (one.reply?.bytes ?? 0), 0);
      if (sum !== entry.rowBytes)
        say('wrong-answer', entry, ` got ${entry.rowBytes} bytes of rows, not ${sum}`, `at ${entry.ended}`);
      return;
    }
    if (whole.some((one) => one.reply?.sha === entry.rowSha && one.reply.bytes === entry.rowBytes)) return;
    const reply = whole.at(-1)?.reply;
    say(
      'wrong-answer',
      entry,
      ` got other rows: ${entry.rowBytes} bytes, and the backend gave ${reply?.bytes ?? 0}`,
      whole[0] === undefined ? `at ${entry.ended}` : nameArrival(whole[0]),
    );
  };

  const checkAnswer = (entry: Entry, lines: readonly Arrival[]): void => {
    const status = entry.kind === 'doveadm' ? (exitStatus[entry.status] ?? entry.status) : entry.status;
    const where = lines[0] === undefined ? `at ${entry.ended}` : nameArrival(lines[0]);
    if (entry.command.startsWith('dovegate ')) return;
    if (entry.status === 'exit 134' && !faults.explain(entry.begun, entry.ended, processKinds))
      say('wrong-answer', entry, ': the program died of its answer', where);
    if (!/^[+-]/.test(status)) return;
    const whole = lines.filter((one) => one.reply?.whole === true);
    const joined = isJoined(lines);
    const same = whole.filter((one) => isSameStatus(entry, status, one.reply?.status ?? ''));
    if (same.length > 0) {
      if (status !== '+' && joined) return;
      compareRows(entry, joined ? whole : same, joined);
      if (status === '+' && joined && whole.length < lines.length)
        say('false-complete', entry, ': one of several backends gave a cut reply', where);
      return;
    }
    if (ownStatus.has(status) || (status === '-NOUSER' && entry.kind === 'http')) {
      checkPartRows(entry, lines);
      checkRefusal(entry, status, lines);
      return;
    }
    const done = entry.exchanges.findLast((one) => !one.isTwin)?.done;
    const code = done?.error ?? entry.word?.code ?? '';
    if (status === '-DATAERR' && code.startsWith('input-')) return;
    if (lines.length === 0) say('wrong-answer', entry, `: ${entry.status}, and no backend got it`, where);
    else if (whole.length === 0) say('false-complete', entry, `: ${entry.status} after a cut reply`, where);
    else
      say(
        'wrong-answer',
        entry,
        `: ${entry.status}, and the backend said ${whole.at(-1)?.reply?.status}`,
        where,
      );
  };

  /** Rows before a failure of the gate come from the reply as well. */
  const checkPartRows = (entry: Entry, lines: readonly Arrival[]): void => {
    if (!isNative(entry) || entry.rowBytes <= 0 || hasUserColumn(entry) || entry.cells === 1) return;
    const given = lines.reduce((bytes, one) => bytes + (one.reply?.bytes ?? 0), 0);
    if (entry.rowBytes > given)
      say(
        'wrong-answer',
        entry,
        `: ${entry.rowBytes} bytes of rows, and the backend gave ${given}`,
        `at ${entry.ended}`,
      );
  };

  /** A client that is told that nothing ran sends its change again. */
  const checkPromise = (entry: Entry, lines: readonly Arrival[]): void => {
    const code = entry.word?.code ?? '';
    const effect = catalog['2.4'].get(entry.command)?.effect ?? catalog['2.3'].get(entry.command)?.effect;
    const line = lines.find((one) => entry.input === undefined || one.input !== undefined);
    if (line !== undefined && (entry.isWrite || effect !== 'read') && ofNothing.test(code))
      say(
        'wrong-answer',
        entry,
        ` was told [${code}], nothing ran, and it reached a backend`,
        nameArrival(line),
      );
  };

  const checkLost = (entry: Entry, lines: readonly Arrival[]): void => {
    if (!entry.hasEnded || entry.kind === 'hostile' || entry.end === 'left' || entry.inputCut) return;
    const where = `${entry.end} after ${entry.ended - entry.begun} ms at ${entry.ended}`;
    if (entry.end === 'eof' || entry.end === 'reset') {
      const kinds =
        entry.kind === 'http' ? new Set([...backendKinds, ...gateKinds, ...clientKinds]) : eofKinds;
      if (closed(entry) || faults.explain(entry.begun, entry.ended, kinds)) return;
      say('lost', entry, ': the connection ended without an answer', where);
      return;
    }
    const last = lines.at(-1);
    const replied = last?.reply?.whole === true ? last.ended : Infinity;
    const cutAt = last?.reply !== undefined && !last.reply.whole ? last.ended : Infinity;
    const sinceMs = entry.ended - (lines.length === 0 ? entry.begun : cutAt);
    const isForgotten = sinceMs > forgottenMs && !faults.explain(entry.begun, entry.ended, waitKinds);
    const isHeld =
      replied + silenceMs < entry.ended && !faults.explain(replied - silenceMs, entry.ended, holdKinds);
    if (isHeld) say('lost', entry, ': no answer, and its backend had given it', where);
    else if (isForgotten) say('lost', entry, ': no answer, longer than a command may wait', where);
    else if (!faults.explain(entry.begun - queueMs, entry.ended, queueKinds)) say('lost', entry, '', where);
  };

  const checkTwice = (entry: Entry, lines: readonly Arrival[]): void => {
    const isServer = lines.some((one) => !one.isMail);
    const effect =
      catalog['2.4'].get(entry.command)?.effect ?? catalog['2.3'].get(entry.command)?.effect ?? 'write';
    const sends = entry.exchanges.filter((one) => !one.isTwin && one.done?.sent !== false).length;
    for (let at = 1; at < lines.length; at += 1) {
      const before = lines[at - 1];
      const now = lines[at];
      if (before === undefined || now === undefined) continue;
      if (before.reply?.status.startsWith('-REFERRAL') || (isServer && before.backend !== now.backend))
        continue;
      if (entry.isWrite || effect !== 'read') {
        if (before.inputCut && sends >= lines.length) continue;
        say('twice', entry, ` reached backends ${lines.length} times`, nameArrival(now));
        return;
      }
      const hadReply =
        before.reply !== undefined &&
        (before.reply.whole || before.reply.bytes > 0 || before.reply.status !== '');
      if (hadReply && sends < lines.length) {
        say('twice', entry, ' was sent again after bytes of its reply', nameArrival(now));
        return;
      }
    }
  };

  return {
    check(entry) {
      const lines = entry.arrivals.filter((one) => !one.isTwin).toSorted((one, other) => one.at - other.at);
      if (lines.length > 1) checkTwice(entry, lines);
      const stranger = entry.strangers.find((token) => index.isKnown(token));
      if (stranger !== undefined && entry.kind !== 'hostile')
        say('wrong-answer', entry, ` was shown something of ${stranger}`, `at ${entry.ended}`);
      checkPromise(entry, lines);
      if (entry.status === '') checkLost(entry, lines);
      else checkAnswer(entry, lines);
    },
  };
}

/** Only the end of the gate, a revoked right, or a client that does not read ends a session without an answer. */
const eofKinds: ReadonlySet<string> = new Set([...gateKinds, ...clientKinds, ...reloadKinds]);
/** What can keep a whole reply from its client. */
const holdKinds: ReadonlySet<string> = new Set([...processKinds, 'slow-client', 'delay', 'tear']);

/** Codes that say of a backend that its reply was not whole. */
const ofBrokenReply = /^(?:closed-early|reply-.*|dial-.*|early-answer|not-done|poison)$/;
const tornKinds: ReadonlySet<string> = new Set([...processKinds, 'tear', 'hostile-server', 'delay']);

/** Codes by which a client reads that nothing ran: it may send a change again. */
const ofNothing =
  /^(?:audit-.*|backend-drained|draining|no-route|changed-meanwhile|queue-.*|lookup-.*|dial-.*|tls-failed|auth-rejected|version-unsupported|not-done|input-.*|sessions-limit|no-room|over-limit|limits-full|denied|killed)$/;

/** What can make a command wait for longer than the queue permits: the process, the disk, or its own client. */
const waitKinds: ReadonlySet<string> = new Set([...diskKinds, ...clientKinds]);

function isSameStatus(entry: Entry, status: string, given: string): boolean {
  if (status === given) return true;
  // The HTTP API and the exit codes have no word for most failures.
  if (entry.kind === 'http')
    return (
      status !== '+' &&
      given !== '+' &&
      !ownStatus.has(status) &&
      !(namedOverHttp.has(status) && namedOverHttp.has(given))
    );
  if (entry.kind === 'doveadm') return given !== '+' && (status === '-TEMPFAIL' || status.startsWith('exit'));
  return false;
}

/**
 * Commands that a client had sent already when the answer to an earlier one ended its session: after a cut cell, after a refused
 * command of which nobody can tell whether text follows, and after a text over its limits.
 */
function closedSessions(entries: readonly Entry[]): (entry: Entry) => boolean {
  const ends = new Map<number, { begun: number; ended: number }[]>();
  for (const { client, begun, ended, end, status } of entries) {
    const mayClose = status === '-TEMPFAIL' || status === '-USAGE' || status === '-DATAERR';
    const isClosed = end === 'eof' || end === 'reset' || end === 'left';
    if (status === '' || (!mayClose && !isClosed)) continue;
    const list = ends.get(client);
    if (list === undefined) ends.set(client, [{ begun, ended }]);
    else list.push({ begun, ended });
  }
  return ({ client, begun }) =>
    (ends.get(client) ?? []).some((one) => one.begun <= begun && begun <= one.ended + 1000);
}
