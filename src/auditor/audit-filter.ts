// The options by which exchanges are chosen, the same for search and export.

import { type Command, InvalidArgumentError, Option } from 'commander';
import type { TrailFilter } from '../audit/search.js';
import { parseDuration, parseTime } from '../source/schema-parts.js';

/** As commander gives them. */
export interface FilterOptions {
  readonly user?: string;
  readonly command?: string;
  readonly principal?: string;
  readonly listener?: string;
  readonly session?: string;
  readonly decision?: string;
  readonly outcome?: string;
  readonly backend?: string;
  /** A moment, or milliseconds before now. */
  readonly since?: Moment;
  readonly until?: Moment;
  readonly text?: string;
}

/** Unix milliseconds, or how many before now. */
export type Moment = { readonly atMs: number } | { readonly agoMs: number };

const outcomes = 'ok failed denied unparsable limited unknown aborted timeout open'.split(' ');

/** Adds all of them to a subcommand, and returns it. */
export function addFilterOptions(command: Command): Command {
  const moment = 'a time of RFC 3339, a day in UTC, or a duration before now (2d, 90m)';
  return command
    .option(
      '--user <name>',
      'a mailbox user whom it touches, by name, mask or with all users; * stands for any characters',
    )
    .option('--command <name>', 'name of the command, or its first words: mailbox finds mailbox list')
    .option('--principal <name>', 'who asked: bob, bob@LISTENER; * stands for any characters')
    .option('--listener <name>', 'where it was asked')
    .option('--session <id>', 'all exchanges of one session')
    .addOption(new Option('--decision <word>', 'what the policy said').choices(['allow', 'deny']))
    .addOption(new Option('--outcome <word>', 'how it ended; open: it has no completion').choices(outcomes))
    .option('--backend <name>', 'where it went')
    .option('--since <when>', `asked at or after ${moment}`, (text) => parseMoment(text, 'start'))
    .option('--until <when>', 'asked before that; a day counts to its end', (text) =>
      parseMoment(text, 'end'),
    )
    .option('--text <text>', 'stands anywhere in one of the two records');
}

/** What a search takes; `nowMs` is the wall clock, in Unix milliseconds. */
export function filterOf(options: FilterOptions, nowMs: number): TrailFilter {
  const { since, until, principal, ...same } = options;
  return {
    ...same,
    // A name alone is that name at any listener.
    principal: principal === undefined || /[@*]/.test(principal) ? principal : `${principal}@*`,
    sinceMs: since && msOf(since, nowMs),
    untilMs: until && msOf(until, nowMs),
  };
}

const dayMs = 86_400_000;

/** Throws commander's InvalidArgumentError. */
export function parseMoment(text: string, edgeOfDay: 'start' | 'end'): Moment {
  const agoMs = parseDuration(text);
  if (agoMs !== undefined) return { agoMs };
  const atMs = parseTime(text);
  if (atMs === undefined)
    throw new InvalidArgumentError(
      'Not a duration (2d), a day (2026-11-20) or a time of RFC 3339 with its zone.',
    );
  // A day alone is read as its end.
  const isDay = !/[Tt ]/.test(text);
  return { atMs: isDay && edgeOfDay === 'start' ? atMs - dayMs : atMs };
}

function msOf(moment: Moment, nowMs: number): number {
  return 'atMs' in moment ? moment.atMs : nowMs - moment.agoMs;
}
