// The options by which exchanges are chosen, the same for search and export.

import { type Command, InvalidArgumentError, Option } from 'commander';
import { systemClock } from '../../adapters/host/clock.js';
import type { TrailFilter } from '../../domain/audit/search.js';
import { allEffects } from '../../domain/commands/catalog.js';
import { momentHelp, parseMoment } from '../../domain/config/moment.js';

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
  readonly effect?: string;
  /** Unix milliseconds. */
  readonly since?: number;
  readonly until?: number;
  readonly text?: string;
}

const outcomes = 'ok failed denied unparsable limited unknown aborted timeout open'.split(' ');

/** Adds all of them to a subcommand, and returns it. */
export function addFilterOptions(command: Command): Command {
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
    .addOption(
      new Option('--effect <word>', 'what commands of the kind can do, at most').choices([...allEffects]),
    )
    .option('--since <when>', `asked at or after: ${momentHelp}`, (text) => readMoment(text, 'start'))
    .option('--until <when>', 'asked before that; a day counts to its end', (text) => readMoment(text, 'end'))
    .option('--text <text>', 'stands anywhere in one of the two records');
}

/** What a search takes. */
export function filterOf(options: FilterOptions): TrailFilter {
  const { since, until, principal, ...same } = options;
  return {
    ...same,
    // A name alone is that name at any listener.
    principal: principal === undefined || /[@*]/.test(principal) ? principal : `${principal}@*`,
    sinceMs: since,
    untilMs: until,
  };
}

/** Of a command line, at the time by the wall clock. Throws commander's InvalidArgumentError. */
export function readMoment(text: string, edge: 'start' | 'end'): number {
  const atMs = parseMoment(text, edge, systemClock.wallMs());
  if (atMs === undefined) throw new InvalidArgumentError(`It must be one of: ${momentHelp}.`);
  return atMs;
}
