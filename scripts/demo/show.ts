// How the demo prints: commands as one would type them, rows as tables, records in one line each.

import type { RawReply } from '../../test/kit/raw-client.js';

/** Sets apart what follows: an empty line, the text, an empty line. */
export function title(text: string): void {
  console.log(`\n== ${text}\n`);
}

interface ShownStep {
  readonly team: string;
  readonly user: string;
  readonly command: readonly string[];
  readonly columns: number;
  readonly why: string;
}

/** A command and what came back. */
export function showCommand(step: ShownStep, reply: RawReply): void {
  const words = step.command.map((word) => (word.includes(' ') ? `'${word}'` : word)).join(' ');
  console.log(`${step.team}$ doveadm ${words} -u ${step.user}          # ${step.why}`);
  for (let at = 0; at < reply.cells.length; at += step.columns) {
    console.log(`    ${reply.cells.slice(at, at + step.columns).join('\t')}`);
  }
  for (const log of reply.logs) console.log(`    ${log.type}: ${log.text}`);
  console.log(`    -> ${reply.status}`);
}

/** The keys of a record that tell the story; the file has more. */
export function showRecord(record: Readonly<Record<string, unknown>>): void {
  const keys = [
    'seq',
    'event',
    'principal',
    'decision',
    'command',
    'user',
    'args',
    'backend',
    'outcome',
    'status',
    'sent',
    'error',
  ];
  const shown = keys.flatMap((key) => {
    const value = record[key];
    if (value === undefined) return [];
    return [key === 'seq' || key === 'event' ? textOf(value) : `${key}=${textOf(value)}`];
  });
  console.log(shown.join(' '));
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
