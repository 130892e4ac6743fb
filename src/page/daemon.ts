// The daemon, as the page's process sees it through `admin.door`: its settings, which are sent again after each reload, and calls to it.
// Without the daemon nothing can be recorded, so no records are shown. The last settings are kept, so sessions continue when it is back. A
// daemon of an unknown version is not called.

import { type DoorAction } from '../gate/door/action.js';
import {
  type DoorAccess,
  type DoorCall,
  type DoorExtract,
  type DoorPage,
  type DoorRefused,
  type DoorWord,
  type PersonCall,
  rolesFor,
} from '../gate/door/calls.js';
import {
  type ActionResult,
  type DoorAccessed,
  type DoorBeat,
  type DoorFacts,
  type DoorHead,
  type DoorNow,
  type DoorOpened,
  type DoorTraffic,
  type MadeNow,
  type RecordedAction,
} from '../gate/door/door.js';
import type { DoorClient } from '../gate/door/door-client.js';
import { DoorFault } from '../gate/door/door-client.js';
import type { SignedExtract } from '../gate/door/extract-head.js';
import type { Log } from '../gate/telemetry/log.js';
import { pause } from '../host/concurrency/waiting.js';
import type { NameNumbers } from '../host/machine/accounts.js';
import type { NameService } from '../host/machine/name-service.js';
import { messageOf } from '../host/ports/faults.js';
import type { Clock } from '../host/ports/machine.js';
import type { Settings } from '../rules/config/settings.js';
import type { Human } from '../rules/identity/human.js';
import { folded } from '../rules/identity/person.js';
import type { PageRole } from '../rules/identity/roles.js';
import { settingsIn } from '../rules/setup/configuration-text.js';
import { namesIn } from '../rules/setup/peers.js';
import type { PageCaller } from './http/page-request.js';
import { troubleOf } from './trouble-words.js';

export interface Told {
  readonly head: DoorHead;
  readonly settings: Settings;
  /** The uids and gids of all names in the settings; undefined while the system is asked. */
  readonly numbers: NameNumbers | undefined;
}

/** The person who asks: the entry of the page, and where the request comes from. */
export type Asking = Pick<PageCaller, 'name' | 'roles' | 'from' | 'opener'>;

export interface Note {
  readonly action: RecordedAction;
  readonly args?: readonly DoorWord[];
  readonly rows?: number;
}

export interface DaemonParts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'report'>;
  readonly names: Pick<NameService, 'numbersOf'>;
  readonly client: DoorClient<DoorCall>;
  /** Called and awaited after each change of the settings and of who is locked, before the next one. */
  readonly onSettings: () => Promise<void> | void;
}

const retryMs = 500;

/** Calls reject with a DoorFault, also where the daemon is too old to know them. */
export class Daemon {
  readonly #parts: DaemonParts;
  #told: Told | undefined;
  #locked: NonNullable<DoorBeat['locked']> = [];
  #away: DoorFault | undefined = new DoorFault('away', 'dovegate was not asked yet');
  readonly #ended = new AbortController();

  constructor(parts: DaemonParts) {
    this.#parts = parts;
  }

  /** Undefined: nothing came from the daemon since the start of this process. */
  get told(): Told | undefined {
    return this.#told;
  }

  /** The lock that stops a person, in words, as the daemon reported it within the last second; undefined: none. */
  whyLocked({ identities, isUnanswered = false }: Human): string | undefined {
    const own = new Set(identities.map(folded));
    const lock = this.#locked.find(({ words, isForName }) =>
      isForName && isUnanswered ? true : words.some((word) => own.has(word)),
    );
    return lock?.why;
  }

  /** Why the daemon cannot be asked now, as a sentence; undefined: it can. */
  get away(): string | undefined {
    return this.#away?.message;
  }

  /** Follows its settings until `close`. Never rejects. */
  async follow(): Promise<void> {
    const { clock, log, client } = this.#parts;
    const { signal } = this.#ended;
    while (!signal.aborted) {
      try {
        await this.#read(client.lines('settings', signal));
      } catch (fault) {
        const away = fault instanceof DoorFault ? fault : new DoorFault('away', messageOf(fault), fault);
        const { code, message: text } = away;
        // Once the daemon has answered, only the code is compared: while it is gone, messages differ from one attempt to the next.
        const isKnown = this.#told === undefined ? this.#away?.message === text : this.#away?.code === code;
        if (!isKnown) log.report({ event: 'door-away', level: 'warn', text });
        this.#away = away;
      }
      await pause(clock, retryMs, signal);
    }
  }

  /** States of the daemon, for as long as somebody watches. Rejects with a DoorFault. */
  async *states(signal: AbortSignal): AsyncGenerator<MadeNow> {
    for await (const line of this.#parts.client.lines('now', signal)) {
      const { now, ...made }: DoorNow = JSON.parse(line);
      yield { ...made, now: { ...now, troubles: now.troubles.map(troubleOf) } };
    }
  }

  facts(): Promise<DoorFacts> {
    return this.#call('facts');
  }

  traffic(): Promise<DoorTraffic> {
    return this.#call('traffic');
  }

  async flush(): Promise<void> {
    await this.#call('flush', {});
  }

  /** Resolves when the look is on disk. */
  async record(who: Asking, { action, args = [], rows }: Note): Promise<void> {
    await this.#call('record', { ...this.#as(who, rolesFor('record', action)), action, args, rows });
  }

  /** The daemon records the extract, and then signs it. */
  async sign(who: Asking, extract: Omit<DoorExtract, keyof PersonCall>): Promise<SignedExtract> {
    return this.#call('sign', { ...this.#as(who, rolesFor('sign')), ...extract });
  }

  /** Uses up one reading of a token for the report of one mailbox; the daemon records it. */
  openReport(token: string, address: string, generation: number): Promise<DoorOpened> {
    return this.#call('report', { token, address, generation });
  }

  async operate(who: Asking, action: DoorAction): Promise<ActionResult> {
    return this.#call('operate', { ...this.#as(who, rolesFor('operate')), action });
  }

  /** Lists requests for access, or takes a step of one. */
  async access(who: Asking, asked: Omit<DoorAccess, keyof PersonCall>): Promise<DoorAccessed> {
    return this.#call('access', { ...this.#as(who, rolesFor('access')), ...asked });
  }

  async refused(refused: DoorRefused): Promise<void> {
    await this.#call('refused', refused);
  }

  async tell(page: DoorPage): Promise<void> {
    await this.#call('page', page);
  }

  close(): void {
    this.#ended.abort(new Error('the page is stopping'));
    this.#parts.client.close();
  }

  /** The daemon and the page are of one version: an answer has the shape of its call. */
  async #call<Answer>(...asked: Parameters<DoorClient<DoorCall>['call']>): Promise<Answer> {
    if (this.#away !== undefined) throw new DoorFault(this.#away.code, this.#away.message);
    const answer: Answer = JSON.parse(await this.#parts.client.call(...asked));
    return answer;
  }

  #as({ name, roles, from, opener }: Asking, those: readonly PageRole[] | undefined): PersonCall {
    const role = roles.find((each) => those === undefined || those.includes(each)) ?? roles[0];
    if (role === undefined) throw new Error(`${name} has no role`);
    const as = { person: name, role, generation: this.#told?.head.generation ?? 0 };
    return { as, from, opener };
  }

  async #read(lines: AsyncGenerator<string>): Promise<void> {
    const { names, onSettings } = this.#parts;
    let head: DoorHead | undefined;
    for await (const line of lines) {
      if (line.startsWith('{"beat"')) {
        const { locked }: DoorBeat = JSON.parse(line);
        if (locked === undefined) continue;
        const isOther = whoIn(locked) !== whoIn(this.#locked);
        this.#locked = locked;
        // Ends open sessions of people who are locked now.
        if (isOther) await onSettings();
        continue;
      }
      if (head === undefined) {
        head = JSON.parse(line);
        continue;
      }
      const settings = settingsIn(line);
      this.#told = { head, settings, numbers: undefined };
      this.#away = undefined;
      this.#told = { head, settings, numbers: await names.numbersOf(namesIn(settings)) };
      head = undefined;
      await onSettings();
    }
  }
}

/** Without the reason, which contains a time. */
function whoIn(locked: NonNullable<DoorBeat['locked']>): string {
  return JSON.stringify(locked.map(({ words, isForName }) => [words, isForName]));
}
