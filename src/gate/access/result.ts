// The result of a step: done, or refused with one of the codes of access on request; and the words of each refusal.

import type { AccessCode } from '../outcome/outcome.js';
import type { AccessItem } from './access-item.js';

export type AccessResult =
  /** `more`: of a list, how many follow after the last of these. */
  | { readonly kind: 'done'; readonly items: readonly AccessItem[]; readonly more?: number }
  | { readonly kind: 'refused'; readonly code: AccessCode; readonly reason: string };

export type Refused = AccessResult & { readonly kind: 'refused' };

export function refused(code: AccessCode, reason: string): Refused {
  return { kind: 'refused', code, reason };
}

export function invalid(reason: string): Refused {
  return refused('access-invalid', reason);
}

export function denied(reason: string): AccessResult {
  return refused('access-denied', reason);
}

export function limited(why: string | undefined): AccessResult | undefined {
  return why === undefined ? undefined : refused('access-limit', why);
}

export function uncounted(why: string): AccessResult {
  return refused('access-changed', `the mails could not be counted: ${why}`);
}

/** A reload during a step refuses it; asked again, the step is checked by the new configuration. */
export function reloaded(): Refused {
  return refused('access-changed', 'the configuration was reloaded meanwhile; ask again');
}

/** `whyBlind`: why the asker sees no requests of others; the id may exist then. */
export function unknownId(whyBlind?: string): AccessResult {
  if (whyBlind !== undefined) return denied(`no request of your own has this id; ${whyBlind}`);
  return refused('access-unknown', 'no request or grant of that id that you may see');
}

export function fullTable(): AccessResult {
  return refused('access-limit', 'too many requests or grants are open here');
}
