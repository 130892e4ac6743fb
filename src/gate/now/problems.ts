// Present problems, worst first: a sentence for each, and what to try. The page and `dovegate status` show the same ones. A sentence is
// made of codes, numbers and names of the configuration, so that it contains no words of a client or a backend, and no mail user. A
// principal is named if its records fill the journal or its client is slow. A code is never renamed.

import { lockSentence, type ShownLock } from '../../doveadm/codes/locks.js';
import { bytesWords, countWords, durationWords, plural, rateWords } from '../../host/words/words.js';
import { forkedTodo } from '../../rules/config/fault.js';
import { findEnds, timeOf } from './ends.js';
import type { FoundCode } from './found-codes.js';
import type { NowHead } from './now.js';
import { drainWords } from './operator.js';
import type { RefusedKey } from './refused-logins.js';
import {
  isUp,
  type Running,
  type RunningBackend,
  type RunningJournal,
  type RunningNotices,
  type RunningSink,
  slowMsMin,
  type TlsCause,
} from './running.js';

export type NowState = NowHead['state'];

export interface FoundProblem {
  /** The code of readiness, or of a log line if there is one. */
  readonly code: FoundCode;
  /** Times in it are marked: `{2026-11-21T02:14:00.000Z}`. */
  readonly text: string;
  readonly try?: string;
  readonly backend?: string;
  /** What it is about, if not a backend. */
  readonly about?: string;
  readonly isDegrading: boolean;
  /** The text with the name of a mail user, for those who may see that user. */
  readonly named?: { readonly user: string; readonly text: string };
  /** Since when, in Unix milliseconds; undefined: not known. */
  readonly sinceMs?: number;
}

export function keyOf({ code, backend, about = backend }: FoundProblem): string {
  return about === undefined ? code : `${code} ${about}`;
}

const diskFullBytes = 1024 ** 3;
/** A disk in order takes milliseconds. */
const unsyncedMsMax = 2_000;
const slowNamesMax = 3;
/** Most commands take milliseconds. */
const stuckMsMin = 10_000;
/** The time after which a client gets the first "still waiting" notice. */
const waitMsMax = 5_000;
/** One or two refusals are a mistake of the key's own program, not a theft. */
const refusalsMin = 3;
/** In a minute. A team that mistypes its passwords has fewer. */
const failedLoginsMin = 30;

/** Those that degrade first, then the worst; empty: nothing is wrong. */
export function findProblems(running: Running): readonly FoundProblem[] {
  return problemsOf(running).toSorted((one, other) => Number(other.isDegrading) - Number(one.isDegrading));
}

/** A gate that stops drains its backends, so their states are no problems then. */
function problemsOf(running: Running): readonly FoundProblem[] {
  const { journal, sinks, ship, lookups, refusedKeys, atMs } = running;
  const backends = running.state === 'draining' ? [] : running.backends;
  const notDrained = backends.filter(({ health }) => health !== 'drained');
  const down = backends.filter(({ fault }) => fault !== undefined);
  const areAllDown = backends.length > 0 && down.length === notDrained.length;
  const found: readonly (FoundProblem | undefined)[] = [
    journalFailure(journal),
    missingRecords(journal),
    areAllDown && down.length > 1 ? allDown(down) : undefined,
    journalReserve(journal),
    ...down.map(backendDown),
    ...backends.map((backend) => backendDrained(backend, running)),
    ...locksInForce(running.locks),
    ...(areAllDown ? [] : running.routes.map((route) => routeDown(route, backends))),
    ...notDrained.map((backend) => backendStuck(backend, running)),
    ...lookups.map(lookupFailing),
    ...refusedKeys.filter(({ why }) => why === 'address').map(refusedKey),
    fillingJournal(journal),
    unsynced(journal),
    ...notDrained.map((backend) => queueGrows(backend, running)),
    ...findEnds(running, true),
    ...sinks.map((sink) => sinkForked(sink)),
    ...sinks.map(sinkAway),
    ship && shipAbsent(ship, sinks),
    ...(ship?.notices ?? []).map((each) => noticesAway(each, atMs - (ship?.ageMs ?? 0))),
    lostRecords(journal),
    ...touched(journal),
    stalled(running.stall),
    manyLogins(running.failedLogins),
    ...refusedKeys.filter(({ why }) => why !== 'address').map(refusedKey),
    failedReload(running.reload),
    ...notDrained.map(newerBackend),
    ...findEnds(running, false),
  ];
  return found.filter((each) => each !== undefined);
}

/** In a word or two. `blind`: nothing can be recorded. `isReachable`: at least one backend is up. */
export function stateOf(
  isDraining: boolean,
  problems: readonly FoundProblem[],
  isReachable: boolean,
): NowState {
  if (isDraining) return 'draining';
  if (problems.some(({ code }) => code === 'audit-failed')) return 'blind';
  if (!isReachable) return 'not serving';
  return problems.some(({ isDegrading }) => isDegrading) ? 'degraded' : 'serving';
}

export class Standing {
  state: NowState = 'serving';
  sinceMs: number;
  #judgedMs: number;

  constructor(nowMs: number) {
    this.sinceMs = nowMs;
    this.#judgedMs = nowMs;
  }

  judge(state: NowState, problems: readonly FoundProblem[], nowMs: number): void {
    if (state !== this.state) {
      // The state is not judged all the time, so the problems' own times say when it began.
      const known = problems.flatMap(({ isDegrading, sinceMs }) => (isDegrading ? (sinceMs ?? nowMs) : []));
      const isWorse = (state === 'degraded' || state === 'not serving') && this.state === 'serving';
      const sinceMs = isWorse ? Math.min(nowMs, ...known) : nowMs;
      this.sinceMs = Math.max(sinceMs, Math.min(this.#judgedMs, nowMs));
      this.state = state;
    }
    this.#judgedMs = nowMs;
  }
}

function journalFailure({ state, fault, freeBytes, directory }: RunningJournal): FoundProblem | undefined {
  if (state !== 'failed') return undefined;
  const [why, ask] = fault?.why ?? ['it failed'];
  // Without the right to write, the disk may be in order.
  const isDenied = fault?.code === 'no-rights';
  return {
    code: 'audit-failed',
    text: `Audit records do not reach the disk: ${why}${isDenied ? '' : freeOf(freeBytes)}. Commands that must be recorded first fail.`,
    try: `${ask === undefined ? '' : `${ask}; `}${isDenied ? 'ls -ld' : 'df -h'} ${directory}`,
    isDegrading: true,
  };
}

function freeOf(freeBytes: number | undefined): string {
  return freeBytes === undefined ? '' : ` (${bytesWords(freeBytes)} free)`;
}

/** Commands do not suffer from it, but the missing records cannot be shown until the files are back. */
function missingRecords({ missing, directory }: RunningJournal): FoundProblem | undefined {
  if (missing === undefined) return undefined;
  const { seq, sinceMs } = missing;
  const since = sinceMs === undefined ? 'since before the start' : `since ${timeOf(sinceMs)}`;
  return {
    code: 'audit-missing',
    text: `Signed records up to seq ${seq} have been missing from ${directory} ${since}: their files were moved away or removed. New records go to new files there. Locks and holds that only those records have are not in force.`,
    try: `put the files back beside the new ones (cp -an OLD/* ${directory}/), then dovegate audit verify; lock and hold again what dovegate audit search --kind operator shows; find out who can write to ${directory}`,
    isDegrading: false,
    ...(sinceMs === undefined ? {} : { sinceMs }),
  };
}

function journalReserve({ state, space, freeBytes, directory }: RunningJournal): FoundProblem | undefined {
  if (state === 'failed' || space === 'normal') return undefined;
  return {
    code: 'audit-reserve',
    text: `The disk of the audit records is full but for its reserve${freeOf(freeBytes)}. Only rules with emergency: true are served.`,
    // The reserve is small: with much more space free, the records have reached their maximum size.
    try:
      freeBytes === undefined || freeBytes < diskFullBytes
        ? `free the disk: df -h ${directory}`
        : `the records have reached audit.max_size: raise it; df -h ${directory}`,
    isDegrading: true,
  };
}

function fillingJournal({ filling, state, space }: RunningJournal): FoundProblem | undefined {
  if (!filling.isFilling || state === 'failed' || space === 'reserve') return undefined;
  const { youngBytes, bytesMax, largest } = filling;
  const percent = (part: number): string => `${Math.round(100 * part)} %`;
  const names = largest.map((one) => `${one.principal} (${percent(one.share)})`).join(', ');
  const who =
    names === '' ? 'Who wrote them is not known.' : `The largest writers are refused first: ${names}.`;
  const [first = { principal: 'NAME' }] = largest;
  return {
    code: 'audit-filling',
    text: `Records younger than audit.keep_min fill ${percent(youngBytes / bytesMax)} of audit.max_size. ${who}`,
    try: `find out what they do in a loop (dovegate audit search --principal ${first.principal} --since 1h); raise audit.max_size, or lower audit.keep_min`,
    isDegrading: true,
  };
}

function unsynced({ state, unsyncedMs, directory }: RunningJournal): FoundProblem | undefined {
  if (state === 'failed' || unsyncedMs < unsyncedMsMax) return undefined;
  return {
    code: 'audit-unsynced',
    text: `The oldest audit record has waited ${durationWords(unsyncedMs)} for the disk. A power cut would lose it.`,
    try: `look whether the disk is slow or hangs: iostat -x 1; df -h ${directory}`,
    isDegrading: true,
  };
}

function lostRecords({ lost }: RunningJournal): FoundProblem | undefined {
  if (lost === 0) return undefined;
  return {
    code: 'audit-lost',
    text: `${plural(lost, 'audit record')} never reached the disk since the start.`,
    try: 'dovegate audit verify; the log line audit-lost says when',
    isDegrading: false,
  };
}

function touched({ isDamaged, isAppended, directory }: RunningJournal): FoundProblem[] {
  const ask = `dovegate audit verify; find out who can write to ${directory}`;
  const found = (code: FoundCode, text: string): FoundProblem => ({
    code,
    text,
    try: ask,
    isDegrading: false,
  });
  const damage =
    'At the start, records were missing from the journal, or differed from those that were signed.';
  const lines =
    'At the start, the journal had lines that no run of the daemon wrote. They are in a file *.appended now, and not signed.';
  return [
    ...(isDamaged ? [found('audit-damaged', damage)] : []),
    ...(isAppended ? [found('journal-appended', lines)] : []),
  ];
}

/** Only for several backends. */
function allDown(down: readonly RunningBackend[]): FoundProblem {
  const sinceMs = Math.max(...down.map((backend) => backend.sinceMs));
  const longer = down.every(({ mayBeLonger }) => mayBeLonger) ? orLonger : '';
  return {
    code: 'backends-down',
    text: `No backend has been up since ${timeOf(sinceMs)}${longer}: ${down.map(({ name }) => name).join(', ')}. All commands for them fail.`,
    try: 'look at what they share: network, certificate, password',
    isDegrading: true,
    sinceMs,
  };
}

function backendDown(backend: RunningBackend): FoundProblem | undefined {
  const { name, fault, waiters, lost, sinceMs, mayBeLonger } = backend;
  if (fault === undefined) return undefined;
  const effects = [
    ...(lost === 0 ? [] : [`${plural(lost, 'command')} failed.`]),
    ...(waiters === 0 ? [] : [`${plural(waiters, 'command waits', 'commands wait')}.`]),
  ];
  const effect = effects.join(' ') || 'Its commands fail.';
  return {
    code: 'backend-down',
    text: `${name} has been down since ${timeOf(sinceMs)}${mayBeLonger ? orLonger : ''}: ${whyDown(fault)}. ${effect}`,
    try: tryAt(backend, fault),
    backend: name,
    isDegrading: true,
    sinceMs,
  };
}

/** Commands that a backend leaves without an answer, while their clients read. */
export function hangingAt(name: string, exchanges: Running['exchanges']): Running['exchanges'] {
  return exchanges.filter(
    (each) =>
      each.backend === name && !each.isWaiting && each.clientMs < slowMsMin && each.durationMs >= stuckMsMin,
  );
}

/** Its workers are stopped or hang. The system still accepts connections for them, so it is not down, but no command ends. */
function backendStuck(
  backend: RunningBackend,
  { exchanges }: Pick<Running, 'exchanges'>,
): FoundProblem | undefined {
  const { name, host, health, fault, lost } = backend;
  if (fault !== undefined || (health !== 'pausing' && health !== 'retrying')) return undefined;
  const hanging = hangingAt(name, exchanges);
  if (hanging.length === 0) return undefined;
  const longest = durationWords(Math.max(...hanging.map(({ durationMs }) => durationMs)));
  const there = host === undefined ? '' : ` on ${host}`;
  return {
    code: 'backend-stuck',
    text: `${name} does not answer: new connections to it fail, and ${plural(hanging.length, 'command hangs', 'commands hang')} there, the first for ${longest}.${lost === 0 ? '' : ` ${plural(lost, 'command')} failed.`}`,
    try: `look whether its workers are stopped or hang${there}: ps -C doveadm-server -o pid,stat,wchan; journalctl -u dovecot${there}`,
    backend: name,
    isDegrading: true,
  };
}

function backendDrained(
  { name, drained, refused, refusedPerSecond }: RunningBackend,
  { routes, backends }: Running,
): FoundProblem | undefined {
  if (drained.length === 0) return undefined;
  const unserved = routes.filter((route) => route.backends.includes(name) && isUnserved(route, backends));
  const only = unserved.find((route) => route.backends.length === 1);
  const last =
    only === undefined
      ? ''
      : ` It is the only one of the route at ${fileOf(only.place)}: its users are not served.`;
  const rate = refusedPerSecond > 0 ? `, ${rateWords(refusedPerSecond)} a second now` : '';
  const cost = refused === 0 ? 'No commands failed yet.' : `${plural(refused, 'command')} failed${rate}.`;
  return {
    code: 'backend-drained',
    text: `${name} is drained ${drained.map(drainWords).join(', and ')}. ${cost}${last}`,
    try: drained.some(({ by }) => by === undefined)
      ? `remove drained from backends.${name}, then dovegate reload`
      : `dovegate backend enable ${name}`,
    backend: name,
    isDegrading: refusedPerSecond > 0 || unserved.length > 0 || !backends.some(isUp),
  };
}

const locksShown = 5;

function locksInForce(locks: readonly ShownLock[]): FoundProblem[] {
  const shown = locks.slice(0, locksShown).map((lock): FoundProblem => {
    const { id, target, since, until, hold, asked, asked_until: askedUntil = '', doubt } = lock;
    const timed = { ...lock, since: `{${since}}`, ...(until !== undefined && { until: `{${until}}` }) };
    const user = /^user:(.*)$/s.exec(target)?.[1];
    const second =
      asked === undefined ? '' : `; ${asked} asked to lift that, and another person must by {${askedUntil}}`;
    const unknown = doubt === undefined ? '' : `; ${doubt}`;
    const textFor = (isNamed: boolean): string => `${lockSentence(timed, isNamed)}${second}${unknown}`;
    const sinceMs = Date.parse(since);
    return {
      code: hold ? 'held' : 'locked',
      text: textFor(user === undefined),
      ...(user !== undefined && { named: { user, text: textFor(true) } }),
      try: `dovegate unlock ${id} --reason TEXT`,
      about: id,
      isDegrading: false,
      sinceMs,
    };
  });
  const more = locks.length - shown.length;
  const text = `${plural(more, 'more lock is', 'more locks are')} in force: dovegate status lists them`;
  return more === 0 ? shown : [...shown, { code: 'locked', text, about: 'more', isDegrading: false }];
}

/** A daemon that was started within an outage does not know its beginning, nor does the pool of a changed backend. */
const orLonger = ' or longer (it was not reached since dovegate started, or changed its settings)';

type DownFault = NonNullable<RunningBackend['fault']>;

/** Contains no text of the backend. */
export function whyDown({ code, system = '', tlsCause, isSilent, why: [why] }: DownFault): string {
  if (tlsCause !== undefined) return tlsWords[tlsCause];
  // For other codes, `system` may be about something else, such as a file that could not be read.
  if (code === 'dial-refused') return systemWords[system] ?? why;
  if (code === 'auth-rejected' && (system === 'ENOENT' || system === 'EACCES'))
    return `the file of its password cannot be read (${system})`;
  if (code === 'dial-timeout') return isSilent === true ? silentWords : 'no connection in time';
  // The general sentence is about a command without a status; here a dial failed.
  if (code === 'closed-early') return 'it ended the connection before it greeted';
  return why;
}

const silentWords =
  'it accepts connections and sends no greeting, as a Dovecot whose processes hang, or that is at its process_limit';

const tlsWords: Readonly<Record<TlsCause, string>> = {
  expired: 'its certificate has expired',
  'not-valid-yet': 'its certificate is not valid yet',
  name: 'its certificate is for another name than server_name',
  issuer: 'its certificate comes from an authority that is not trusted',
  key: 'the key of its certificate is none of key_pins',
};

const systemWords: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  ETIMEDOUT: 'connection timed out',
  ENOENT: 'its socket does not exist',
  EACCES: 'permission denied for its socket',
  ENOTFOUND: 'its host name cannot be resolved',
  EAI_AGAIN: 'its host name cannot be resolved',
  EHOSTUNREACH: 'no route to its host',
  ENETUNREACH: 'no route to its host',
};

function tryAt(
  { name, host, passwordFiles, caFile }: RunningBackend,
  { code, system, tlsCause, isSilent }: DownFault,
): string {
  const there = host === undefined ? '' : ` on ${host}`;
  const status = `systemctl status dovecot${there}`;
  switch (code) {
    case 'dial-refused':
      if (system === 'ENOTFOUND' || system === 'EAI_AGAIN')
        return `getent hosts ${host ?? name}; correct backends.${name}.address`;
      if (system === 'EHOSTUNREACH' || system === 'ENETUNREACH') return `ping ${host ?? name}`;
      if (system === 'EACCES') return `give dovegate the right to open the socket (backends.${name}.address)`;
      return status;
    case 'dial-timeout':
      return isSilent === true
        ? `${status}; raise process_limit of service doveadm if it is reached`
        : `ping ${host ?? 'localhost'}; ${status}`;
    case 'auth-rejected': {
      const files = passwordFiles.length === 0 ? '' : ` (${passwordFiles.join(', ')})`;
      return `compare backends.${name}.password_file${files} with doveadm_password${there}`;
    }
    case 'tls-failed': {
      const ca = caFile === undefined ? '' : ` (${caFile})`;
      if (tlsCause === 'expired') return `renew the certificate of Dovecot${there}`;
      if (tlsCause === 'not-valid-yet') return 'compare the clocks of both hosts: date';
      if (tlsCause === 'name') return `dovegate doctor; then correct backends.${name}.server_name`;
      if (tlsCause === 'issuer')
        return `dovegate doctor; then put the authority that it names into ca${ca} of backends.${name}`;
      if (tlsCause === 'key') return `correct backends.${name}.key_pins, or the key of Dovecot${there}`;
      return `look at the certificate${there}, and at ca${ca}, server_name and key_pins of backends.${name}`;
    }
    case 'version-unsupported':
      return `correct backends.${name}.address, series, release or newer: no known doveadm server answers there, or another one`;
    default:
      return `journalctl -u dovecot${there}`;
  }
}

function newerBackend({ name, newer }: RunningBackend): FoundProblem | undefined {
  if (newer === undefined) return undefined;
  const gets =
    newer === 'serve' ? 'It gets all commands.' : 'It gets commands that read; changes are refused.';
  return {
    code: 'backend-newer',
    text: `Backend ${name} is newer than this dovegate knows. ${gets}`,
    try: newer === 'serve' ? 'upgrade dovegate' : `upgrade dovegate, or set backends.${name}.newer`,
    backend: name,
    isDegrading: newer !== 'serve',
  };
}

type Route = Running['routes'][number];

function isUnserved({ backends: names }: Route, backends: readonly RunningBackend[]): boolean {
  return !backends.some((backend) => names.includes(backend.name) && isUp(backend));
}

/** Only for routes with several backends: `backendDown` reports a single one. */
function routeDown(route: Route, backends: readonly RunningBackend[]): FoundProblem | undefined {
  const { place, backends: names } = route;
  const all = backends.filter(({ name }) => names.includes(name));
  if (all.length < 2 || !isUnserved(route, backends)) return undefined;
  const states = all
    .map(({ name, fault }) => `${name} ${fault === undefined ? 'drained' : 'down'}`)
    .join(', ');
  return {
    code: 'route-down',
    text: `No backend of the route at ${fileOf(place)} is up: ${states}. Its users are not served.`,
    try: 'bring one of them back: dovegate status; dovegate backend enable NAME',
    isDegrading: true,
  };
}

function lookupFailing({ socket, sinceMs, why: [why, ask] }: Running['lookups'][number]): FoundProblem {
  return {
    code: 'lookup-failing',
    text: `Dovecot's auth service at ${socket} has not answered since ${timeOf(sinceMs)}: ${why}. Commands that need it fail.`,
    try: ask ?? 'systemctl status dovecot',
    isDegrading: true,
    sinceMs,
  };
}

function queueGrows(
  backend: RunningBackend,
  { exchanges }: Pick<Running, 'exchanges'>,
): FoundProblem | undefined {
  const { name, fault, waiters, oldestWaitMs, queue, leased, connections } = backend;
  if (fault !== undefined || waiters === 0) return undefined;
  if (oldestWaitMs < waitMsMax && waiters < queue / 2) return undefined;
  // They hold an upstream without reading or sending; the longest first.
  const slowClients = exchanges
    .filter((each) => each.backend === name && each.clientMs >= slowMsMin)
    .toSorted((one, other) => other.clientMs - one.clientMs);
  const [slowest] = slowClients;
  const names = [...new Set(slowClients.map(({ principal }) => principal))].slice(0, slowNamesMax).join(', ');
  const slow =
    slowest === undefined
      ? ''
      : ` ${slowClients.length} of them ${slowClients.length === 1 ? 'waits' : 'wait'} for a slow client: ${names}.`;
  return {
    code: 'queue-grows',
    text: `${plural(waiters, 'command waits', 'commands wait')} for ${name}, the first for ${durationWords(oldestWaitMs)}. ${leased} of ${connections} connections are in use.${slow}`,
    try:
      slowest !== undefined
        ? `end it (dovegate kill ${slowest.id}), or raise backends.${name}.connections`
        : `see what runs there for long (dovegate status), end it (dovegate kill ID), or raise backends.${name}.connections`,
    backend: name,
    isDegrading: true,
  };
}

function sinkForked({ name, state }: RunningSink): FoundProblem | undefined {
  if (state !== 'forked') return undefined;
  return {
    code: 'audit-forked',
    text: `The receiver ${name} holds another journal under the id of this one, and gets no more of it: this machine was copied, or its disk was put back from a copy.`,
    try: forkedTodo,
    isDegrading: true,
  };
}

function sinkAway({ name, state, fault, lagRecords }: RunningSink): FoundProblem | undefined {
  if (state !== 'away') return undefined;
  const [why, ask] = fault?.why ?? ['it failed'];
  return {
    code: 'ship-away',
    text: `The receiver ${name} gets no records: ${why}. ${plural(lagRecords, 'record waits', 'records wait')} for it.`,
    ...(ask === undefined ? {} : { try: ask }),
    isDegrading: true,
  };
}

function refusedKey(refused: RefusedKey): FoundProblem | undefined {
  const { listener, key, why, network, isFromSeveral, count, firstMs } = refused;
  if (count < refusalsMin) return undefined;
  const from = `${network}${isFromSeveral ? ' and elsewhere' : ''}`;
  const times = `${countWords(count)} times since ${timeOf(firstMs)}, from ${from}`;
  const which = `The key "${key}" of listener "${listener}"`;
  if (why === 'address') {
    return {
      code: 'key-stolen',
      text: `${which} was used ${times}, where it is not permitted, and not accepted: it may be stolen.`,
      try: `replace the key (dovegate key new), or remove it from listeners.${listener}.keys, or add ${network} to its "from" if that is you`,
      isDegrading: false,
      sinceMs: firstMs,
    };
  }
  return {
    code: 'key-refused',
    text: `${which} was used ${times}, and not accepted: ${oldKeys[why]}.`,
    try: 'give that program the key that holds now; if it is not yours, somebody has an old key',
    isDegrading: false,
    sinceMs: firstMs,
  };
}

const oldKeys: Readonly<Record<Exclude<RefusedKey['why'], 'address'>, string>> = {
  expired: 'it has expired',
  replaced: 'it was replaced',
  name: 'it was said together with the name of another key',
};

function manyLogins({ count, most }: Running['failedLogins']): FoundProblem | undefined {
  if (count < failedLoginsMin || most === undefined) return undefined;
  return {
    code: 'login-failed',
    text: `${countWords(count)} logins failed in the last minute, ${countWords(most.count)} of them from ${most.network} at listener "${most.listener}": somebody guesses, or a program has an old password.`,
    try: `find out what is at ${most.network}; block it, or name the networks that may connect (listeners.${most.listener}.from)`,
    isDegrading: false,
  };
}

function stalled(stall: Running['stall']): FoundProblem | undefined {
  if (stall === undefined) return undefined;
  return {
    code: 'loop-stalled',
    text: `Nothing was served for ${durationWords(stall.durationMs)} at ${timeOf(stall.atMs)}.`,
    try: 'look whether the machine is overloaded: uptime; vmstat 1',
    isDegrading: true,
    sinceMs: stall.atMs,
  };
}

/** Includes a start that serves the configuration from before. */
export function failedReload(reload: Running['reload']): FoundProblem | undefined {
  if (reload === undefined || reload.isSuccess) return undefined;
  const { atMs, problems, lastReadMs } = reload;
  const [first = ''] = problems[0]?.split('\n') ?? [];
  const more = problems.length < 2 ? '' : ` (and ${problems.length - 1} more)`;
  if (lastReadMs !== undefined)
    return {
      code: 'last-served',
      text: `The file had problems at the start, so the configuration from before is served, as it was read at ${timeOf(lastReadMs)}; what the file denies now may still be allowed: ${first}${more}`,
      try: 'do what it says; then dovegate reload',
      isDegrading: true,
      sinceMs: atMs,
    };
  return {
    code: 'reload-failed',
    text: `The configuration was not reloaded at ${timeOf(atMs)}, and the one from before is served: ${first}${more}`,
    // `check` sees neither the sockets nor the groups that the daemon has.
    try: 'do what it says; then dovegate reload (dovegate check looks at the file only)',
    isDegrading: false,
    sinceMs: atMs,
  };
}

/** FILE:LINE of `DIRECTORY/FILE:LINE`. */
function fileOf(place: string): string {
  return place.slice(place.lastIndexOf('/') + 1);
}

function noticesAway({ name, fault }: RunningNotices, toldMs: number): FoundProblem | undefined {
  if (fault === undefined) return undefined;
  const { status, forMs } = fault;
  const [means, ask] = fault.why;
  const shown = status === undefined ? '' : ` (${status})`;
  const sinceMs = Math.round(toldMs - forMs);
  return {
    code: 'notices-away',
    text: `The receiver of notices ${name} has taken none since ${timeOf(sinceMs)}: ${means}${shown}.`,
    ...(ask !== undefined && { try: ask }),
    isDegrading: false,
    sinceMs,
  };
}

function shipAbsent(
  { isAbsent, names }: NonNullable<Running['ship']>,
  sinks: readonly RunningSink[],
): FoundProblem | undefined {
  if (!isAbsent) return undefined;
  return {
    code: 'ship-absent',
    text: `Receivers get nothing (${names.join(', ')}): dovegate ship does not run, or does not ask. Once it runs, it sends what they missed.`,
    try: 'systemctl start dovegate-ship.path, and read the log of dovegate-ship.service',
    isDegrading: sinks.length > 0,
  };
}
