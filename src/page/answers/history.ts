// The traffic of the last minutes and hours, for the charts of the page: rates, errors and times by team; and the incidents of the last
// day. No mail users and no commands.

import type { Incident } from '../../evidence/story/incidents.js';

export const spans = ['10m', '1h', '24h'] as const;
export type Span = (typeof spans)[number];
export const spanSteps: Readonly<Record<Span, { readonly count: number; readonly seconds: number }>> = {
  '10m': { count: 60, seconds: 10 },
  '1h': { count: 360, seconds: 10 },
  '24h': { count: 1440, seconds: 60 },
};

/**
 * Each list has one value for each step, the oldest first: those of the span, or those since `since`. The last one ends at `until`. Null:
 * there is no sample for this step.
 */
export interface Series {
  /** The listener of a team; "other" where the smallest were merged. */
  readonly name: string;
  /** Commands that ended, a second. */
  readonly rate: readonly (number | null)[];
  /** Commands a second. */
  readonly denied: readonly (number | null)[];
  readonly failed: readonly (number | null)[];
  /** Milliseconds; null also where nothing ended. */
  readonly p50: readonly (number | null)[];
  readonly p99: readonly (number | null)[];
  readonly all: Whole;
}

/** The values of all steps with a sample together. The p99 is that of all commands, so one slow command among thousands does not set it. */
export interface Whole {
  readonly rate: number;
  readonly denied: number;
  readonly failed: number;
  /** Null: nothing ended. */
  readonly p50: number | null;
  readonly p99: number | null;
}

export interface History {
  /** RFC 3339: the first sample of this process of the page. Nothing is known from before. */
  readonly since: string;
  /** RFC 3339: the end of the last step. */
  readonly until: string;
  /** Seconds. */
  readonly step: number;
  /** Most commands first. */
  readonly series: readonly Series[];
  /** Why there is nothing, or nothing new, as a sentence; absent: samples come. */
  readonly trouble?: string;
}

/** Outages, drains and restarts of the last 24 hours, from the journal. */
export interface Incidents {
  /** RFC 3339: nothing is known from before. Absent: nothing was read yet. */
  readonly since?: string;
  readonly until: string;
  /** At most 100: those that have not ended, then the others, newest first. */
  readonly rows: readonly Incident[];
  /** Why there is nothing, or nothing new, as a sentence; absent: all of the time was read. */
  readonly trouble?: string;
}
