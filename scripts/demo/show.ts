// How the demo prints: a command as its person types it, the answer as they see it, and what the journal says of it. Colors on a
// terminal, plain text elsewhere.

import { styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

const { FORCE_COLOR, NO_COLOR } = process.env;
const hasColors = FORCE_COLOR !== undefined || (process.stdout.isTTY && NO_COLOR === undefined);

function paint(style: Style, text: string): string {
  return hasColors ? styleText(style, text) : text;
}

/** Sets apart what follows. */
export function title(text: string): void {
  console.log(`\n${paint('bold', `== ${text}`)}`);
}

/** `support$ dovegate send ...`, what it printed, and its exit code where that is not 0. */
export function showCommand(who: string, words: readonly string[], text: string, exit: number): void {
  const typed = words.map((word) => (/^[\w@.:/=%+-]+$/.test(word) ? word : `'${word}'`)).join(' ');
  showTyped(who, `dovegate ${typed}`, text, exit);
}

/** The same of another program. */
export function showTyped(who: string, typed: string, text: string, exit: number): void {
  console.log(`${paint('cyan', `${who}$`)} ${paint('bold', typed)}`);
  for (const line of text.trimEnd().split('\n')) console.log(`    ${exit === 0 ? line : paint('red', line)}`);
}

/** A remark of the demo itself. */
export function remark(text: string, style: Style = 'green'): void {
  console.log(`    ${paint(style, `-> ${text}`)}`);
}
