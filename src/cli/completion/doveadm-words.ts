// What may come next on a command line of the drop-in doveadm. It does not know shells.

import type { Rights } from '../../domain/policy/rights.js';
import { commandLetters } from '../doveadm/own-options.js';
import { allFormats } from '../output/row-printer.js';
import { type Candidates, wordsFrom } from './candidates.js';
import { completeCommandWords } from './command-words.js';
import type { AskRights } from './program-words.js';

/** `words`: those behind the program's name, the last one begun or empty. `socket`: what the environment names. */
export function completeDoveadm(
  words: readonly string[],
  socket: string | undefined,
  askRights: AskRights,
): Promise<Candidates> {
  const begun = words.at(-1) ?? '';
  let at = 0;
  for (; at < words.length - 1; at += 1) {
    const word = words[at] ?? '';
    if (!word.startsWith('-')) break;
    if (word === '--') {
      at += 1;
      break;
    }
    const isFormat = word.endsWith('f');
    if (isFormat && at === words.length - 2) {
      return Promise.resolve(
        wordsFrom(
          begun,
          allFormats.map((format) => ({ word: format, description: '' })),
        ),
      );
    }
    if (isFormat) at += 1;
  }
  const command = words.slice(at);
  if (command.length === 1 && begun.startsWith('-')) {
    const options = commandLetters.map(({ letter, description }) => ({ word: `-${letter}`, description }));
    return Promise.resolve(wordsFrom(begun, options));
  }
  // The socket may be named behind the command; where names are wanted there is none yet, but for who goes back.
  const behind = command[command.indexOf('-S') + 1];
  const named = command.includes('-S') && behind !== undefined && behind !== '' ? behind : socket;
  const rights = (): Promise<Rights | undefined> =>
    named === undefined ? Promise.resolve(undefined) : askRights(named);
  const isAskingHelp = command[0] === 'help';
  return completeCommandWords(isAskingHelp ? command.slice(1) : command, { hasOwn: !isAskingHelp, rights });
}
