// A row of a trail as an event of the Elastic Common Schema. Keys of the row without a field there are below `dovegate`, under their names:
// as numbers, flags, texts, and lists of texts, so that each has one type in an index.

import { formatJson } from '../audit/encode.js';
import { asList, asNumber, asObject, type StoredRecord, textIn, valueText } from '../audit/stored.js';
import type { OutcomeClass } from '../story/row.js';
import type { ExchangeRow } from '../trail/search.js';
import { type Activity, createFacts, type Facts, restOf } from './facts.js';

/** The version of the fields that events are made for. */
export const ecsVersion = '9.4.0';

const types: Readonly<Record<Activity, string>> = {
  create: 'creation',
  read: 'access',
  update: 'change',
  delete: 'deletion',
  other: 'info',
};
const outcomes: Readonly<Record<OutcomeClass, string>> = {
  ok: 'success',
  failed: 'failure',
  denied: 'failure',
  unknown: 'unknown',
};

/** Of other events than commands: their category, with the type where it is not `info`. */
const categories: Readonly<Record<string, readonly [category: string, type: string]>> = {
  'session-open': ['session', 'start'],
  'session-close': ['session', 'end'],
  access: ['iam', 'admin'],
  lock: ['iam', 'admin'],
  reload: ['configuration', 'change'],
  start: ['process', 'start'],
  stop: ['process', 'end'],
  backend: ['host', 'info'],
};

const placed: ReadonlySet<string> = new Set(
  'time seq event id decision policy version rule duration_ms user users backend error'.split(' '),
);

/** One event, one line, for each row, in their order. */
export function createEcs(): (row: ExchangeRow) => string {
  const factsOf = createFacts();
  return (row) => formatJson(eventOf(factsOf(row)));
}

function eventOf(facts: Facts): object {
  const { fields, peer, actor, activity, decision } = facts;
  const [category = 'api', type = types[activity]] = categories[facts.event] ?? [];
  const duration = asNumber(fields['duration_ms']);
  const address = textIn(peer, 'address');
  const host = textIn(fields, 'host');
  const pid = asNumber(peer['pid']);
  const rule = {
    ...named('name', fields['rule']),
    ...named('ruleset', fields['policy']),
    ...named('version', fields['version']),
  };
  return {
    '@timestamp': facts.time,
    message: facts.message,
    ecs: { version: ecsVersion },
    event: {
      kind: 'event',
      category: [category],
      type: [
        type,
        ...(facts.isCommand && decision !== undefined ? [decision === 'deny' ? 'denied' : 'allowed'] : []),
      ],
      module: 'dovegate',
      dataset: 'dovegate.audit',
      action: facts.operation,
      outcome: outcomes[facts.outcomeClass],
      ...named('id', fields['id']),
      ...named('reason', facts.why),
      ...(duration !== undefined && { duration: Math.round(duration * 1e6) }),
      ...(facts.seq !== undefined && { sequence: facts.seq }),
    },
    log: { level: facts.severity },
    observer: { vendor: 'dovegate', product: 'dovegate', type: 'proxy' },
    ...(host !== '' && { host: { name: host } }),
    ...(actor !== undefined && {
      user: {
        name: actor.name,
        id: actor.uid,
        ...(actor.of !== undefined && { domain: actor.of }),
        ...(facts.users[0] !== undefined && { target: { name: facts.users[0] } }),
      },
    }),
    ...(address !== '' && { source: { address, ip: address } }),
    ...(facts.backend !== '' && { destination: { address: facts.backend } }),
    ...(pid !== undefined && { process: { pid, ...named('executable', peer['exe']) } }),
    related: {
      user: [...new Set([...(actor === undefined ? [] : [actor.name]), ...facts.users])],
      ...(address !== '' && { ip: [address] }),
    },
    ...(Object.keys(rule).length > 0 && { rule }),
    ...(fields['error'] !== undefined && { error: named('code', fields['error']) }),
    dovegate: {
      ...plain(restOf(facts, placed)),
      ...(facts.users.length > 0 && { users: facts.users }),
    },
  };
}

function named(key: string, value: unknown): object {
  const text = valueText(value);
  return text === '' ? {} : { [key]: text };
}

function plain(fields: StoredRecord): object {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, plainOf(key, value)]));
}

function plainOf(key: string, value: unknown): unknown {
  if (key === 'lost') return valueText(value);
  const list = asList(value);
  if (list !== undefined) return list.map(valueText);
  const members = asObject(value);
  if (members === undefined) return value;
  return isMap(key) ? plain(members) : valueText(value);
}

/** Keys with members of their own; any other object is a text that was cut. */
function isMap(key: string): boolean {
  return /^(?:peer|input|bound|logs|torn|appended)$/.test(key);
}
