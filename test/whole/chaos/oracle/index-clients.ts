// Reads clients.jsonl and finds its commands again by token and user, by input, by the id in a log line, and by HMAC.
import { createHmac } from 'node:crypto';
import { join } from 'node:path';
import type { Argument, Entry, GateWord, Input } from './evidence.js';
import { count, forEachLine, type Json, object, parseObject, text, texts } from './read-lines.js';

const tokenPattern = /\btk[0-9a-z]{10,24}\b/g;

/** The tokens in a text, without repetitions. */
export function tokensIn(value: string): string[] {
  if (!value.includes('tk')) return [];
  return [...new Set(value.match(tokenPattern) ?? [])];
}

export interface ClientIndex {
  entries: Entry[];
  /** Objects with token and user of an earlier one: the driver's own fault, not the gate's. */
  repeated: number;
  find(token: string, user: string): Entry | undefined;
  /** The commands with a token: one, or as many as a bulk run has users. */
  isKnown(token: string): boolean;
  ofInput(user: string, sha: string): Entry | undefined;
  ofLogId(id: string): Entry | undefined;
  tokenOfHmac(hmac: string): string | undefined;
  normalUser(user: string): string;
}

/** Commands whose arguments the journal may keep as HMAC: queries, and values that are secret. */
const mayHoldSecrets =
  /^(?:fetch|search|expunge|flags |copy|move|altmove|deduplicate|import|fts |mailbox (?:cache remove|metadata set|cryptokey)|rebuild|dict|fs )/;

/** `realm` is appended to users without one, as the gate does; `hmacKey` is the text of hmac.key. */
export async function readClients(folder: string, realm: string, hmacKey: string): Promise<ClientIndex> {
  const entries: Entry[] = [];
  const byToken = new Map<string, Entry | Map<string, Entry>>();
  const byInput = new Map<string, Entry>();
  const byLogId = new Map<string, Entry>();
  const byHmac = new Map<string, string>();
  let repeated = 0;
  const names = new Map<string, string>();
  const intern = (value: string): string => {
    const known = names.get(value);
    if (known !== undefined) return known;
    names.set(value, value);
    return value;
  };
  const normalUser = (user: string): string => {
    const folded = user.toLowerCase();
    return intern(realm === '' || folded === '' || folded.includes('@') ? folded : `${folded}@${realm}`);
  };
  const add = (entry: Entry): void => {
    entries.push(entry);
    const { token, kind, input, word, command, args } = entry;
    const before = byToken.get(token);
    const user = normalUser(entry.user);
    if (token !== '') {
      if (before === undefined) byToken.set(token, kind === 'bulk' ? new Map([[user, entry]]) : entry);
      else if (before instanceof Map && !before.has(user)) before.set(user, entry);
      else {
        repeated += 1;
        return;
      }
    }
    if (input !== undefined) byInput.set(`${user} ${input.sha}`, entry);
    if (word !== undefined && word.id !== '') byLogId.set(word.id, entry);
    if (hmacKey === '' || !mayHoldSecrets.test(command)) return;
    for (const each of args.flatMap((one) => (one.includes(' ') ? [one, ...one.split(' ')] : [one])))
      if (each.includes(token)) byHmac.set(hmacOf(hmacKey, Buffer.from(each)), token);
  };
  const take = (line: Buffer): void => {
    const value = parseObject(line);
    if (value !== undefined) add(parseEntry(value, intern));
  };
  take(await forEachLine(join(folder, 'clients.jsonl'), take));
  return {
    entries,
    get repeated() {
      return repeated;
    },
    find(token, user) {
      const found = byToken.get(token);
      return found instanceof Map ? found.get(normalUser(user)) : found;
    },
    isKnown: (token) => byToken.has(token),
    ofInput: (user, sha) => byInput.get(`${normalUser(user)} ${sha}`),
    ofLogId: (id) => byLogId.get(id),
    tokenOfHmac: (hmac) => byHmac.get(hmac),
    normalUser,
  };
}

export function hmacOf(key: string, value: Buffer): string {
  return createHmac('sha256', key).update(value).digest('hex');
}

function parseEntry(value: Json, intern: (text: string) => string): Entry {
  const rows = object(value.rows);
  const shown = typeof value.text === 'string' ? value.text : undefined;
  return {
    token: text(value.token),
    client: count(value.client) ?? -1,
    kind: intern(text(value.kind)),
    principal: intern(text(value.principal)),
    user: intern(text(value.user)),
    command: intern(text(value.command)),
    args: texts(value.args),
    expect: intern(text(value.expect)),
    isWrite: value.effect === 'write',
    begun: count(value.begun) ?? 0,
    ended: count(value.ended) ?? Infinity,
    hasEnded: count(value.ended) !== undefined,
    isUnread: value.unread === true,
    input: parseInput(object(value.input)),
    inputCut: value.inputCut === true,
    status: intern(text(value.status)),
    rowBytes: count(rows?.bytes) ?? -1,
    rowSha: text(rows?.sha),
    cells: shown === undefined ? -1 : shown.split('\t').length - 1,
    word: lastWord(texts(value.logs)),
    strangers: strangersIn(texts(value.logs), shown ?? '', text(value.token)),
    end: intern(text(value.end)),
    exchanges: [],
    arrivals: [],
  };
}

export function parseInput(value: Json | undefined): Input | undefined {
  if (value === undefined || typeof value.sha !== 'string') return undefined;
  return {
    bytes: count(value.bytes) ?? -1,
    sha: value.sha,
    text: typeof value.text === 'string' ? value.text : undefined,
  };
}

const none: string[] = [];

function strangersIn(logs: readonly string[], rows: string, own: string): string[] {
  const found = tokensIn(`${logs.join('\n')}\n${rows}`).filter((token) => token !== own);
  return found.length === 0 ? none : found;
}

const gateLine = /(?<!backend: )dovegate: .*\[([a-z-]+)\]([^\]]*)$/;

/** The gate's own last line before the status says why. A notice while the command waits is not it. */
function lastWord(logs: readonly string[]): GateWord | undefined {
  for (const line of logs.toReversed()) {
    const found = gateLine.exec(line.trimEnd());
    const code = found?.[1] ?? '';
    if (found === null || code === 'waiting' || code === 'log-lines') continue;
    return { code, id: /\bid ([0-9A-Z]{26})/.exec(found[2] ?? '')?.[1] ?? '' };
  }
  return undefined;
}

/** The token of a command as its record has it: in an argument, or in the HMAC of one. */
export function tokenOfArguments(args: readonly Argument[], index: ClientIndex): string {
  for (const one of args) {
    if (typeof one === 'string') {
      const found = tokensIn(one).find((token) => index.isKnown(token));
      if (found !== undefined) return found;
    } else {
      const found = index.tokenOfHmac(one.hmac);
      if (found !== undefined) return found;
    }
  }
  return '';
}
