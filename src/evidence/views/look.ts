// Requests to the journal over the socket of the page, by role. Pure. Requests read and never change anything.

import type { PageRole } from '../../rules/identity/roles.js';

/** The requests; the paths are `/trail/` and the word. */
export const looks = [
  'me',
  'verify',
  'search',
  'histogram',
  'export',
  'extract',
  'report',
  'survey',
  'requests',
  'show',
] as const;
export type Look = (typeof looks)[number];

/** The roles for each request. Nothing here drains, kills or reloads: that needs the admin socket. */
export const mayLook: Readonly<Record<Look, readonly PageRole[]>> = {
  // The caller's identity in the daemon.
  me: ['view', 'operate', 'audit'],
  // Whether the newest part of the journal is whole: counts and times, no names.
  verify: ['view', 'operate', 'audit'],
  search: ['audit'],
  // How many commands a search finds, by time.
  histogram: ['audit'],
  export: ['audit'],
  // As an export, signed.
  extract: ['audit'],
  // The rows of a report, which the caller writes.
  report: ['audit'],
  // An overview of the journal for a search that found nothing.
  survey: ['audit'],
  // Requests for access and grants, with what became of them.
  requests: ['audit'],
  show: ['audit'],
};

/** Bytes of a request's body: a filter, and a cursor with as many open admissions as a daemon has at once. */
export const askedBytesMax = 64 * 1024;
/** Further open admissions are not carried from one request to the next. */
export const openMax = 4000;

export function lookPath(look: Look): string {
  return `/trail/${look}`;
}

export function lookAt(path: string): Look | undefined {
  return looks.find((look) => lookPath(look) === path);
}

export function isWanted(text: string): boolean {
  return /^[0-9A-Za-z-]{1,64}$/.test(text);
}
