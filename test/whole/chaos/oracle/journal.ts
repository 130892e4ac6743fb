// Reads the journal: the chain, then what its records say of each exchange. Exchanges are given to the commands of clients that they
// belong to; all others are only counted, so that a journal of millions of records fits into memory.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { catalog } from './catalog.js';
import { type ChainSummary, createChainReader, parseKeys } from './chain.js';
import type { Argument, Completion, Exchange } from './evidence.js';
import { nameEntry, nameExchange } from './evidence.js';
import { type ClientIndex, tokenOfArguments, tokensIn } from './index-clients.js';
import { count, forEachLine, type Json, object, text, texts } from './read-lines.js';
import type { Report } from './report.js';

export interface JournalSummary {
  chain: ChainSummary;
  admissions: number;
  /** Exchanges by principal that were refused and recorded, and those that `limit` records count. */
  refused: Map<string, number>;
  limited: Map<string, number>;
}

interface Session {
  principal: string;
  open: string;
  recorded: number;
}

const ranks = ['read', 'session', 'write', 'admin', 'destroy'];
/** The highest effect that either series gives the command. */
function rankOf(command: string): number {
  const effects = [catalog['2.3'].get(command)?.effect, catalog['2.4'].get(command)?.effect];
  const known = effects.filter((one) => one !== undefined).map((one) => ranks.indexOf(one));
  return known.length === 0 ? -1 : Math.min(...known);
}

export async function readJournal(
  folder: string,
  keyTexts: readonly string[],
  index: ClientIndex,
  report: Report,
): Promise<JournalSummary> {
  const directory = join(folder, 'journal');
  const chain = createChainReader(parseKeys(keyTexts), report);
  const exchanges = createExchangeReader(index, directory, report);
  for (const name of segmentNames(directory)) {
    try {
      const rest = await forEachLine(join(directory, name), (line, number) => {
        const record = chain.take(line, `${name}:${number}`);
        if (record !== undefined) exchanges.take(record, `${name}:${number}`);
      });
      if (rest.length > 0) report.add('chain', 'the last line has no end', name);
    } catch (error) {
      report.add('chain', `the segment cannot be read: ${String(error)}`, name);
    }
  }
  exchanges.end();
  const summary = chain.end();
  if (summary.records === 0) report.add('chain', 'there is no journal', directory);
  return { chain: summary, ...exchanges.summary };
}

function segmentNames(directory: string): string[] {
  if (!existsSync(directory)) return [];
  const names = readdirSync(directory).filter((name) => /^\d+\.jsonl(?:\.gz)?$/.test(name));
  // A kill while a segment is compressed leaves both; the plain one is the truth.
  return names.filter((name) => !name.endsWith('.gz') || !names.includes(name.slice(0, -3))).toSorted();
}

function createExchangeReader(index: ClientIndex, directory: string, report: Report) {
  const wrong = (what: string, where: string): void => report.add('not-true', what, where);
  const open = new Map<string, { exchange: Exchange; record: Json }>();
  const sessions = new Map<string, Session>();
  const ids = new Set<string>();
  const versions = new Set<string>();
  const refused = new Map<string, number>();
  const limited = new Map<string, number>();
  const summary = { admissions: 0, refused, limited };
  let run = 0;
  let listing: Exchange | undefined;

  const admit = (record: Json, where: string): void => {
    summary.admissions += 1;
    const exchange = parseAdmission(record, run);
    if (ids.has(exchange.id)) wrong(`a second admission of ${exchange.id}`, where);
    ids.add(exchange.id);
    open.set(exchange.id, { exchange, record });
    listing = record.argument_records === undefined ? undefined : exchange;
    if (listing !== undefined) {
      listing.args = [];
      listing.argsCut = false;
    }
    checkVersion(record, where);
    checkSession(record, exchange, where);
    if (!exchange.principal.endsWith(`@${text(record.listener)}`))
      wrong(`principal ${exchange.principal} at listener ${text(record.listener)}`, where);
    if (exchange.isAllowed && ranks.indexOf(exchange.effect) < rankOf(exchange.command))
      wrong(`effect "${exchange.effect}" of "${exchange.command}"`, where);
    const users = texts(record.users);
    const isMail =
      catalog['2.4'].get(exchange.command)?.isMail ?? catalog['2.3'].get(exchange.command)?.isMail;
    if (exchange.isAllowed && isMail === true && !users.includes(exchange.user) && !users.includes('*'))
      wrong(`users ${users.join(' ')} of a command for ${exchange.user}`, where);
    if (listing === undefined) attach(exchange, where);
  };

  const attach = (exchange: Exchange, where: string): void => {
    const fromArguments = tokenOfArguments(exchange.args, index);
    const token = fromArguments === '' ? exchange.reasonToken : fromArguments;
    exchange.token = token;
    const told = index.ofLogId(exchange.id);
    const entry = (token === '' ? undefined : index.find(token, exchange.user)) ?? told;
    if (told !== undefined && entry !== told)
      report.add('wrong-answer', `${nameEntry(told)} was told the id of the command ${token}`, where);
    if (entry !== undefined) entry.exchanges.push(exchange);
    else if (exchange.isAllowed && !exchange.argsCut && !exchange.command.startsWith('dovegate '))
      wrong(`an admission of "${exchange.command}" for ${exchange.user} that no client asked for`, where);
    const mixed = !exchange.isHttp && exchange.reasonToken !== '' && exchange.reasonToken !== token;
    if (mixed && index.isKnown(exchange.reasonToken))
      wrong(`the reason of ${exchange.reasonToken} at the command of ${token}`, where);
  };

  const checkVersion = (record: Json, where: string): void => {
    const version = text(record.version);
    if (version === '' || versions.has(version)) return;
    versions.add(version);
    const path = join(directory, 'policies', `${version}.yaml`);
    if (!/^[0-9a-f]{64}$/.test(version) || !existsSync(path))
      wrong(`the policy ${version} is not kept`, where);
    else if (createHash('sha256').update(readFileSync(path)).digest('hex') !== version)
      wrong(`the text of the policy ${version} has another hash`, where);
  };

  const checkSession = (record: Json, exchange: Exchange, where: string): void => {
    const known = sessions.get(exchange.session);
    const session = known ?? { principal: exchange.principal, open: '', recorded: 0 };
    if (known === undefined) sessions.set(exchange.session, session);
    if (session.principal !== exchange.principal)
      wrong(`a session of ${session.principal} has a command of ${exchange.principal}`, where);
    if (exchange.isTwin) return;
    session.recorded += 1;
    if (session.open !== '' && open.has(session.open))
      wrong(`a command begins before ${session.open} of the same session has an end`, where);
    session.open = exchange.id;
    if (record.peer === undefined && session.recorded === 1 && !exchange.isHttp)
      wrong('the first admission of a session without its peer', where);
  };

  const complete = (record: Json, where: string): void => {
    const id = text(record.id);
    const pending = open.get(id);
    if (pending === undefined) {
      wrong(`a completion of ${id}, which is not open`, where);
      return;
    }
    open.delete(id);
    const { exchange, record: admission } = pending;
    exchange.done = parseCompletion(record);
    if (exchange.done.isRecovered) return;
    for (const key of ['session', 'for', 'listener', 'principal', 'command', 'user'])
      if (record[key] !== admission[key])
        wrong(
          `${key} of the completion of ${id} is ${String(record[key])}, not ${String(admission[key])}`,
          where,
        );
    if (/^-(?:NOPERM|USAGE)$/.test(exchange.done.status)) add(refused, exchange.principal, 1);
  };

  const atStart = (where: string): void => {
    for (const { exchange } of open.values())
      report.add(
        'open',
        `${exchange.id} of ${exchange.principal} has no completion at the next start`,
        where,
      );
    open.clear();
    sessions.clear();
    run += 1;
  };

  const take = (record: Json, where: string): void => {
    const kind = text(record.event);
    if (listing !== undefined && kind !== 'arguments') {
      attach(listing, where);
      listing = undefined;
    }
    if (kind === 'admission') admit(record, where);
    else if (kind === 'arguments') listing?.args.push(...parseArguments(record.args));
    else if (kind === 'completion') complete(record, where);
    else if (kind === 'start') atStart(where);
    else if (kind === 'stop' && open.size > 0)
      report.add('open', `${open.size} exchanges are open at a stop`, where);
    else if (kind === 'limit' && record.action === 'refused')
      add(limited, text(record.principal), count(record.count) ?? 0);
    else if (kind === 'session-close') checkClose(record, where);
    else if (kind === 'log') checkLog(record, where);
  };

  /** A line of a backend's log is recorded at the command that caused it. */
  const checkLog = (record: Json, where: string): void => {
    const token = open.get(text(record.id))?.exchange.token ?? '';
    const other = tokensIn(text(record.text)).find((one) => one !== token && index.isKnown(one));
    if (token !== '' && other !== undefined)
      wrong(`a log line about ${other} at the command ${token}`, where);
  };

  const checkClose = (record: Json, where: string): void => {
    const session = sessions.get(text(record.session));
    sessions.delete(text(record.session));
    if (session === undefined) return;
    const total = count(record.count) ?? 0;
    if (total < session.recorded)
      wrong(`count ${total} of a session with ${session.recorded} recorded commands`, where);
    if (session.principal !== record.principal)
      wrong(`a session of ${session.principal} is closed as one of ${text(record.principal)}`, where);
  };

  return {
    take,
    summary,
    end() {
      for (const { exchange } of open.values())
        report.add(
          'open',
          `${exchange.id} of ${exchange.principal} has no completion`,
          nameExchange(exchange),
        );
    },
  };
}

export function add(counts: Map<string, number>, name: string, more: number): void {
  counts.set(name, (counts.get(name) ?? 0) + more);
}

function parseArguments(value: unknown): Argument[] {
  if (!Array.isArray(value)) return [];
  return value.map((one: unknown) => (typeof one === 'string' ? one : { hmac: text(object(one)?.hmac) }));
}

const leftOut = /^\(\d+ more, not recorded\)$/;

function parseAdmission(record: Json, run: number): Exchange {
  const args = parseArguments(record.args);
  return {
    id: text(record.id),
    seq: count(record.seq) ?? 0,
    session: text(record.session),
    principal: text(record.principal),
    user: text(record.user),
    command: text(record.command),
    args,
    argsCut: record.args === undefined || args.some((one) => typeof one === 'string' && leftOut.test(one)),
    isAllowed: record.decision === 'allow',
    effect: text(record.effect),
    version: text(record.version),
    policy: text(record.policy),
    series: text(record.series),
    isHttp: record.protocol === 'http',
    isTwin: record.for !== undefined,
    twinOf: text(record.for),
    matches: count(record.matches) ?? -1,
    token: '',
    reasonToken: tokensIn(text(record.reason))[0] ?? '',
    run,
    done: undefined,
  };
}

function parseCompletion(record: Json): Completion {
  const input = object(record.input);
  return {
    status: text(record.status),
    outcome: text(record.outcome),
    isRecovered: record.outcome === 'unknown' && record.error === 'stopped' && record.listener === undefined,
    sent: typeof record.sent === 'boolean' ? record.sent : undefined,
    backend: text(record.backend),
    upstream: text(record.upstream),
    backends: Array.isArray(record.backends) ? record.backends.length : 1,
    cells: count(record.cells) ?? -1,
    bytesIn: count(record.bytes_in) ?? -1,
    bytesOut: count(record.bytes_out) ?? -1,
    waitMs: count(record.wait_ms) ?? 0,
    durationMs: count(record.duration_ms) ?? 0,
    error: text(record.error),
    inputBytes: count(input?.bytes) ?? -1,
    inputHmac: text(input?.hmac),
  };
}
