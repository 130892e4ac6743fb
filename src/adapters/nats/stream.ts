// The settings of a stream, as `fleet init` makes it.
import { sharedStreamOf } from '../../domain/fleet/block.js';
import { duplicateWindowMs, requiredConfig } from '../../domain/streams/strength.js';

const second = 1_000_000_000;

export interface StreamWish {
  readonly replicas: number;
  readonly maxAgeMs: number;
  readonly maxBytes: number | undefined;
  /** Undefined: those of one stream for all hosts. */
  readonly subjects?: readonly string[];
  readonly maxMessageBytes?: number;
  readonly maxMessages?: number;
}

/** Durations in nanoseconds, as on the server; -1: no limit. */
export function configOf(name: string, settings: StreamWish): Readonly<Record<string, unknown>> {
  const maxAge = settings.maxAgeMs * (second / 1000);
  const { maxBytes, maxMessages, maxMessageBytes, subjects = sharedStreamOf(name, true).subjects } = settings;
  return {
    name,
    subjects,
    ...requiredConfig,
    duplicate_window: duplicateWindowMs(settings.maxAgeMs) * (second / 1000),
    num_replicas: settings.replicas,
    max_age: maxAge,
    max_bytes: maxBytes ?? -1,
    max_msgs: maxMessages ?? -1,
    max_msg_size: maxMessageBytes ?? -1,
    max_consumers: -1,
  };
}

/** The subjects of a stream, from the server's answer. */
export function subjectsIn(config: Readonly<Record<string, unknown>>): readonly string[] {
  const { subjects } = config;
  return Array.isArray(subjects) ? subjects.map(String) : [];
}
