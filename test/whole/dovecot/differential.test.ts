// Goal: what we say of a command line is what a real server does with it.
//
// Thousands of generated lines go to a real Dovecot and to our parser. Where we accept a line, the server must have done with the
// client's bytes just what it does with our canonical line, in a second instance with the same mail: same rows, same status, same
// mailboxes opened, same files afterwards, and nobody's mail touched but of those whom we named. Where we cannot say, we refuse; those
// lines are sent too, to see what they would have done.
//
// DOVEGATE_RELEASES="native trixie" says which Dovecots; DOVEGATE_ROUNDS multiplies the 800 lines, DOVEGATE_MINUTES=N goes on for that
// time on each of them instead (`npm run lab -- fuzz --differential --minutes N`); DOVEGATE_SEED repeats a run; DOVEGATE_VERBOSE=1 tells on
// the way, and which lines ended a server's process although we accept them.
import assert from 'node:assert/strict';
import { type TestContext } from 'node:test';
import { seededRandom } from '../../kit/plain/chunkings.js';
import { type Claim, claimOf } from './claim.js';
import {
  type AcceptedLine,
  type Comparison,
  compareOne,
  describeLine,
  differenceOfFiles,
} from './compare.js';
import { knownTricks, type MadeLine, makeLine } from './line-maker.js';
import { labTestMs, onDovecot, releasesAsked } from './real-gateway.js';
import { openTwinWorlds, people, realm, type TwinWorlds, type World } from './twin-worlds.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const minutes = process.env['DOVEGATE_MINUTES'];
const seed = Number(process.env['DOVEGATE_SEED'] ?? 20_261_120);
const isVerbose = process.env['DOVEGATE_VERBOSE'] === '1';
const linesPerRelease = minutes === undefined ? Math.ceil(800 * rounds) : Number.POSITIVE_INFINITY;
const batchLines = 40;
/** What is announced to the servers, batch after batch: what the gate announces, and what newer clients do. */
const minors = [2, 3, 4];
const contradictionsMax = 30;
const alice = `${people[0]}@${realm}`;

interface Case extends MadeLine {
  readonly claim: Claim;
}
type AcceptedCase = MadeLine & AcceptedLine;

/** What a run counts. */
interface Tally {
  lines: number;
  accepted: number;
  /** Of them, those of which we say that they touch one user or none. */
  acceptedForOne: number;
  /** Of the accepted, those that the server answered with `+`. */
  done: number;
  /** Of the accepted, those of which the process ended in both worlds. */
  died: AcceptedCase[];
  refused: number;
  /** Of the refused, those that a server runs all the same; that touch others than the user of the line; that end its process. */
  refusedDone: number;
  refusedElsewhere: number;
  refusedFatal: number;
  codes: Map<string, number>;
  commands: Set<string>;
  contradictions: string[];
}

onDovecot(
  'lines mean what they mean to us',
  openTwinWorlds,
  async (t, twins) => {
    const tally = await compareLines(t, twins);
    t.diagnostic(report(twins, tally));
    if (isVerbose) for (const one of tally.died) t.diagnostic(`died of ${describeLine(one)}`);
    assert.deepEqual(tally.contradictions, []);
    if (minutes === undefined) assert.equal(tally.lines, linesPerRelease);
    assert.ok(tally.accepted >= tally.lines * 0.3, 'too few lines were accepted for this to say much');
    assert.ok(tally.done >= tally.accepted * 0.5, 'too few of them did anything');
    assert.ok(tally.died.length <= tally.accepted * 0.04, 'too many of them end the process of a server');
    assert.ok(
      tally.refusedElsewhere >= tally.refused * 0.01,
      'hardly a refused line reached other mailboxes: the tricks are not tried',
    );
  },
  labTestMs + Number(minutes ?? 0) * 60_000,
);
if (!releasesAsked().some((release) => release === 'trixie' || release === 'sid')) {
  console.log('Dovecot 2.4 is left out here: DOVEGATE_RELEASES="native trixie" compares with it as well');
}

async function compareLines(t: TestContext, twins: TwinWorlds): Promise<Tally> {
  const random = seededRandom(seed);
  const tally: Tally = {
    lines: 0,
    accepted: 0,
    acceptedForOne: 0,
    done: 0,
    died: [],
    refused: 0,
    refusedDone: 0,
    refusedElsewhere: 0,
    refusedFatal: 0,
    codes: new Map(),
    commands: new Set(),
    contradictions: [],
  };
  const known = knownTricks(twins);
  const untilMs = performance.now() + Number(minutes ?? Number.POSITIVE_INFINITY) * 60_000;
  let batches = 0;
  const mayGoOn = (): boolean => tally.lines < linesPerRelease && performance.now() < untilMs;
  while (mayGoOn() && tally.contradictions.length < contradictionsMax) {
    const batch: Case[] = [];
    for (; batch.length < batchLines && tally.lines < linesPerRelease; tally.lines += 1) {
      const made = known[tally.lines] ?? makeLine(random, twins);
      batch.push({ ...made, claim: say(twins, made.line) });
    }
    for (const world of twins.worlds) world.announce(minors[batches % minors.length] ?? 2);
    batches += 1;
    await compareBatch(twins, batch, tally);
    if (isVerbose && tally.lines % 400 === 0) t.diagnostic(report(twins, tally));
  }
  return tally;
}

/** To a client of the series itself: those of 2.3 want the username cell that only 2.3 sends. */
function say(twins: TwinWorlds, line: Buffer): Claim {
  return claimOf(twins.series, twins.serverMinor, twins.series === '2.3' ? 2 : 3, line);
}

async function compareBatch(twins: TwinWorlds, batch: readonly Case[], tally: Tally): Promise<void> {
  const accepted = batch.flatMap((one): AcceptedCase[] => {
    const { claim } = one;
    return claim.kind === 'accepted' ? [{ ...one, claim }] : [];
  });
  for (const { claim } of accepted) tally.commands.add(claim.command.name);
  tally.accepted += accepted.length;
  tally.acceptedForOne += accepted.filter(isForOne).length;
  // Lines that may bring mail of others into a mailbox come last: before, a foreign mark in a reply is somebody else's mail.
  const forAlice = accepted.filter((one) => isForOne(one) && !isForOther(one));
  const forOthers = accepted.filter((one) => isForOne(one) && isForOther(one));
  const forSeveral = accepted.filter((one) => !isForOne(one));
  const problems = await compareAll(twins, forAlice, tally);
  for (const world of twins.worlds) {
    problems.push(...strangersIn(world, new Set([alice])));
  }
  problems.push(...(await compareAll(twins, [...forOthers, ...forSeveral], tally)));
  const difference = differenceOfFiles(twins);
  if (difference !== undefined) problems.push(`files of ${difference}`);
  if (problems.length > 0) {
    const found = await compareApart(twins, accepted);
    const together = `${problems.join('\n  ')}\n  in a batch of\n  ${accepted.map(describeLine).join('\n  ')}`;
    tally.contradictions.push(...(found.length > 0 ? found : [together]));
  }
  const refused = batch.filter(({ claim }) => claim.kind === 'refused');
  const half = Math.ceil(refused.length / 2);
  const [first, second] = twins.worlds;
  await Promise.all([
    tryRefused(first, refused.slice(0, half), tally),
    tryRefused(second, refused.slice(half), tally),
  ]);
  for (const world of twins.worlds) world.restore();
}

function isForOne({ claim }: AcceptedCase): boolean {
  return claim.users !== undefined && claim.users.size <= 1;
}

function isForOther({ claim }: AcceptedCase): boolean {
  return claim.users !== undefined && [...claim.users].some((user) => user !== alice);
}

async function compareAll(
  twins: TwinWorlds,
  lines: readonly AcceptedCase[],
  tally: Tally,
): Promise<string[]> {
  const problems: string[] = [];
  for (const one of lines) {
    const { raw, problem }: Comparison = await compareOne(twins, one);
    if (raw.status === '+') tally.done += 1;
    if (raw.status === 'EOF') tally.died.push(one);
    if (problem !== undefined) problems.push(`${describeLine(one)}\n    ${problem}`);
  }
  return problems;
}

/** Every line again, each with fresh mail: which of them is it? */
async function compareApart(twins: TwinWorlds, batch: readonly AcceptedCase[]): Promise<string[]> {
  const found: string[] = [];
  for (const one of batch) {
    for (const world of twins.worlds) world.restore();
    const { problem } = await compareOne(twins, one);
    const users = one.claim.users;
    const [stranger] = twins.worlds.flatMap((world) =>
      users === undefined ? [] : strangersIn(world, users),
    );
    const difference = differenceOfFiles(twins);
    const why = problem ?? stranger ?? (difference === undefined ? undefined : `files of ${difference}`);
    if (why !== undefined) found.push(`${describeLine(one)} [${one.made}]\n    ${why}`);
  }
  return found;
}

/** Changed, and none of these. */
function strangersIn(world: World, users: ReadonlySet<string>): string[] {
  return [...world.changed()].flatMap(([user, files]) =>
    users.has(user) ? [] : `${user} is changed: ${files.join(' ')}`,
  );
}

/** What the refused lines would have done. */
async function tryRefused(world: World, refused: readonly Case[], tally: Tally): Promise<void> {
  for (const { line, claim } of refused) {
    if (claim.kind !== 'refused') continue;
    tally.refused += 1;
    tally.codes.set(claim.code, (tally.codes.get(claim.code) ?? 0) + 1);
    // No reply comes to it.
    if (claim.code === 'option') continue;
    // However the name is spelled: without its input the server would wait for it.
    const mayRead = /save|put/.test(line.toString('latin1').replaceAll(/\x01(?![01trn])/g, ''));
    const seen = await world.run(line, {
      input: mayRead ? Buffer.from('keep;\r\n.\r\n') : undefined,
      // A server command that we do not see would leave rows behind.
      isAlone: mayRead || claim.command?.scope !== 'user',
    });
    if (seen.status === '+') tally.refusedDone += 1;
    if (seen.status === 'EOF') tally.refusedFatal += 1;
    const meant = line.toString('latin1').split('\t')[1]?.toLowerCase() ?? '';
    if (seen.users.some((user) => user !== meant)) tally.refusedElsewhere += 1;
  }
}

function report(twins: TwinWorlds, tally: Tally): string {
  const codes = [...tally.codes].toSorted(([, a], [, b]) => b - a).map(([code, count]) => `${code} ${count}`);
  const { lines, accepted, acceptedForOne, done, died, contradictions, commands } = tally;
  return [
    `Dovecot ${twins.version}: ${lines} lines, ${accepted} accepted, ${tally.refused} refused, ${contradictions.length} contradictions (seed ${seed})`,
    `accepted: ${commands.size} commands, ${acceptedForOne} for one user or none, ${done} done, ${died.length} end the process`,
    `refused: ${tally.refusedDone} a server does, ${tally.refusedElsewhere} reach other mailboxes, ${tally.refusedFatal} end the process`,
    `for ${codes.join(', ')}`,
  ].join('; ');
}
