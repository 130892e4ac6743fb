// The sentences about receivers of notices that take none, or are told nothing; commands do not suffer from it.

import { timeOf } from './amounts.js';

export interface NoticesAway {
  readonly name: string;
  readonly sinceMs: number;
  readonly why: readonly [means: string, ask?: string];
  readonly status: number | undefined;
}

export function sayNotices({ name, sinceMs, why: [means, ask], status }: NoticesAway) {
  const shown = status === undefined ? '' : ` (${status})`;
  return {
    text: `The receiver of notices ${name} takes none since ${timeOf(sinceMs)}: ${means}${shown}.`,
    ...(ask !== undefined && { try: ask }),
    sinceMs,
  };
}

export function sayUntold(names: readonly string[]) {
  return {
    text: `Receivers of notices are told nothing (${names.join(', ')}): the page's process does not run, or does not answer. Once it runs, it sends what they missed.`,
    try: 'systemctl enable --now dovegate-page.service, and read its log',
  };
}
