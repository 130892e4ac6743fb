// Names and numbers of users and groups for a process that serves clients: from the system's files, which are read at once, and from its
// directory (LDAP, SSSD), which a helper process asks. Nothing here forks or waits on the event loop.
//
// The rules:
// - A uid in a range of subordinate uids (/etc/subuid) has no account and is never asked for.
// - Questions about uids of clients wait for their turn (name-turns.ts), so that nobody with many uids delays others. Those of the
//   configuration and of operators have places of their own, so that clients cannot delay a reload.
// - `unanswered` is not kept: the next connect asks again.

import { bounds } from '../bounds/bounds.js';
import { predicateOf } from '../kinds/kinds.js';
import type { Clock } from '../ports/machine.js';
import type { RangeOwner } from '../ports/peer.js';
import { numberIn } from '../words/user-word.js';
import { type AccountFiles, accountFiles } from './account-files.js';
import type { NameNumbers } from './accounts.js';
import { type NameProcess, type NameQuestion, type ProcessAnswer, startNameProcess } from './name-process.js';
import { NameTurns } from './name-turns.js';
import { parseSubUidAnswer, type SubUidRange, SubUidTable } from './sub-uids.js';

const keptMax = 1000;

/** `crowded`: it got no turn in time. `unasked`: a range of subordinate uids holds it. */
export type UserAnswer =
  | { readonly kind: 'found'; readonly name: string }
  | { readonly kind: 'none' }
  | { readonly kind: 'unanswered' }
  | { readonly kind: 'crowded' }
  | { readonly kind: 'unasked' };

export type IdAnswer =
  | { readonly kind: 'found'; readonly id: number }
  | { readonly kind: 'none' }
  | { readonly kind: 'unanswered' };

export const isIdAnswer = predicateOf<IdAnswer>();

/** Undefined: no range holds the uid. `unknown`: the file of ranges cannot be read. */
export type RangeOwners = readonly RangeOwner[] | 'unknown' | undefined;

export type NameService = ReturnType<typeof createNameService>;

const keptMs = 60_000;
/** How long the uid of an owner of a range, and the ranges of a user, are used without another question. */
const ownerMs = 30_000;
/** How long a uid without an answer is asked for apart from the others. */
const muteMs = 60_000;
const rangesMax = 64;
/** Sources of users in nsswitch.conf that are files of this machine, or know only users of its own services. */
export const localSources: ReadonlySet<string> = new Set(['files', 'compat', 'systemd', 'db']);
/** Uids from here on have one turn for each block of this size, which is that of a container. Each lower uid is somebody else. */
const blockSize = 65_536;
const namesTurn = 'names';

const unanswered = { kind: 'unanswered' } as const;
const none: readonly never[] = [];

/** No promise rejects. `files`, `helper`: for tests. */
export function createNameService(
  clock: Clock,
  files: AccountFiles = accountFiles,
  helper: NameProcess = startNameProcess(clock),
) {
  const clients = new NameTurns(clock, {
    atOnce: bounds.accountQuestions,
    atOnceOfMute: bounds.accountMuteQuestions,
    perSecond: bounds.accountRate,
    waiting: bounds.accountWaiting,
    waitingOfTurn: bounds.accountWaitingPerTurn,
    waitMs: bounds.directoryAnswerMs,
  });
  // The number of names in a configuration is the operator's, and each question has the whole time for an answer.
  const own = new NameTurns(clock, {
    atOnce: bounds.accountOwnQuestions,
    atOnceOfMute: 0,
    perSecond: Infinity,
    waiting: Infinity,
    waitingOfTurn: Infinity,
  });
  // Two tables, so that uids without an account evict no names.
  const found = new KeptAnswers<string>(clock, keptMs);
  const nobody = new KeptAnswers<true>(clock, keptMs);
  const named = new KeptAnswers<true>(clock, Infinity);
  /** Uids without an answer lately: they wait for their turns apart, so that they keep no other uid of their block from an answer. */
  const mute = new KeptAnswers<true>(clock, muteMs);
  /** Later callers wait for the same answer. */
  const asked = new Map<number, Promise<UserAnswer>>();
  const owners = new KeptAnswers<RangeOwner>(clock, Infinity);
  const askedOwners = new Map<string, Promise<void>>();
  const ranges = new KeptAnswers<readonly SubUidRange[]>(clock, Infinity);
  /** Names of `owners` and `ranges` that were asked for in the last {@link ownerMs}. */
  const recentOwners = new KeptAnswers<true>(clock, ownerMs);
  const recentRanges = new KeptAnswers<true>(clock, ownerMs);
  let directoryRanges = new SubUidTable([]);

  function askForSettings(question: NameQuestion, key: string): Promise<ProcessAnswer> {
    return own
      .take(`${question} ${key}`, () => helper.ask(question, key))
      .then((answer) => answer ?? unanswered);
  }

  /** The account of a uid as far as it is known without a question. */
  function keptUser(uid: number): UserAnswer | undefined {
    const local = files.userName(uid);
    if (local !== undefined) return { kind: 'found', name: local };
    if ((namesOfOwners(uid) ?? none).length > 0) return { kind: 'unasked' };
    if (!helper.hasGetent) return { kind: 'none' };
    const name = found.get(uid);
    if (name !== undefined) return { kind: 'found', name };
    return nobody.get(uid) === undefined ? undefined : { kind: 'none' };
  }

  /** The account of a client's uid, within the time for a directory. */
  function userOf(uid: number): Promise<UserAnswer> {
    const known = keptUser(uid);
    if (known !== undefined) return Promise.resolve(known);
    const before = asked.get(uid);
    if (before !== undefined) return before;
    // A late answer is kept, too.
    let isAsked = false;
    const ask = async (): Promise<UserAnswer> => {
      isAsked = true;
      return keep(uid, await helper.ask('passwd', String(uid)));
    };
    const isMute = mute.get(uid) !== undefined;
    const answer = clients
      .take(isMute ? `uid ${uid}` : turnOf(uid), ask, isMute)
      .then((given): UserAnswer => {
        if (isAsked && (given ?? unanswered).kind === 'unanswered') mute.set(uid, true);
        return given ?? { kind: isAsked || isMute ? 'unanswered' : 'crowded' };
      });
    asked.set(uid, answer);
    void answer.then(() => asked.delete(uid));
    return answer;
  }

  function keep(uid: number, answer: ProcessAnswer): UserAnswer {
    if (answer.kind === 'unanswered') return answer;
    const account = answer.kind === 'found' ? accountIn(answer.parts) : undefined;
    if (account?.id !== uid) {
      // A directory that is offline (SSSD) knows no names; a user must not get into a stranger's share because of that.
      if (named.get(uid) !== undefined) return unanswered;
      nobody.set(uid, true);
      return { kind: 'none' };
    }
    const { name } = account;
    found.set(uid, name);
    named.set(uid, true);
    askRanges(name, (ask) => clients.take(turnOf(uid), ask));
    return { kind: 'found', name };
  }

  /** The owners as they are written. A uid with an account of its own is nobody's subordinate (`root:1000:1` lends one to a container). */
  function namesOfOwners(uid: number): readonly string[] | undefined {
    if (files.userName(uid) !== undefined) return none;
    const written = files.subUidOwners(uid);
    return written && [...new Set([...written, ...directoryRanges.ownersOf(uid)])];
  }

  function localOwner(owner: string): RangeOwner | undefined {
    const number = numberIn(owner)?.id;
    if (number !== undefined) return { uid: number };
    const uid = files.uidOf(owner);
    return uid === undefined ? undefined : { uid, user: owner };
  }

  /** Who owns the ranges of subordinate uids around a uid without an account, as far as known without a question. */
  function keptOwners(uid: number): RangeOwners {
    const names = namesOfOwners(uid);
    if (names === undefined) return 'unknown';
    if (names.length === 0) return undefined;
    return names.map((owner) => localOwner(owner) ?? owners.get(owner) ?? { user: owner });
  }

  /** A name without a uid keeps the last one that it had: the user may have been renamed after the line was written. */
  function askOwner(owner: string): Promise<void> {
    const before = askedOwners.get(owner);
    if (before !== undefined) return before;
    const asking = askForSettings('passwd', owner).then((answer) => {
      askedOwners.delete(owner);
      if (answer.kind === 'unanswered') return;
      recentOwners.set(owner, true);
      // As with newuidmap, which takes a line of any name that leads to the uid of its caller.
      const uid = answer.kind === 'found' ? accountIn(answer.parts)?.id : undefined;
      const isGone = uid === undefined && !hasDirectory();
      if (uid !== undefined || owners.get(owner)?.uid === undefined)
        owners.set(owner, { user: owner, uid, isGone });
    });
    askedOwners.set(owner, asking);
    return asking;
  }

  /** As `keptOwners`, but asks for unknown uids, within the time for a directory. */
  async function ownersOf(uid: number): Promise<RangeOwners> {
    const open = (namesOfOwners(uid) ?? none).filter(
      (owner) => localOwner(owner) === undefined && recentOwners.get(owner) === undefined,
    );
    const isKnown = (owner: string): boolean => owners.get(owner)?.uid !== undefined;
    // A known uid is used at once, and asked for again in the background.
    const waitedFor = open.filter((owner) => !isKnown(owner));
    for (const owner of open) if (isKnown(owner)) void askOwner(owner);
    await Promise.all(waitedFor.map(askOwner));
    return keptOwners(uid);
  }

  /** Asks for the ranges of a user if another source than the file can have some. `take`: waits for the turn of the question. */
  function askRanges(name: string, take: (ask: () => Promise<void>) => Promise<unknown>): void {
    const hasOthers = files.sourcesOf('subid').some((source) => source !== 'files');
    if (!hasOthers || recentRanges.get(name) !== undefined) return;
    recentRanges.set(name, true);
    void take(async () => {
      const answer = await helper.ask('ranges', name);
      if (answer.kind !== 'found') return;
      ranges.set(
        name,
        answer.parts.slice(0, rangesMax).flatMap((line) => parseSubUidAnswer(name, line)),
      );
      directoryRanges = new SubUidTable([...ranges.values()].flat());
    });
  }

  async function idOf(
    name: string,
    local: number | undefined,
    ask: () => Promise<ProcessAnswer>,
  ): Promise<IdAnswer> {
    const number = numberIn(name);
    const id = number === undefined ? local : number.id;
    if (id !== undefined) return { kind: 'found', id };
    if (number !== undefined) return { kind: 'none' };
    const answer = await ask();
    if (answer.kind !== 'found') return answer;
    const account = accountIn(answer.parts);
    // A directory may answer with another spelling.
    return account?.name === name ? { kind: 'found', id: account.id } : { kind: 'none' };
  }

  /** The uid of a user's name, or of a number as text. */
  async function uidOf(name: string): Promise<IdAnswer> {
    const answer = await idOf(name, files.uidOf(name), () => askForSettings('passwd', name));
    // Containers of a user belong to the user even before the user connects.
    if (answer.kind === 'found') askRanges(name, (ask) => own.take(`ranges ${name}`, ask));
    return answer;
  }

  function gidOf(name: string): Promise<IdAnswer> {
    return idOf(name, files.gidOf(name), () => askForSettings('group', name));
  }

  /** Whether users can be elsewhere than in files of this machine. */
  function hasDirectory(): boolean {
    return helper.hasGetent && files.sourcesOf('passwd').some((source) => !localSources.has(source));
  }

  return {
    keptUser,
    userOf,
    keptOwners,
    ownersOf,
    uidOf,
    gidOf,
    /** Whether there is a user of that name, for a client's question; undefined: no answer. */
    hasUser: async (name: string): Promise<boolean | undefined> => {
      if (files.uidOf(name) !== undefined) return true;
      const asking = () => clients.take(namesTurn, () => helper.ask('passwd', name));
      const answer = (await asking()) ?? unanswered;
      if (answer.kind === 'unanswered') return undefined;
      return answer.kind === 'found' && accountIn(answer.parts)?.name === name;
    },
    /** The numbers of all of these names. A name without an answer has none. */
    async numbersOf({
      users,
      groups,
    }: Readonly<Record<'users' | 'groups', readonly string[]>>): Promise<NameNumbers> {
      const numbersOf = async (names: readonly string[], of: typeof uidOf): Promise<Map<string, number>> => {
        const numbers = new Map<string, number>();
        const numberOf = async (name: string): Promise<void> => {
          const answer = await of(name);
          if (answer.kind === 'found') numbers.set(name, answer.id);
        };
        await Promise.all([...new Set(names)].map(numberOf));
        return numbers;
      };
      const [uids, gids] = await Promise.all([numbersOf(users, uidOf), numbersOf(groups, gidOf)]);
      return { uidOf: (name) => uids.get(name), gidOf: (name) => gids.get(name) };
    },
    /** The name of a uid, and the groups that it would get at a login now. */
    async loginOf(
      uid: number,
    ): Promise<{ readonly name: string | undefined; readonly gids: readonly number[] }> {
      const kept = keptUser(uid);
      const account = kept ?? keep(uid, await askForSettings('passwd', String(uid)));
      if (account.kind !== 'found') return { name: undefined, gids: [] };
      const { name } = account;
      const answer = await askForSettings('groups', name);
      const gids =
        answer.kind === 'found' ? answer.parts.filter((word) => /^\d+$/.test(word)).map(Number) : [];
      return { name, gids };
    },
    hasDirectory,
    close: (): void => helper.close(),
  };
}

function turnOf(uid: number): string {
  return uid < blockSize ? `uid ${uid}` : `block ${Math.floor(uid / blockSize)}`;
}

function accountIn([text = '']: readonly string[]):
  | { readonly name: string; readonly id: number }
  | undefined {
  const [, name, id] = /^([^:]+):(\d{1,10})$/.exec(text) ?? [];
  return name === undefined ? undefined : { name, id: Number(id) };
}

/** Answers by key, for a time. The least recently used one is dropped. */
class KeptAnswers<Answer> {
  readonly #clock: Clock;
  readonly #lifeMs: number;
  readonly #kept = new Map<number | string, { readonly answer: Answer; readonly sinceMs: number }>();

  constructor(clock: Clock, lifeMs: number) {
    this.#clock = clock;
    this.#lifeMs = lifeMs;
  }

  get(key: number | string): Answer | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    this.#kept.delete(key);
    if (this.#clock.now() - kept.sinceMs >= this.#lifeMs) return undefined;
    this.#kept.set(key, kept);
    return kept.answer;
  }

  set(key: number | string, answer: Answer): void {
    this.#kept.delete(key);
    const [oldest] = this.#kept.keys();
    if (oldest !== undefined && this.#kept.size >= keptMax) this.#kept.delete(oldest);
    this.#kept.set(key, { answer, sinceMs: this.#clock.now() });
  }

  *values(): Iterable<Answer> {
    for (const { answer } of this.#kept.values()) yield answer;
  }
}
