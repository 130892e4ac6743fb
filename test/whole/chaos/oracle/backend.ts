// Reads backend.jsonl and asks of each command line that reached a backend: did the policies allow it, does the journal have its
// admission, did a client ask for exactly this, and was the connection free for it?
import { join } from 'node:path';
import type { Series } from './catalog.js';
import {
  canonicalText,
  type ParsedCommand,
  parseArguments,
  parseCommand,
  parseLine,
  resolveName,
  type WireLine,
} from './command-line.js';
import { type Arrival, type Entry, type Exchange, nameArrival, nameEntry, nameExchange } from './evidence.js';
import type { Faults } from './faults.js';
import { type ClientIndex, hmacOf, parseInput, tokensIn } from './index-clients.js';
import { denialOf, maskPattern, type Policies, sameUser, type Timeline } from './judge.js';
import { count, forEachLine, type Json, object, parseObject, text } from './read-lines.js';
import type { Code, Report } from './report.js';

interface Setting {
  policies: Policies;
  timeline: Timeline;
  faults: Faults;
  hmacKey: string;
  /** The release of a backend, where run.json says it. */
  series: Map<string, Series>;
  report: Report;
}

interface BackendSummary {
  commands: number;
  /** `save` and `sieve put` whose text did not arrive: they have no token, and are given to their commands afterwards. */
  withoutToken: Arrival[];
}

/** A finding of one line. */
type Say = (code: Code, what: string) => void;

/** A line is on its way to the recorder for a moment after the gate decided to send it. */
const onTheWayMs = 2500;

export async function readBackends(
  folder: string,
  index: ClientIndex,
  setting: Setting,
): Promise<BackendSummary> {
  const summary: BackendSummary = { commands: 0, withoutToken: [] };
  const connections = new Map<string, Arrival>();
  const take = (line: Buffer): void => {
    const record = parseObject(line);
    if (record === undefined || record.handshake === true) return;
    summary.commands += 1;
    const arrival = parseArrival(record);
    const wire = parseLine(text(record.line));
    if (wire === undefined) {
      setting.report.add('not-allowed', 'a line that no server can read', nameArrival(arrival));
      return;
    }
    arrival.user = index.normalUser(decode(wire.user));
    takeCommand(arrival, wire, index, setting, summary);
    checkConnection(connections, arrival, setting.report);
  };
  take(await forEachLine(join(folder, 'backend.jsonl'), take));
  return summary;
}

function parseArrival(record: Json): Arrival {
  const reply = object(record.reply);
  const at = count(record.at) ?? 0;
  return {
    backend: text(record.backend),
    conn: count(record.conn) ?? -1,
    number: count(record.n) ?? 0,
    at,
    ended: count(record.ended) ?? Infinity,
    user: '',
    command: '',
    isMail: true,
    isTwin: false,
    input: parseInput(object(record.input)),
    inputCut: object(record.input)?.cut === true,
    isForged: record.forged === true,
    reply:
      reply === undefined
        ? undefined
        : {
            status: text(reply.status),
            bytes: count(reply.bytes) ?? 0,
            sha: text(reply.sha),
            whole: reply.whole === true,
          },
  };
}

/** Names are UTF-8 on the wire; the recorder keeps bytes. */
function decode(latin1: string): string {
  if (!/[\x80-\xff]/.test(latin1) || /[^\x00-\xff]/.test(latin1)) return latin1;
  const decoded = Buffer.from(latin1, 'latin1').toString('utf8');
  return decoded.includes('\ufffd') ? latin1 : decoded;
}

function takeCommand(
  arrival: Arrival,
  wire: WireLine,
  index: ClientIndex,
  setting: Setting,
  summary: BackendSummary,
): void {
  const say: Say = (code, what) => setting.report.add(code, what, nameArrival(arrival));
  const words = wire.words.map(decode);
  const found = resolveName(words, '2.4') ?? resolveName(words, '2.3');
  if (found === undefined)
    return say('not-allowed', `no server has the command "${words.slice(0, 3).join(' ')}"`);
  arrival.command = found.spec.name;
  arrival.isMail = found.spec.isMail;
  if (wire.flags.includes('D')) say('not-allowed', 'flag D');
  if (wire.extra.some((one) => one !== '' && !/^proxy-ttl=\d+$/.test(decode(one))))
    say('not-allowed', `extra fields ${wire.extra.join(' ')}`);
  const tokens = tokensIn(words.join('\t')).filter((token) => index.isKnown(token));
  if (tokens.length > 1) say('not-admitted', `the tokens ${tokens.join(' ')} in one line`);
  const entry = entryOf(arrival, tokens[0], index);
  if (entry === undefined) {
    if (found.spec.takesText && (arrival.inputCut || arrival.input === undefined))
      summary.withoutToken.push(arrival);
    else
      say(
        'not-admitted',
        `no client asked for "${arrival.command}" ${tokens[0] ?? ''} for ${arrival.user}, with this text if it has one`,
      );
    return;
  }
  arrival.isTwin = arrival.command === 'search' && entry.command !== 'search';
  entry.arrivals.push(arrival);
  if (index.normalUser(entry.user) !== arrival.user && arrival.isMail)
    say('not-admitted', `${nameEntry(entry)} went to ${arrival.user}`);
  const args = words.slice(found.used);
  const exchange = admissionOf(entry, arrival, args, setting, say);
  if (arrival.isTwin) return;
  const series = seriesOf(arrival.backend, exchange, setting);
  judge(entry, arrival, words, series, setting, say);
  compareWithClient(entry, arrival, args, series, say);
}

function entryOf(arrival: Arrival, token: string | undefined, index: ClientIndex): Entry | undefined {
  if (token !== undefined) return index.find(token, arrival.user);
  return arrival.input === undefined ? undefined : index.ofInput(arrival.user, arrival.input.sha);
}

/** The admission that this line was sent under; what is wrong with it is reported. */
function admissionOf(
  entry: Entry,
  arrival: Arrival,
  args: string[],
  { report, hmacKey }: Setting,
  say: Say,
): Exchange | undefined {
  const candidates = entry.exchanges.filter((one) => one.isTwin === arrival.isTwin);
  const allowed = candidates.filter((one) => one.isAllowed);
  if (allowed.length === 0) {
    const why = candidates.length === 0 ? 'has no admission' : 'has an admission that says deny';
    say('not-admitted', `${nameEntry(entry)} ${why}`);
    return candidates[0];
  }
  const same = allowed.filter(
    (one) => one.command === arrival.command && (one.user === arrival.user || !arrival.isMail),
  );
  const exact = same.find((one) => sameArguments(one, args, hmacKey));
  if (exact !== undefined) {
    const shown = contentInClear(exact, arrival.command);
    if (shown !== undefined)
      report.add('secret', `the value of "${shown}" is recorded in clear`, nameExchange(exact));
    return exact;
  }
  const one = same[0] ?? allowed[0];
  const what =
    same.length === 0 ? `${one?.command} for ${one?.user}` : `arguments ${JSON.stringify(one?.args)}`;
  say(
    'not-admitted',
    `${nameEntry(entry)} was admitted with ${what}, and sent as "${arrival.command}" ${args.join(' ')} for ${arrival.user}`,
  );
  return one;
}

function sameArguments(exchange: Exchange, args: readonly string[], hmacKey: string): boolean {
  if (exchange.argsCut) return true;
  if (exchange.args.length !== args.length) return false;
  return exchange.args.every((one, at) => {
    const sent = args[at] ?? '';
    if (typeof one === 'string') return one === sent;
    return hmacKey === '' || one.hmac === hmacOf(hmacKey, Buffer.from(sent));
  });
}

const contentKeys = new Set(['text', 'body', 'subject', 'from', 'to', 'cc', 'bcc']);
const queryCommands = new Set(['search', 'fetch', 'expunge']);

/** The search key whose value, a word of a mail, stands in the record as it is. Names of mailboxes and keywords are skipped. */
function contentInClear(exchange: Exchange, command: string): string | undefined {
  if (!queryCommands.has(command)) return undefined;
  // Before the query stand options, and for fetch its fields.
  for (
    let at = exchange.args.indexOf('--') + (command === 'fetch' ? 2 : 1);
    at < exchange.args.length;
    at += 1
  ) {
    const one = exchange.args[at];
    const key = typeof one === 'string' ? one.toLowerCase() : '';
    if (key === 'mailbox' || key === 'keyword') at += 1;
    else if (key === 'header') {
      at += 2;
      if (typeof exchange.args[at] === 'string') return key;
    } else if (contentKeys.has(key)) {
      at += 1;
      if (typeof exchange.args[at] === 'string') return key;
    }
  }
  return undefined;
}

function seriesOf(backend: string, exchange: Exchange | undefined, setting: Setting): Series[] {
  const known = setting.series.get(backend);
  if (known !== undefined) return [known];
  const named = (exchange?.series ?? '').split(' ').filter((one) => one === '2.3' || one === '2.4');
  return named.length === 0 ? ['2.3', '2.4'] : named;
}

function judge(
  entry: Entry,
  arrival: Arrival,
  words: string[],
  series: readonly Series[],
  { timeline, policies, faults }: Setting,
  say: Say,
): void {
  if (entry.expect === 'refuse') say('not-allowed', `${nameEntry(entry)} was to be refused`);
  // A process that was stopped had perhaps sent the line before.
  const stop = faults
    .of('stop')
    .find((one) => one.began <= arrival.at && arrival.at <= one.ended + onTheWayMs);
  const from = Math.min(arrival.at, stop?.began ?? arrival.at) - onTheWayMs;
  const versions = timeline.between(from, arrival.at);
  const parsed = series.flatMap((one) => parseCommand(words, one) ?? []);
  const oddity = parsed.find((one) => one.oddities.length > 0)?.oddities[0];
  if (parsed.length === 0 || oddity !== undefined)
    return say('not-allowed', `a server cannot read it: ${oddity ?? 'no such command'}`);
  let why = 'no policy of that time';
  for (const version of versions) {
    const rules = policies.get(version)?.get(entry.principal) ?? [];
    const denials = parsed.map((one) => denialOf(rules, one, arrival.user));
    if (denials.every((one) => one === undefined)) return;
    why = denials.find((one) => one !== undefined) ?? why;
  }
  say('not-allowed', `${nameEntry(entry)}: ${why}, by policy ${versions.join(' or ')}`);
}

/** The line must ask for what the client asked for, however both spell it. */
function compareWithClient(
  entry: Entry,
  arrival: Arrival,
  args: string[],
  series: readonly Series[],
  say: Say,
): void {
  for (const each of series) {
    const asked = parseEntry(entry, each);
    if (asked === undefined) return;
    if (asked.spec.name !== arrival.command)
      return say('not-allowed', `${nameEntry(entry)} was sent as "${arrival.command}"`);
    const named = asked.spec.isMail ? (asked.values.get('user') ?? []) : [];
    const user = entry.user.toLowerCase();
    if (named.some((one) => !sameUser(one, user) && !maskPattern(one).test(user)))
      return say('not-allowed', `${nameEntry(entry)} names ${named.join(' ')} with -u`);
    // How a client of the HTTP API names its parameters is not an argument list.
    if (entry.kind === 'http' || asked.oddities.length > 0) return;
    const sent = canonicalText(parseArguments(asked.spec, args));
    if (sent === canonicalText(asked)) return;
  }
  say('not-allowed', `${nameEntry(entry)} was sent with other arguments: ${args.join(' ')}`);
}

/** What the client sent, as a server of the series reads it. */
export function parseEntry(entry: Entry, series: Series): ParsedCommand | undefined {
  return parseCommand([entry.command, ...entry.args].map(decode), series);
}

/** A connection takes one command at a time, and none after a reply that was cut, after a text, or beside a server command. */
function checkConnection(connections: Map<string, Arrival>, arrival: Arrival, report: Report): void {
  const key = `${arrival.backend} ${arrival.conn}`;
  const before = connections.get(key);
  connections.set(key, arrival);
  if (before === undefined || before.number >= arrival.number) return;
  const say = (what: string): void => report.add('wrong-answer', what, nameArrival(arrival));
  if (arrival.at + 50 < before.ended) say('a command was sent before the one before it had its reply');
  if (before.reply !== undefined && !before.reply.whole)
    say('a command was sent on a connection whose last reply was cut');
  if (before.input !== undefined || before.inputCut)
    say(`a command was sent after the text of "${before.command}"`);
  const isUser = before.command === 'user' && arrival.command === 'user';
  if ((!before.isMail || !arrival.isMail) && !isUser)
    say(`"${arrival.command}" was sent after "${before.command}"`);
}

/** A line without token belongs to a command of its user that ran at that time and has no line yet. */
export function placeWithoutToken(arrivals: readonly Arrival[], index: ClientIndex, report: Report): void {
  if (arrivals.length === 0) return;
  const byUser = new Map<string, Entry[]>();
  for (const entry of index.entries) {
    if (entry.command !== 'save' && entry.command !== 'sieve put') continue;
    const key = `${index.normalUser(entry.user)} ${entry.command}`;
    const list = byUser.get(key);
    if (list === undefined) byUser.set(key, [entry]);
    else list.push(entry);
  }
  for (const arrival of arrivals) {
    const candidates = (byUser.get(`${arrival.user} ${arrival.command}`) ?? []).filter(
      (one) =>
        one.arrivals.length === 0 && one.begun <= arrival.at + 1000 && one.ended + 30_000 >= arrival.at,
    );
    // A refused one of the same time may be another client's, and so may one that was never sent.
    const entry =
      candidates.find((one) =>
        one.exchanges.some(({ isAllowed, done }) => isAllowed && done?.sent !== false),
      ) ??
      candidates.find((one) => one.exchanges.some(({ isAllowed }) => isAllowed)) ??
      candidates[0];
    const say = (what: string): void => report.add('not-admitted', what, nameArrival(arrival));
    if (entry === undefined) say(`no client asked for "${arrival.command}" for ${arrival.user}`);
    else {
      entry.arrivals.push(arrival);
      if (!entry.exchanges.some((one) => one.isAllowed))
        say(`${nameEntry(entry)} has no admission that allows it`);
    }
  }
}
