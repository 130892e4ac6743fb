// The JSON Schema of a record, as a line of the journal has it: config/record.schema.json, for programs that read journals, `audit show
// --json`, what `ship` sends, and streams. It is made of the one table of keys (`audit/keys.ts`) and of the lists of closed words.

import { decisionCodes } from '../../doveadm/codes/decisions.js';
import { policyOutcomeWords } from '../../doveadm/codes/outcomes.js';
import { allEffects } from '../../doveadm/commands/catalog.js';
import {
  type Form,
  itemKeys,
  namesOf,
  type RecordKey,
  recordKeys,
  rowOf,
} from '../../journal/records/keys.js';
import { journalFormat } from '../../journal/records/ledger.js';
import { type AuditRecord, isOwnRecord, type JournalRecord } from '../../journal/records/record.js';

/** Comes after the journal format in the id: rises whenever a key or a word is added. */
const revision = 0;
const schemaId = `urn:dovegate:record:${journalFormat}.${revision}`;

type Event = JournalRecord['event'];
type Schema = Readonly<Record<string, unknown>>;

const ref = (name: string): Schema => ({ $ref: `#/$defs/${name}` });
const text = ref('text');
const words = (...list: readonly string[]): Schema => ({ enum: list });
const listOf = (...items: readonly Schema[]): Schema => ({ type: 'array', items: { anyOf: items } });

function object(properties: Readonly<Record<string, Schema>>, required: readonly string[] = []): Schema {
  return { type: 'object', properties, required, additionalProperties: false };
}

const digest = { type: 'string', pattern: '^[0-9a-f]{64}$' };
const count = { type: 'integer', minimum: 0 };
const cutSize = { bytes: count, sha256: digest };

const forms: Readonly<Record<Form, Schema>> = {
  text,
  count,
  ms: { type: 'number', minimum: 0 },
  step: { type: 'number' },
  flag: { type: 'boolean' },
  true: { const: true },
  time: ref('time'),
  digest: ref('digest'),
  texts: listOf(text, ref('more')),
  args: listOf(text, ref('hidden'), ref('more'), ref('piece')),
  parts: listOf(text, ref('part'), ref('more')),
  lost: { anyOf: [count, { const: 'unknown' }] },
};

/** Closed lists, the same in every event, of words that other parts define. */
const lists: Readonly<Partial<Record<RecordKey, readonly string[]>>> = {
  effect: allEffects,
  denial: Object.keys(decisionCodes),
  would: policyOutcomeWords,
  shadow: policyOutcomeWords,
};

const definitions: Readonly<Record<string, Schema>> = {
  time: {
    type: 'string',
    pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$',
    description: 'RFC 3339 in UTC, with milliseconds',
  },
  digest: { ...digest, description: 'SHA-256, lower-case hex' },
  text: {
    description:
      'a text; one that is too long for the record is its first and last bytes, its length, and its hash',
    anyOf: [
      { type: 'string' },
      object({ cut: { type: 'string' }, end: { type: 'string' }, ...cutSize }, ['cut', 'bytes', 'sha256']),
    ],
  },
  more: {
    description:
      'stands for so many values of a list that is too long: length and hash of these, joined by NUL',
    ...object({ more: count, ...cutSize }, ['more', 'bytes', 'sha256']),
  },
  hidden: {
    description:
      'a value that can be compared, but not read: HMAC-SHA256, hex; in `arguments`, `same` for the one before',
    ...object({ hmac: { type: 'string' } }, ['hmac']),
  },
  piece: {
    description: 'of a value that goes on in the next record of `arguments`, and its last piece',
    anyOf: [object({ part: { type: 'string' } }, ['part']), object({ rest: { type: 'string' } }, ['rest'])],
  },
  part: {
    description: 'what became of the command at one backend',
    ...object(
      Object.fromEntries(
        recordKeys.filter((key) => itemKeys.includes(key)).map((key) => [key, schemaOf(key)]),
      ),
      ['backend', 'outcome', 'sent'],
    ),
  },
};

/** What each event means, its keys that are never absent, and its words of `action`. A new event does not compile without a row. */
const events: Readonly<
  Record<
    Event,
    {
      readonly means: string;
      readonly has?: readonly (RecordKey & keyof AuditRecord)[];
      readonly actions?: readonly string[];
    }
  >
> = {
  start: { means: 'the daemon has started' },
  stop: { means: 'the daemon stops in order' },
  reload: { means: 'the configuration was read again' },
  retire: { means: 'a segment was removed' },
  checkpoint: { means: 'the state of the chain, signed' },
  clock: { means: 'a step of the wall clock' },
  operator: { means: 'what an operator, or a person on the page, did', has: ['action'] },
  'session-open': { means: 'a session that ended without a command' },
  'session-close': { means: 'the end of a session' },
  admission: { means: 'a command, before it is sent', has: ['id', 'decision'] },
  arguments: { means: 'arguments of the admission before it, as many as fit', has: ['id'] },
  completion: { means: 'how a command ended', has: ['id', 'outcome'] },
  log: { means: "a line of a backend's log, sent along with a command", has: ['text'] },
  limit: { means: 'refusals that were counted only' },
  backend: {
    means: 'a backend goes down or up',
    has: ['action', 'backend'],
    actions: ['down', 'stuck', 'up', 'cost', 'stop'],
  },
  journal: {
    means: 'the journal can take no more, or nothing; `up`: it can again',
    has: ['action', 'error'],
    actions: ['down', 'up', 'cost', 'stop'],
  },
  access: {
    means: 'a step of access on request',
    has: ['action'],
    actions: 'requested approved granted refused revoked expired used-up reviewed ended'.split(' '),
  },
  lock: {
    means: 'a lock, or its end',
    has: ['action'],
    actions: ['locked', 'held', 'unlock-asked', 'words', 'unlocked', 'expired'],
  },
};

export function recordSchema(): Schema {
  const own = keysFor('own');
  const others = keysFor('others');
  const properties = Object.fromEntries(recordKeys.map((key) => [key, schemaOf(key)]));
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: schemaId,
    title: 'dovegate record',
    description: `A line of the journal, format ${journalFormat}. A later version may add keys and words: then the last number of $id rises.`,
    type: 'object',
    properties: {
      seq: { type: 'integer', minimum: 1, description: 'the number of the record, without gaps' },
      time: ref('time'),
      event: words(...Object.keys(events)),
      ...properties,
      prev: { ...ref('digest'), description: 'the hash of the record before' },
      hash: { ...ref('digest'), description: 'of the line without `,"hash":"..."`' },
    },
    required: ['seq', 'time', 'event', 'prev', 'hash'],
    additionalProperties: false,
    // Exactly one: `event` is a constant in each.
    oneOf: namesOf<Event>(events).map((event) => {
      const { means, has = [], actions } = events[event];
      const isOwn = isOwnRecord({ event, time: 0 });
      return {
        description: means,
        properties: { event: { const: event }, ...(actions && { action: words(...actions) }) },
        required: ['event', ...has],
        propertyNames: ref(isOwn ? 'ownKeys' : 'otherKeys'),
      };
    }),
    $defs: { ...definitions, ownKeys: words(...own), otherKeys: words(...others) },
  };
}

/** The text of config/record.schema.json. */
export function formatRecordSchema(): string {
  return `${JSON.stringify(recordSchema(), null, 2)}\n`;
}

function keysFor(of: 'own' | 'others'): readonly string[] {
  const not = of === 'own' ? 'others' : 'own';
  return ['seq', 'time', 'event', ...recordKeys.filter((key) => rowOf(key).of !== not), 'prev', 'hash'];
}

function schemaOf(key: RecordKey): Schema {
  const { form = 'text', members, words: list = lists[key] } = rowOf(key);
  if (members !== undefined)
    return object(Object.fromEntries(Object.entries(members).map(([name, of]) => [name, forms[of]])));
  return list === undefined ? forms[form] : words(...list);
}
