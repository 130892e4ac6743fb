// Actions of operators on the running daemon: end a command, take a backend out of service and back, reload. An action without a record is
// not done, and a second record of the same `deed` says how it ended. A drained backend stays drained across restarts.

import * as z from 'zod';
import { GlobList } from '../../doveadm/names/glob.js';
import { nearestName } from '../../doveadm/names/nearest-name.js';
import { bounds } from '../../host/bounds/bounds.js';
import { randomBytes } from '../../host/machine/clock.js';
import { readIfThere, writeAtomically } from '../../host/machine/files.js';
import { messageOf } from '../../host/ports/faults.js';
import type { Clock } from '../../host/ports/machine.js';
import { text as textOf, time as timeText } from '../../host/values/shape.js';
import { parseLine } from '../../host/values/values.js';
import { formatTime } from '../../host/words/instants.js';
import type { OpenJournal } from '../../journal/files/journal.js';
import type { RecordedPeer } from '../../journal/records/keys.js';
import type { AuditRecord } from '../../journal/records/record.js';
import type { Persons } from '../../rules/identity/person.js';
import type { AccessDesk } from '../access/desk.js';
import { whyNotSaid } from '../access/steps.js';
import { isOperatorAction, type Operator, type OperatorAction } from '../admin/access.js';
import type { RunningExchange } from '../command/overdue.js';
import type { ActionFailure, ActionResult } from '../door/door.js';
import { drainWords, notReplaced } from '../now/operator.js';
import type { Service } from '../session/service.js';
import type { Log } from '../telemetry/log.js';
import type { KnownUsers } from './known-users.js';
import type { Outages } from './outages.js';
import type { Pools } from './pools.js';
import type { Asker, Reloader } from './reload.js';
import type { SeenPolicies } from './seen-policies.js';
import type { Switch } from './served.js';

const nameCharsMax = 64;

/** The person who took a backend out of service, and the time (RFC 3339). */
const drainedNow = z.object({
  by: textOf(bounds.besideFileBytes),
  since: timeText,
  reason: textOf(bounds.reasonBytes).optional(),
});
export type Drained = Readonly<z.infer<typeof drainedNow>>;
const drainedFile = z.record(z.string(), drainedNow);

export class DrainedBackends {
  readonly #path: string;
  #drained = new Map<string, Drained>();

  /** Throws for an unreadable file: the drained backends would be unknown. */
  constructor(stateDirectory: string) {
    this.#path = `${stateDirectory}/drained.json`;
    const found = drainedFile.safeParse(
      parseLine(readIfThere(this.#path, bounds.besideFileBytes) ?? '{}'),
    ).data;
    if (found === undefined) throw new Error(`${this.#path}: is no list of drained backends`);
    this.#drained = new Map(Object.entries(found));
  }

  find(backend: string): Drained | undefined {
    return this.#drained.get(backend);
  }

  /** On disk when it returns; throws the system's error. `undefined` puts the backend back in service. */
  put(backend: string, drained: Drained | undefined): void {
    const next = new Map(this.#drained);
    if (drained === undefined) next.delete(backend);
    else next.set(backend, drained);
    writeAtomically(this.#path, `${JSON.stringify(Object.fromEntries(next), undefined, 2)}\n`);
    this.#drained = next;
  }
}

/** Problems that operators acknowledged, by key, until a given time or the next start. */
export class Acknowledged {
  readonly #marks = new Map<string, { readonly by: string; readonly until: string }>();

  find(key: string, nowMs: number): { readonly by: string; readonly until: string } | undefined {
    const mark = this.#marks.get(key);
    return mark !== undefined && mark.until > formatTime(nowMs) ? mark : undefined;
  }

  put(key: string, by: string, until: string): void {
    const [oldest] = this.#marks.keys();
    this.#marks.delete(key);
    if (oldest !== undefined && this.#marks.size >= acknowledgedMax) this.#marks.delete(oldest);
    this.#marks.set(key, { by, until });
  }
}

const acknowledgedMax = 100;

interface Parts {
  readonly clock: Pick<Clock, 'wallMs'>;
  readonly log: Pick<Log, 'report'>;
  readonly journal: Pick<OpenJournal, 'appendDurable'>;
  readonly service: Pick<Service, 'kill'> & {
    readonly find: (
      id: string,
    ) =>
      | Pick<RunningExchange, 'clientMs' | 'durationMs' | 'isKilled' | 'command' | 'principal' | 'backend'>
      | undefined;
  };
  readonly pools: Pick<Pools, 'applyDrains'> & { readonly byName: ReadonlyMap<string, unknown> };
  readonly served: {
    readonly now: {
      readonly settings: Pick<Switch['now']['settings'], 'backends' | 'admin'>;
      readonly persons: Pick<Persons, 'sharesHuman' | 'personOf'>;
    };
  };
  readonly drained: Pick<DrainedBackends, 'find' | 'put'>;
  readonly reloader: Pick<Reloader, 'reload'>;
  readonly access: Pick<AccessDesk, 'end'>;
  readonly users: Pick<KnownUsers, 'confirm' | 'moved'>;
  readonly outages: Pick<Outages, 'refused' | 'turned'>;
  readonly acknowledged: Pick<Acknowledged, 'put'>;
  readonly seenPolicies: Pick<SeenPolicies, 'whyNot' | 'take' | 'changedBy'>;
}

type Action = Exclude<OperatorAction, { kind: 'lock' | 'unlock' }>;
/** `whyLocked` is called again right before the effect, since its record was awaited. */
export type OtherAct = (
  action: Action,
  operator: Operator,
  whyLocked?: () => string | undefined,
) => Promise<ActionResult>;

export function createAct(parts: Parts): OtherAct {
  return async (action, operator, whyLocked = () => undefined) => {
    const nothing = whatIsNothing(parts, action, operator);
    if (nothing !== undefined) return nothing;
    // A revocation is in force at once and has a record of its own.
    if (isOperatorAction(action, 'revoke')) return revoke(parts, action.id, operator);
    const { by, peer, args: from = [] } = recordedOperator(operator);
    const time = parts.clock.wallMs();
    const { kind } = action;
    const named = recordedWords(action, time);
    // The record that ends a drain contains its cost.
    const { args: hit = [], ...cost } = isOperatorAction(action, 'enable')
      ? parts.outages.refused(action.backend)
      : {};
    const args = [...from, ...hit];
    const about = {
      deed: Buffer.from(randomBytes(8)).toString('hex'),
      ...named,
      ...killedOf(parts, action),
      ...(args.length > 0 && { args }),
      ...cost,
    };
    const record = { time, event: 'operator', peer, action: kind, by, ...about } as const;
    const failed = (failure: ActionFailure, text: string): ActionResult => {
      parts.log.report({ event: 'admin-failed', level: 'error', text: `${action.kind}: ${text}` });
      return { kind: failure, text };
    };
    try {
      await parts.journal.appendDurable(record);
    } catch (fault) {
      return failed('unrecorded', `not done, because it cannot be recorded: ${messageOf(fault)}`);
    }
    let result: ActionResult;
    try {
      const why = whyLocked();
      if (why !== undefined) throw new Error(why);
      result = await carryOut(parts, action, operator, { by, peer, deed: about.deed }, time);
    } catch (fault) {
      result = failed('undone', `recorded, but not done: ${messageOf(fault)}`);
    }
    const why = { outcome: 'failed', text: result.text.split('\n', 2).join(': ') } as const;
    const how = result.kind === 'done' ? ({ outcome: 'ok' } as const) : why;
    // The journal counts records that it cannot take.
    await parts.journal
      .appendDurable({ ...record, time: parts.clock.wallMs(), ...how })
      .catch(() => undefined);
    if (result.kind === 'undone') return result;
    const words = Object.values<string | undefined>(named).filter((word) => word !== undefined);
    const text = `${[`${by}: ${kind}`, ...words].join(' ')}: ${result.text}`;
    parts.log.report({ event: 'operator', level: 'info', text });
    return result;
  };
}

/** What the action names, in the form of a record. */
function recordedWords({ kind: _kind, ...named }: Action, timeMs: number) {
  return 'hours' in named ? { text: named.text, until: untilOf(named.hours, timeMs) } : named;
}

function untilOf(hours: number, timeMs: number): string {
  return formatTime(timeMs + hours * 3_600_000);
}

/** The killed command and how long it has run, for people who may not see the records of commands. */
function killedOf(
  { service }: Parts,
  action: Action,
): Pick<AuditRecord, 'command' | 'backend' | 'to' | 'duration_ms'> {
  const found = isOperatorAction(action, 'kill') ? service.find(action.id) : undefined;
  if (found === undefined) return {};
  const { command, backend, principal: to, durationMs } = found;
  return { command, backend, to, duration_ms: Math.round(durationMs) };
}

/** The operator in the form of a record. */
export function recordedOperator(operator: Operator): Pick<AuditRecord, 'args'> & {
  readonly by: string;
  readonly peer: RecordedPeer;
} {
  const { by, from = [], human: _human, loginUid, ...facts } = operator;
  const peer = loginUid === undefined ? facts : { ...facts, login_uid: loginUid };
  return { by, peer, ...(from.length > 0 && { args: from }) };
}

async function revoke({ access }: Parts, id: string, operator: Operator): Promise<ActionResult> {
  const { by, peer } = recordedOperator(operator);
  const policy = { name: '', version: '', users: nobody, except: nobody, approve: [] };
  const principal = `operator:${by}`;
  const asker = {
    listener: undefined,
    principal,
    origin: principal,
    policy,
    peer,
    identities: [],
    login: undefined,
    credential: undefined,
  };
  const result = await access.end(asker, id, 'revoked', undefined, true);
  if (result.kind === 'done') return { kind: 'done', text: `${id} is revoked` };
  const isKnown = result.code === 'access-unrecorded';
  return { kind: isKnown ? 'undone' : 'unknown', text: result.reason };
}

const nobody = new GlobList([]);

/** The result of an action that changes nothing. It needs no record: repeating it would fill the journal. */
function whatIsNothing(
  parts: Parts,
  action: Action,
  operator: Operator,
): (ActionResult & { readonly kind: 'unknown' | 'already' | 'refused' }) | undefined {
  const { pools, service, drained } = parts;
  switch (action.kind) {
    case 'kill': {
      const command = service.find(action.id);
      if (command === undefined) return { kind: 'unknown', text: `no command ${action.id} runs` };
      return command.isKilled
        ? { kind: 'already', text: `${action.id} is ended already${unread}` }
        : undefined;
    }
    case 'confirm':
      return whyNoConfirm(parts, action.user, operator);
    case 'drain':
    case 'enable': {
      const { backend } = action;
      if (!pools.byName.has(backend))
        return {
          kind: 'unknown',
          text: `there is no backend ${backend}${meant(backend, [...pools.byName.keys()])}`,
        };
      if (!isOperatorAction(action, 'drain')) return undefined;
      const before = drained.find(backend);
      if (before !== undefined) {
        const text = `${backend} is drained already, ${drainWords(before).replace(/[{}]/g, '')}`;
        return { kind: 'already', text };
      }
      const why = action.reason === undefined ? undefined : whyNotSaid(action.reason);
      return why === undefined ? undefined : { kind: 'refused', text: why };
    }
    case 'acknowledge': {
      const why = parts.seenPolicies.whyNot(action.text, operator.human.identities, parts.served.now);
      return why === undefined ? undefined : { kind: 'refused', text: why };
    }
    case 'revoke':
    case 'reload':
      return undefined;
    default:
      return action satisfies never;
  }
}

/** Why this operator may not confirm. After a confirmation the old uid is another human, who could approve requests of its old owner. */
function whyNoConfirm(
  { users, served }: Parts,
  user: string,
  operator: Operator,
): (ActionResult & { readonly kind: 'unknown' | 'refused' }) | undefined {
  const moved = users.moved.find((each) => each.user === user);
  if (moved === undefined) return { kind: 'unknown', text: `no user ${user} of persons has got another uid` };
  if (operator.uid === undefined)
    return { kind: 'refused', text: 'a token does not say who asks: confirm over the admin socket' };
  const own = [...operator.human.identities, `uid:${operator.uid}`, `name:${operator.user ?? operator.by}`];
  const theirs = [`name:${user}`, ...moved.uids.map((each) => `uid:${each}`)];
  if (!served.now.persons.sharesHuman(own, theirs)) return undefined;
  return {
    kind: 'refused',
    text: `${user} may be you, and nobody confirms a uid of their own: ask another operator`,
  };
}

function meant(name: string, names: readonly string[]): string {
  const nearest = name.length > nameCharsMax ? undefined : nearestName(name, names);
  return nearest === undefined ? `; there are: ${names.join(', ')}` : `; did you mean ${nearest}?`;
}

/** A client that reads takes its bytes within this time. */
const unreadMs = 1_000;
const unread =
  '. Its client does not read: status lists it until the client reads or leaves, or limits.client_stall is over';

async function carryOut(
  parts: Parts,
  action: Exclude<Action, { kind: 'revoke' }>,
  { by, human }: Operator,
  asker: Asker,
  timeMs: number,
): Promise<ActionResult> {
  const { service, pools, served, drained, clock, reloader, users, outages } = parts;
  switch (action.kind) {
    case 'kill': {
      const { clientMs = 0 } = service.find(action.id) ?? {};
      if (!service.kill(action.id)) return { kind: 'unknown', text: `${action.id} has ended meanwhile` };
      return {
        kind: 'done',
        text: `${action.id} is ended; it may have run${clientMs < unreadMs ? '' : unread}`,
      };
    }
    case 'drain':
      drained.put(action.backend, { by, since: formatTime(clock.wallMs()), reason: action.reason });
      outages.turned(action.backend);
      pools.applyDrains();
      return { kind: 'done', text: `${action.backend} is drained; what runs there ends by itself` };
    case 'enable': {
      drained.put(action.backend, undefined);
      outages.turned(action.backend);
      pools.applyDrains();
      const { backends } = served.now.settings;
      const isInService = !backends.some((each) => each.name === action.backend && each.drained);
      const text = isInService
        ? `${action.backend} is in service`
        : `${action.backend} stays drained: the configuration says drained: true`;
      return { kind: 'done', text };
    }
    case 'acknowledge': {
      if (parts.seenPolicies.take(action.text)) return { kind: 'done', text: 'acknowledged' };
      const until = untilOf(action.hours, timeMs);
      parts.acknowledged.put(action.text, by, until);
      return { kind: 'done', text: `acknowledged until ${until}` };
    }
    case 'confirm':
      return { kind: 'done', text: `only uid ${users.confirm(action.user)} is ${action.user} now` };
    case 'reload': {
      const { isSuccess, hash, problems, unfinished = [], restart } = await reloader.reload(asker);
      if (isSuccess) parts.seenPolicies.changedBy(human.identities);
      const first = isSuccess ? `configuration ${hash} is served` : notReplaced;
      const later = restart.map((key) => `${key}: changed, and read only at a start`);
      const text = [first, ...problems, ...unfinished, ...later].join('\n');
      return { kind: isSuccess ? 'done' : 'failed', text };
    }
    default:
      return action satisfies never;
  }
}
