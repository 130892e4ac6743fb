// Whether a server did with a client's bytes what we say of them: the client's bytes go to the one of two equal worlds, our canonical
// line to the other, and everything that shows must be equal; and nobody else's mail may be touched or shown. Knows nothing of how
// lines are made.
import assert from 'node:assert/strict';
import { type Accepted, withUsername } from './claim.js';
import { markOf, people, realm, type Seen, type TwinWorlds } from './twin-worlds.js';

/** A line that we accept. */
export interface AcceptedLine {
  /** Without LF. */
  readonly line: Buffer;
  readonly claim: Accepted;
  /** What the client sends behind it, if we say that it reads a dot-stream. */
  readonly input?: Buffer;
}

/** What both worlds did, and what is wrong with it. */
export interface Comparison {
  readonly raw: Seen;
  readonly ours: Seen;
  /** Undefined: nothing. */
  readonly problem: string | undefined;
}

const mail = Buffer.from('Subject: saved\r\n\r\nsaved text\r\n.\r\n');
const script = Buffer.from('keep;\r\n.\r\n');

/** Runs both lines at once, each in its world. */
export async function compareOne(twins: TwinWorlds, one: AcceptedLine): Promise<Comparison> {
  const { claim } = one;
  const { command } = claim;
  const anyInput = command.name === 'save' ? mail : script;
  const input = claim.input === 'dot' ? (one.input ?? anyInput) : undefined;
  const sending = { input, isAlone: command.scope === 'server' };
  const [first, second] = twins.worlds;
  const sent = asTheServerTakesIt(twins, one);
  const [raw, ours] = await Promise.all([first.run(sent, sending), second.run(claim.line, sending)]);
  return { raw, ours, problem: problemOf(one, raw, ours) };
}

/** For reports. */
export function describeLine({ line, claim }: AcceptedLine): string {
  const [theirs, ours] = [line, claim.line].map((bytes) => JSON.stringify(bytes.toString('latin1')));
  return `${theirs}\n    ours ${ours} (${claim.touched.kind})`;
}

/**
 * Two things that we take although this server would end the connection: `x` on 2.3, which does not know it, and `source-user`, as
 * clients of 2.4 write it. Put into the server's words byte by byte, not by our parser.
 */
function asTheServerTakesIt(twins: TwinWorlds, { line, claim }: AcceptedLine): Buffer {
  let fields = line.toString('latin1').split('\t');
  if (twins.series === '2.3' && fields[0]?.includes('x') === true) {
    fields = [fields[0].replace('x', ''), ...fields.slice(2)];
  }
  const named = [...claim.touched.users, ...claim.touched.masks];
  const isFromOther = named.some(({ parameter }) => parameter === 'source-user');
  if (isFromOther && !fields.some((field) => field.toLowerCase() === 'user')) {
    // The destination may have that name too.
    const at = fields.lastIndexOf('source-user');
    if (at !== -1) fields[at] = 'user';
  }
  return Buffer.from(fields.join('\t'), 'latin1');
}

/** Their answers are about the machine, not about what was asked. */
const onlyStatus = new Set(['log errors', 'stats dump', 'service status', 'process status']);

/** Their rows come as the file system lists them. */
const unordered = new Set(['sieve list']);

/**
 * Which mailboxes they open says what the list index no longer knew: after one and the same change, at another moment of a second, INBOX
 * alone or another one, too. Whose they are is compared for them as well.
 */
const countsFromCache = new Set(['quota get']);

function problemOf(one: AcceptedLine, raw: Seen, ours: Seen): string | undefined {
  const { command, users } = one.claim;
  if (raw.status !== ours.status && !isSameFailure(raw, ours)) {
    return `status ${raw.status}, ours ${ours.status}: ${brief([...raw.logs, ...ours.logs])}`;
  }
  // Of both: whether a user or a mailbox exists is not ours to know, and servers die of some that do not.
  if (raw.status === 'EOF') return undefined;
  if (onlyStatus.has(command.name)) return undefined;
  const cells = withUsername(one.claim, ours.cells);
  const areOrdered = !unordered.has(command.name);
  const [theirs, own] = [raw.cells.map(foldUser), cells.map(foldUser)];
  if (areOrdered ? theirs.join('\t') !== own.join('\t') : !isSameSet(theirs, own)) {
    return `rows ${brief(raw.cells)}, ours ${brief(cells)}`;
  }
  for (const what of ['logs', 'mailboxes', 'users'] as const) {
    if (what === 'mailboxes' && countsFromCache.has(command.name)) continue;
    if (!isSameSet(raw[what], ours[what])) return `${what} ${brief(raw[what])}, ours ${brief(ours[what])}`;
  }
  return users === undefined ? undefined : strangerIn(one, users, raw);
}

/** Somebody whose mail was touched or shown, and whom we did not name. */
function strangerIn(
  { line }: AcceptedLine,
  users: ReadonlySet<string>,
  { users: touched, text }: Seen,
): string | undefined {
  const said = `and we said ${[...users].join(' ')}`;
  const stranger = touched.find((user) => !users.has(user));
  if (stranger !== undefined) return `touches ${stranger}, ${said}`;
  // Mail that was copied from a user whom we named shows that user's marks, here and later.
  if (users.size > 1) return undefined;
  for (const person of people) {
    if (users.has(`${person}@${realm}`)) continue;
    // What the line itself says may come back in an error.
    const marks = [markOf(person), `${person}@${realm}`].filter((mark) => !line.includes(mark));
    if (marks.some((mark) => text.includes(mark))) return `shows what is ${person}'s, ${said}`;
  }
  return undefined;
}

/**
 * Several mailboxes are taken in the server's own order, and the status tells what went wrong last: which one that was depends on
 * whether INBOX is written in capitals.
 */
function isSameFailure(raw: Seen, ours: Seen): boolean {
  const areFailures = raw.status.startsWith('-') && ours.status.startsWith('-');
  return areFailures && raw.logs.length > 1 && isSameSet(raw.logs, ours.logs);
}

function isSameSet(one: readonly string[], other: readonly string[]): boolean {
  return JSON.stringify(one.toSorted()) === JSON.stringify(other.toSorted());
}

/** 2.3 shows the user as the line has it. */
function foldUser(cell: string): string {
  return cell.toLowerCase().endsWith(`@${realm}`) ? cell.toLowerCase() : cell;
}

/** How the mail of the two worlds differs; undefined: it does not. */
export function differenceOfFiles(twins: TwinWorlds): string | undefined {
  const [first, second] = twins.worlds.map((world) => world.files());
  assert.ok(first !== undefined && second !== undefined);
  for (const person of new Set([...first.keys(), ...second.keys()])) {
    const here = first.get(person) ?? [];
    const there = second.get(person) ?? [];
    if (isSameSet(here, there)) continue;
    const odd = [
      ...here.filter((file) => !there.includes(file)).map((file) => `+${file}`),
      ...there.filter((file) => !here.includes(file)).map((file) => `-${file}`),
    ];
    return `${person}: ${here.length} files, ours ${there.length}: ${odd.slice(0, 8).join(' ')}`;
  }
  return undefined;
}

function brief(list: readonly string[]): string {
  const text = JSON.stringify(list);
  return text.length > 500 ? `${text.slice(0, 500)}... (${list.length})` : text;
}
