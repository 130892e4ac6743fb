// What a client states about its command: keys of the admission that it fills itself. No backend gets them.

import { bounds } from '../../host/bounds/bounds.js';
import type { AuditRecord } from '../../journal/records/record.js';

/** By key of the option `TAB TAB OPTION TAB dovegate-KEY=TEXT` before the command: the text to record; undefined for a bad one. */
const forms = {
  reason: cutReason,
  /** The client's name for the command, so that it can find the record without an answer. */
  tag: (text) => (/^[\w.:-]{1,64}$/.test(text) ? text : undefined),
} as const satisfies Partial<Record<keyof AuditRecord, (text: string) => string | undefined>>;

/** All keys are required, so that code that makes one sets each of them. */
export type Stated = Required<Pick<AuditRecord, keyof typeof forms>>;

export const nothingStated: Stated = { reason: undefined, tag: undefined };

/** Returns `stated` with what one more option states; the same object if the option states nothing. */
export function withOption(stated: Stated, option: string): Stated {
  let key: keyof typeof forms;
  for (key in forms) {
    const opening = `dovegate-${key}=`;
    const text = option.startsWith(opening) ? forms[key](option.slice(opening.length)) : undefined;
    if (text !== undefined) return { ...stated, [key]: text };
  }
  return stated;
}

/** A reason as it is recorded: cut to its limit at a character. */
export function cutReason(stated: string): string {
  if (Buffer.byteLength(stated) <= bounds.reasonBytes) return stated;
  const bytes = Buffer.from(stated.slice(0, bounds.reasonBytes + 1));
  let end = bounds.reasonBytes;
  // Not in the middle of a UTF-8 character.
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString('utf8', 0, end);
}
