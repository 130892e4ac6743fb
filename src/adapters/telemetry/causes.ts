// Who can cause the lines of a code of the log: a part of its row in `codes`. Lines of strangers, clients, backends and receivers are
// limited (line-limit.ts).

/**
 * The outsiders who can cause lines of a code without end: these lines are limited. Otherwise, why no outsider can, or which other limit
 * applies.
 */
export type Cause = 'stranger' | 'client' | 'backend' | 'receiver' | { readonly ours: string };

export const atStart = { ours: 'once at a start' };
export const atEnd = { ours: 'once, at the end' };
export const byReload = { ours: 'a reload, which an operator asks for' };
export const byFiles = { ours: 'files that an operator replaces' };
export const byClock = { ours: 'by the clock: once a day' };
