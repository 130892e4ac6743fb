// What a row of a trail says, in the terms that formats of other programs share: who, from where, what, with which effect, and how it
// ended. OCSF and ECS have their own words for these, and nothing else. Rows of commands have no peer but in the first of a session, so
// peers are kept, up to a bound.

import { bounds } from '../../../bounds/bounds.js';
import { allEffects, type Effect } from '../../language/commands/catalog.js';
import { asTimeMs } from '../audit/record.js';
import { asNumber, asObject, asTexts, type StoredRecord, textIn, valueText } from '../audit/stored.js';
import {
  backendOf,
  classOfRow,
  deedOf,
  isExchange,
  kindOf,
  type OutcomeClass,
  outcomeOf,
} from '../story/row.js';
import { whyWords } from '../story/words.js';
import type { ExchangeRow } from '../trail/search.js';
import { type Severity, severityOf } from './severity.js';

/** What is done to things, in the words of APIs. `other`: no thing is made, read, changed or removed. */
export type Activity = 'create' | 'read' | 'update' | 'delete' | 'other';

/** By effect; `session` ends sessions of mail users and leaves their mail as it is. */
const activities: Readonly<Record<Effect, Activity>> = {
  read: 'read',
  session: 'other',
  write: 'update',
  admin: 'update',
  destroy: 'delete',
};

/** Last words of commands that write: each makes something that was not there. */
const creating: ReadonlySet<string> = new Set(['create', 'save', 'copy', 'import', 'put']);

export interface Facts {
  readonly fields: StoredRecord;
  readonly event: string;
  readonly seq: number | undefined;
  readonly time: string;
  readonly timeMs: number;
  /** `mailbox delete`, or what was done beside commands: `operator drain`, `access granted`, `start`. */
  readonly operation: string;
  readonly isCommand: boolean;
  readonly activity: Activity;
  /** Undefined: dovegate itself. */
  readonly actor:
    | { readonly name: string; readonly of: string | undefined; readonly uid: string }
    | undefined;
  readonly peer: StoredRecord;
  readonly users: readonly string[];
  readonly backend: string;
  readonly outcome: string;
  readonly outcomeClass: OutcomeClass;
  /** Of a command: `deny` also where a lock, a hold or a limit refused what the rules allow. Undefined: nothing was decided. */
  readonly decision: 'allow' | 'deny' | undefined;
  readonly why: string;
  readonly message: string;
  readonly severity: Severity;
}

/** Rows in the order of the journal, or of completions. */
export function createFacts(): (row: ExchangeRow) => Facts {
  const peers = new Map<string, StoredRecord>();
  return (row) => {
    const { fields } = row;
    const session = textIn(fields, 'session');
    const own = asObject(fields['peer']);
    if (own !== undefined && session !== '') {
      const [oldest] = peers.size >= bounds.exportPeers ? peers.keys() : [];
      if (oldest !== undefined) peers.delete(oldest);
      peers.set(session, own);
    }
    return factsOf(row, own ?? peers.get(session) ?? {});
  };
}

function factsOf(row: ExchangeRow, peer: StoredRecord): Facts {
  const { fields } = row;
  const isCommand = isExchange(fields);
  const event = isCommand ? 'command' : textIn(fields, 'event');
  const action = textIn(fields, 'action');
  const command = valueText(fields['command']);
  const operation = isCommand ? command || '-' : `${event}${action && ` ${action}`}`;
  const outcome = outcomeOf(row) || textIn(fields, 'outcome');
  const name = valueText(fields['principal']) || valueText(fields['by']);
  const users = [...new Set([...asTexts([fields['user']]), ...asTexts(fields['users'])])];
  const outcomeClass = classOfRow(row);
  const why = whyWords(row);
  const whose = users.length === 0 ? '' : ` of ${users.slice(0, usersShown).join(', ')}`;
  const what = isCommand ? `${operation}${whose}` : kindOf(fields) === undefined ? operation : deedOf(fields);
  return {
    fields,
    event,
    seq: row.admittedSeq,
    time: textIn(fields, 'time'),
    timeMs: asTimeMs(fields['time']) ?? 0,
    operation,
    isCommand,
    activity: activityOf(fields, command),
    actor: name === '' ? undefined : actorOf(name, peer),
    peer,
    users,
    backend: backendOf(row),
    outcome,
    outcomeClass,
    decision: decisionOf(fields, outcomeClass),
    why,
    message: `${name || 'dovegate'}: ${what}${outcome && `: ${outcome}`}`,
    severity: severityOf(fields),
  };
}

const usersShown = 3;

function decisionOf({ decision, event }: StoredRecord, outcomeClass: OutcomeClass): Facts['decision'] {
  if (decision === 'deny' || (outcomeClass === 'denied' && isExchange({ event }))) return 'deny';
  return decision === 'allow' ? 'allow' : undefined;
}

function activityOf(fields: StoredRecord, command: string): Activity {
  if (kindOf(fields) === 'look') return 'read';
  const effect = allEffects.find((each) => each === fields['effect']);
  if (effect === undefined || !isExchange(fields)) return 'other';
  const last = command.slice(command.lastIndexOf(' ') + 1);
  return effect === 'write' && creating.has(last) ? 'create' : activities[effect];
}

/** `bob@support`, `page:carol`, `root`. The kernel's id of the user, where there is one, is the surest. */
function actorOf(principal: string, peer: StoredRecord): Facts['actor'] {
  const [, person] = /^page:(.+)$/.exec(principal) ?? [];
  const at = principal.lastIndexOf('@');
  const uid = asNumber(peer['uid']);
  return {
    name: person ?? (at > 0 ? principal.slice(0, at) : principal),
    of: person === undefined ? (at > 0 ? principal.slice(at + 1) : undefined) : 'page',
    uid: uid === undefined ? principal : String(uid),
  };
}

/** Without the keys that have a place of their own. What the rules decided stays where something else then refused the command. */
export function restOf({ fields, decision }: Facts, placed: ReadonlySet<string>): StoredRecord {
  const isPlaced = (key: string, value: unknown): boolean =>
    placed.has(key) && (key !== 'decision' || value === decision);
  return Object.fromEntries(
    Object.entries(fields).filter(([key, value]) => value !== undefined && !isPlaced(key, value)),
  );
}
