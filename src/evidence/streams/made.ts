// A stream as `fleet init` makes it.

/** The settings of a stream as its server gives them: durations in nanoseconds. */
export type StreamConfig = Readonly<Record<string, unknown>>;

/** Properties of every stream that `fleet init` makes; -1: no limit. */
export const requiredConfig = {
  storage: 'file',
  retention: 'limits',
  // Not `old`: no record may go before its age to make room for a newer one.
  discard: 'new',
  deny_delete: true,
  deny_purge: true,
  allow_direct: true,
  // With `discard new`, too, this removes messages; other limits only refuse new ones.
  max_msgs_per_subject: -1,
} as const;

/** On the disk of a server that can, from 2.10 on. Others do not read the property, and do not answer it. */
export const madeCompression = 's2';

/** In a millisecond. */
export const nanoseconds = 1_000_000;
const duplicatesMs = 120_000;

/** The shortest memory for copies of a message that `init` makes: no longer than messages are kept. */
export function duplicateWindowMs(keepMs: number): number {
  return keepMs > 0 ? Math.min(duplicatesMs, keepMs) : duplicatesMs;
}

export interface StreamWish {
  readonly replicas: number;
  readonly maxAgeMs: number;
  readonly maxBytes: number | undefined;
  readonly subjects: readonly string[];
  readonly maxMessageBytes?: number;
  readonly maxMessages?: number;
}

/** Durations in nanoseconds, as on the server; -1: no limit. */
export function configOf(name: string, settings: StreamWish): StreamConfig {
  const maxAge = settings.maxAgeMs * nanoseconds;
  const { maxBytes, maxMessages, maxMessageBytes, subjects } = settings;
  return {
    name,
    subjects,
    ...requiredConfig,
    compression: madeCompression,
    duplicate_window: duplicateWindowMs(settings.maxAgeMs) * nanoseconds,
    num_replicas: settings.replicas,
    max_age: maxAge,
    max_bytes: maxBytes ?? -1,
    max_msgs: maxMessages ?? -1,
    max_msg_size: maxMessageBytes ?? -1,
    max_consumers: -1,
  };
}
