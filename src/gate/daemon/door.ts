// `admin.door`: the calls of the page's process to the daemon. The calls are a closed list (gate/door). The kernel identifies the process.
// Each call is checked against the settings that are served, since the page may be compromised. Records and signed texts are composed here.
// Calls cost a bounded number of records, of bytes and of signatures.

import { bounds } from '../../host/bounds/bounds.js';
import { Wakes } from '../../host/concurrency/waiting.js';
import type { HttpAnswer } from '../../host/http/server.js';
import type { FindPeer } from '../../host/machine/find-peer.js';
import { hostName, programVersion } from '../../host/machine/process.js';
import { messageOf } from '../../host/ports/faults.js';
import type { Clock } from '../../host/ports/machine.js';
import { networkOf } from '../../host/ports/peer.js';
import type { OpenJournal } from '../../journal/files/journal.js';
import type { RecordedPeer, Redacted } from '../../journal/records/keys.js';
import type { PagePerson, Settings } from '../../rules/config/settings.js';
import { type Human, humanOnPage, type SeenOnPage } from '../../rules/identity/human.js';
import type { PageRole } from '../../rules/identity/roles.js';
import { pageName } from '../../rules/setup/certificates.js';
import { settingsText } from '../../rules/setup/configuration-text.js';
import type { AccessDesk } from '../access/desk.js';
import type { Act } from '../admin/access.js';
import {
  callRow,
  type DoorAsked,
  type DoorPage,
  doorCalls,
  type PersonCall,
  rolesFor,
} from '../door/calls.js';
import {
  type ActionResult,
  type DoorBeat,
  type DoorFacts,
  type DoorHead,
  type DoorOpened,
  type DoorRefusal,
  unlimitedActions,
} from '../door/door.js';
import { formatExtractHead, type SignedExtract } from '../door/extract-head.js';
import { formatFilter } from '../door/filter.js';
import type { FloodWatch } from '../outcome/journal.js';
import type { Log } from '../telemetry/log.js';
import type { CountedExchanges } from '../telemetry/metrics.js';
import { decideOnPage, isEnd } from './door-access.js';
import { actionBudgets, type Decided, DoorBudget } from './door-budget.js';
import { DoorNotes } from './door-notes.js';
import {
  type DoorHandlers,
  type DoorPlace,
  json,
  linesOf,
  openDoorServer,
  refused,
  tooOften,
} from './door-server.js';
import { judge, makeNow, receiversOf } from './now-source.js';
import { NowStates } from './now-states.js';
import type { NowWatch } from './now-watch.js';
import { type Gate, lookAt } from './running.js';
import { trafficOf } from './traffic.js';

export interface DoorParts {
  readonly gate: Gate;
  readonly watch: NowWatch;
  readonly place: DoorPlace;
  readonly clock: Clock;
  readonly log: Pick<Log, 'report'>;
  readonly journal: Pick<OpenJournal, 'append' | 'appendDurable' | 'flushed' | 'seq'> & {
    readonly found: Pick<OpenJournal['found'], 'journal'>;
  };
  readonly floods: Pick<FloodWatch, 'admit'>;
  readonly findPeer: FindPeer;
  readonly access: AccessDesk;
  readonly act: Act;
  readonly exchanges: CountedExchanges;
  readonly directory: string;
  readonly ownKey: string;
  /** Base64 signature of a text by that key. */
  readonly sign: (text: string) => string;
}

export type OpenDoor = Awaited<ReturnType<typeof openDoor>>;

const nothings: ReadonlySet<ActionResult['kind']> = new Set(['unknown', 'already', 'refused']);

const toldMs = 30_000;
/** The page may have read this many records that the journal's thread has written but not yet reported. */
const unreportedMax = 1_000;
const isOver: DoorRefusal = { code: 'person', text: 'this token is over, or opens nothing here' };
const stale: DoorRefusal = { code: 'stale', text: 'the configuration was changed meanwhile; ask again' };

/** Serves until it is closed. Rejects with a ListenFault. */
export async function openDoor(parts: DoorParts) {
  const { clock, log, journal, gate, watch, floods, act, access, directory, ownKey, sign, place } = parts;
  const { served } = gate;
  const budget = new DoorBudget();
  let told: (DoorPage & { readonly atMs: number }) | undefined;
  const onError = (text: string): void => log.report({ event: 'admin-failed', level: 'error', text });
  let streams = 0;
  let pages = 0;
  const redact = (word: string): Redacted => served.now.exchanges.redact(word);
  const notes = new DoorNotes({ clock, journal, redact, onError });
  const settings = new DoorSettings(clock, textOf, () => access.locks.ofPeople);
  const states = new NowStates({
    clock,
    make: () => makeNow(lookAt(gate), watch, clock.now()),
    onFailed: (fault) => onError(`the state for the page: ${messageOf(fault)}`),
    onWatched: (isWatched) => gate.pools.setWatched(isWatched),
  });
  // The state is evaluated also while nobody watches, so that its start time is known.
  watch.onTurn = () => {
    try {
      judge(lookAt(gate), watch);
      states.hurry();
    } catch (fault) {
      onError(`the state for the page: ${messageOf(fault)}`);
    }
  };

  const handlers: DoorHandlers<DoorAsked> = {
    settings: async (_asked, _peer, { signal }) => streamOf(whilePage(settings.watch(signal))),
    now: async (_asked, _peer, { signal }) => streamOf(states.watch(signal)),
    facts: async () => json(200, factsNow()),
    traffic: async () => json(200, trafficOf(parts.exchanges, lookAt(gate))),
    async flush() {
      await journal.flushed();
      return json(200, {});
    },
    async record(asked, peer) {
      const { action, from, args, rows } = asked;
      const roles = rolesFor('record', action);
      const caller = callerOf(asked, roles);
      if ('code' in caller) return refused(caller);
      const { person } = caller;
      if (person.users !== undefined && unlimitedActions.includes(action))
        return refused({ code: 'person', text: `${person.name} sees the records of some mail users only` });
      const words = [...from, ...args];
      const again = () => whyNotNow(asked, roles);
      const why = await notes.note(person, action, words, rows, peer, again);
      return why === undefined ? json(200, {}) : refused(why);
    },
    async sign(asking, peer) {
      const { from, facts, filter, after, rows, shown } = asking;
      const roles = rolesFor('sign');
      const caller = callerOf(asking, roles);
      if ('code' in caller) return refused(caller);
      const { person } = caller;
      const { name: by, users } = person;
      // `fromSeq` beyond `toSeq` means that there are no records.
      const isBeyond = (seq: number): boolean => facts.fromSeq <= facts.toSeq && facts.toSeq > seq;
      const beyond = { code: 'malformed', text: 'facts: there are no records up to toSeq' } as const;
      if (isBeyond(journal.seq + unreportedMax)) return refused(beyond);
      const asked = formatFilter(filter);
      // No signature without a record: a compromised page cannot get a signature that leaves no trace.
      const words = [...from, ...asked, ...after, ...(shown === undefined ? [] : [`shown=${shown}`])];
      const again = () => whyNotNow(asking, roles);
      const why = await notes.note(person, 'audit-extract', words, rows, peer, again);
      if (why !== undefined) return refused(why);
      // The journal's thread wrote the records that the page has read before this one, so `seq` covers them now.
      if (isBeyond(journal.seq)) return refused(beyond);
      const timeMs = clock.wallMs();
      const head = formatExtractHead({
        ...facts,
        timeMs,
        by,
        users,
        shown,
        filter: asked,
        rows,
        key: ownKey,
      });
      return json(200, { head, signature: sign(head) } satisfies SignedExtract);
    },
    async report({ token, generation, address }, peer) {
      // The settings say whether names of people are shown, so they must be current.
      if (generation !== settings.generation) return refused(stale);
      const opened = access.ownerReports.open(token);
      if (opened === undefined) return refused(isOver);
      const { user, until, by } = opened;
      const words = [`address=${address}`, `user=${user}`];
      const again = () => {
        if (generation !== settings.generation) return stale;
        return access.ownerReports.isOpen(token) ? undefined : isOver;
      };
      const why = await notes.note({ name: by, roles: [] }, 'audit-owner', words, undefined, peer, again);
      return why === undefined ? json(200, { user, until } satisfies DoorOpened) : refused(why);
    },
    operate: decided(
      ({ action }) => actionBudgets[action.kind],
      async (asked, peer, what) => {
        const { action, from } = asked;
        const caller = callerOf(asked, rolesFor('operate'));
        if ('code' in caller) return { given: refused(caller), isNothing: true };
        const { name: by } = caller.person;
        const words = [...from, ...Object.values(action).map(String)];
        const why = what === 'enable' ? notes.whyNot('acts', by, words) : undefined;
        if (why !== undefined) return { given: refused(why), isNothing: true };
        const operator = { ...peer, by, from, human: caller.human };
        const done = await act(action, operator);
        return { given: json(200, done), isNothing: nothings.has(done.kind) };
      },
    ),
    access: decided(
      (asked) => (isEnd(asked) ? undefined : asked.step === 'list' ? 'list' : 'step'),
      async (asked, peer, what) => {
        const caller = callerOf(asked, rolesFor('access'));
        if ('code' in caller) return { given: refused(caller), isNothing: true };
        const { person, human } = caller;
        const words = [...asked.from, asked.reason ?? ''];
        const why = what === 'step' ? notes.whyNot('acts', person.name, words) : undefined;
        if (why !== undefined) return { given: refused(why), isNothing: true };
        const { exchanges, settings: now } = served.now;
        const done = await decideOnPage(exchanges, now, person, human, asked, peer);
        return { given: json(200, done), isNothing: 'code' in done && done.code !== 'access-unrecorded' };
      },
    ),
    refused({ why, address, person, what, more }, peer) {
      const isAdmitted =
        person === undefined
          ? floods.admit('login-failed', { network: networkOf(address ?? '-'), listener: pageName })
          : // Counted under the name that the record has as `by`.
            floods.admit('page-refused', { origin: person, principal: person });
      if (isAdmitted) {
        const by = person === undefined ? {} : { by: person };
        const from = address === undefined ? [] : [`address=${address}`];
        const others = more === 0 ? [] : [`more=${more}`];
        const args = [`why=${why}`, what, ...from, ...others];
        const busy = notes.whyNot('refusals', undefined, [...args, person ?? '']);
        if (busy !== undefined) return Promise.resolve(refused(busy));
        const record = { time: clock.wallMs(), event: 'operator', peer, action: 'page-refused', ...by, args };
        // The journal counts records that it cannot take.
        journal.append({ ...record, event: 'operator' }, 'brief');
      }
      return Promise.resolve(json(200, {}));
    },
    page(page) {
      told = { ...page, atMs: clock.now() };
      return Promise.resolve(json(200, {}));
    },
  };

  const server = await openDoorServer<DoorAsked>({
    clock,
    findPeer: parts.findPeer,
    place,
    calls: doorCalls,
    take: (call, bytes) => budget.take(call, bytes, clock.now()),
    handlers,
    malformed: (call, given) => (callRow(call).costs === 'decision' ? within('nothing', given) : given),
    onError,
  });

  return {
    /** After a reload: the page gets the new settings, and calls with the old ones are refused. */
    review: (): void => settings.review(),
    told(): ReturnType<Gate['page']> {
      if (told === undefined) return undefined;
      const { atMs, ...page } = told;
      const ageMs = clock.now() - atMs;
      return ageMs > toldMs ? undefined : { ...page, ageMs };
    },
    close: (): Promise<void> => server.close(),
  };

  function within(what: Decided, given: HttpAnswer): HttpAnswer {
    const waitMs = budget.takeDecided(what, clock.now());
    return waitMs === undefined ? given : refused(tooOften(waitMs));
  }

  /** Makes the handler of a decision. `budgetOf` returns its budget, or undefined for one that takes a right away. */
  function decided<Asked>(
    budgetOf: (asked: Asked) => Decided | undefined,
    run: (
      asked: Asked,
      peer: RecordedPeer,
      what: Decided | undefined,
    ) => Promise<{ readonly given: HttpAnswer; readonly isNothing: boolean }>,
  ): (asked: Asked, peer: RecordedPeer) => Promise<HttpAnswer> {
    return async (asked, peer) => {
      const what = budgetOf(asked);
      const waitMs = what === undefined ? undefined : budget.takeDecided(what, clock.now());
      if (waitMs !== undefined) return refused(tooOften(waitMs));
      const { given, isNothing } = await run(asked, peer, what);
      return what === undefined && isNothing ? within('nothing', given) : given;
    };
  }

  function callerOf(
    { as: { person: name, role, generation: asked }, ...seen }: SeenOnPage & Pick<PersonCall, 'as'>,
    roles: readonly PageRole[] | undefined,
  ): { readonly person: PagePerson; readonly human: Human } | DoorRefusal {
    if (asked !== settings.generation) return stale;
    const person = served.now.settings.admin?.page?.people.find((each) => each.name === name);
    const isTheirs = person?.roles.includes(role) === true && roles?.includes(role) !== false;
    const human = humanOnPage(person ?? { name }, seen, served.now.persons);
    const lock = access.locks.on({ human });
    if (lock !== undefined) return { code: 'person', text: access.locks.sentence(lock) };
    if (person !== undefined && isTheirs) return { person, human };
    return { code: 'person', text: `${name} may not do this with the role "${role}"` };
  }

  function whyNotNow(...asked: Parameters<typeof callerOf>): DoorRefusal | undefined {
    const caller = callerOf(...asked);
    return 'code' in caller ? caller : undefined;
  }

  function streamOf(pieces: AsyncGenerator<string>): HttpAnswer {
    if (streams >= bounds.doorStreams)
      return refused({ code: 'busy', text: 'too many streams are open' }, 503);
    return linesOf(counted(pieces));
  }

  async function* counted(pieces: AsyncGenerator<string>): AsyncGenerator<string> {
    streams += 1;
    try {
      yield* pieces;
    } finally {
      streams -= 1;
    }
  }

  /** Wraps the stream that a page reads as long as it runs. When the last one ends, the page's report is dropped. */
  async function* whilePage(pieces: AsyncGenerator<string>): AsyncGenerator<string> {
    pages += 1;
    try {
      yield* pieces;
    } finally {
      pages -= 1;
      if (pages === 0) told = undefined;
    }
  }

  function textOf(generation: number): string {
    const head = {
      generation,
      host: hostName(),
      version: programVersion,
      started: gate.start.started,
      directory,
      journal: journal.found.journal,
      ownKey,
    } satisfies DoorHead;
    return `${JSON.stringify(head)}\n${settingsText(withoutSecrets(served.now.settings))}\n`;
  }

  function factsNow(): DoorFacts {
    const { atMs, sinks, backends, exchanges } = lookAt(gate);
    const running = new Set(exchanges.map(({ principal }) => principal));
    return {
      atMs,
      seq: journal.seq,
      receivers: receiversOf(sinks),
      notices: gate.shipping.told?.notices ?? [],
      series: Object.fromEntries(
        backends.flatMap(({ name, series }) => (series === undefined ? [] : [[name, series]])),
      ),
      certificates: gate.certificates.expiries(),
      used: served.now.settings.listeners.flatMap(({ name: listener, accounts, keys: all }) =>
        [...accounts, ...all].map(({ name }) => ({
          listener,
          name,
          ...gate.keys.usage(listener, name),
          ...(running.has(`${name}@${listener}`) && { lastUsedMs: atMs }),
        })),
      ),
    };
  }
}

/** Leaves out the hashes of clients' passwords and keys, and keeps those of the page's own people. */
export function withoutSecrets(settings: Settings): Settings {
  return {
    ...settings,
    listeners: settings.listeners.map((listener) => ({
      ...listener,
      accounts: listener.accounts.map((account) =>
        account.passwordHash === undefined ? account : { ...account, passwordHash: 'hidden' },
      ),
      keys: listener.keys.map((key) => ({
        ...key,
        hashes: key.hashes.map((hash) => ({ ...hash, sha256: 'hidden' })),
      })),
    })),
  };
}

const beatMs = 1_000;

class DoorSettings {
  readonly #clock: Pick<Clock, 'setTimer'>;
  readonly #textOf: (generation: number) => string;
  readonly #locked: () => DoorBeat['locked'];
  readonly #reviewed = new Wakes();
  #generation: number;

  /** `textOf` makes the text of the settings that are served now. */
  constructor(
    clock: Pick<Clock, 'setTimer' | 'wallMs'>,
    textOf: (generation: number) => string,
    locked: () => DoorBeat['locked'],
  ) {
    this.#clock = clock;
    this.#textOf = textOf;
    this.#locked = locked;
    // Higher than in every earlier daemon, so that settings which the page got from one of them are stale.
    this.#generation = clock.wallMs();
  }

  /** Identifies the served settings. A call that names another generation is stale. */
  get generation(): number {
    return this.#generation;
  }

  review(): void {
    this.#generation += 1;
    this.#reviewed.wake();
  }

  async *watch(signal: AbortSignal): AsyncGenerator<string> {
    let told: string | undefined;
    for (let sent = 0; !signal.aborted; ) {
      if (sent === this.#generation) {
        const locked = this.#locked();
        const text = JSON.stringify(locked);
        // Sent only when they have changed: there may be many.
        yield `${JSON.stringify({ beat: 1, ...(text !== told && { locked }) } satisfies DoorBeat)}\n`;
        told = text;
        await this.#reviewed.next(signal, { clock: this.#clock, ms: beatMs });
        continue;
      }
      sent = this.#generation;
      yield this.#textOf(sent);
    }
  }
}
