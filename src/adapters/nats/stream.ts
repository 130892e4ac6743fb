// The stream's settings: as `fleet init` makes it, and what of an existing one is not so.
import { isSharedByHosts, sharedStreamOf } from '../../domain/fleet/block.js';

const second = 1_000_000_000;

/** A stream as it is to be made. */
export interface StreamWish {
  readonly replicas: number;
  readonly maxAgeMs: number;
  readonly maxBytes: number | undefined;
  /** Undefined: those of one stream for all hosts. */
  readonly subjects?: readonly string[];
  readonly maxMessageBytes?: number;
  readonly maxMessages?: number;
}

/** Durations in nanoseconds, as the server has them; -1: no limit. */
export function configOf(name: string, settings: StreamWish): Readonly<Record<string, unknown>> {
  const maxAge = settings.maxAgeMs * (second / 1000);
  const { maxBytes, maxMessages, maxMessageBytes, subjects = sharedStreamOf(name, true).subjects } = settings;
  return {
    name,
    subjects,
    storage: 'file',
    retention: 'limits',
    // Not the oldest: what is full must be told, and nothing of the trail may go by itself before its age.
    discard: 'new',
    deny_delete: true,
    deny_purge: true,
    allow_direct: true,
    duplicate_window: maxAge > 0 ? Math.min(120 * second, maxAge) : 120 * second,
    num_replicas: settings.replicas,
    max_age: maxAge,
    max_bytes: maxBytes ?? -1,
    max_msgs: maxMessages ?? -1,
    max_msgs_per_subject: -1,
    max_msg_size: maxMessageBytes ?? -1,
    max_consumers: -1,
  };
}

/** What a stream takes, as the server says it. */
export function subjectsIn(config: Readonly<Record<string, unknown>>): readonly string[] {
  const { subjects } = config;
  return Array.isArray(subjects) ? subjects.map(String) : [];
}

/**
 * Sentences about what is not as it must be. `wanted`: the subjects that it must take, and no other; undefined: it is the stream of the
 * checkpoints.
 */
export function warningsOf(
  stream: string,
  config: Readonly<Record<string, unknown>>,
  wanted?: readonly string[],
): readonly string[] {
  const warnings: string[] = [];
  const say = (text: string): void => {
    warnings.push(`stream ${stream}: ${text}`);
  };
  const subjects = subjectsIn(config);
  for (const subject of wanted ?? sharedStreamOf(stream, isSharedByHosts(subjects)).subjects) {
    if (!subjects.some((one) => covers(one, subject))) say(`it does not take "${subject}"`);
  }
  for (const subject of wanted === undefined ? [] : subjects) {
    if (!wanted?.includes(subject)) say(`it takes "${subject}" too`);
  }
  if (config['storage'] !== 'file') say('it is kept in memory: a restart of the server loses it');
  if (config['retention'] !== 'limits') say('its retention is not "limits": what is read may go');
  if (config['discard'] !== 'new') say('it discards the oldest messages when it is full');
  if (config['deny_delete'] !== true) say('messages can be deleted (deny_delete is off)');
  if (config['deny_purge'] !== true) say('it can be purged (deny_purge is off)');
  if (config['allow_rollup_hdrs'] === true)
    say('a message can replace all before it (allow_rollup_hdrs is on)');
  if (config['allow_direct'] !== true) say('gates cannot ask for their last message (allow_direct is off)');
  if (config['no_ack'] === true) say('it acknowledges nothing (no_ack is on)');
  if (Number(config['max_msgs_per_subject'] ?? -1) > 0)
    say('it keeps a limited number of messages of a gate');
  return warnings;
}

function covers(pattern: string, subject: string): boolean {
  const words = subject.split('.');
  const parts = pattern.split('.');
  return (
    parts.every((part, at) => {
      const word = words[at];
      if (part === '>') return word !== undefined;
      return word === part || (part === '*' && word !== undefined && word !== '>');
    }) &&
    (parts.at(-1) === '>' || parts.length === words.length)
  );
}
