// Targets with planted faults, for the test of the campaign itself.

import { bytesOf, type Target } from './campaign/target.js';

const seeds = (): Buffer[] => bytesOf(['hello {1} world', 'a={b}']);

function planted(name: string, run: Target['run']): Target {
  return { name, what: 'nothing', bytesMax: 200, seeds, tokens: bytesOf(['{', '}', '{{', '=']), run };
}

const text = (chunks: readonly Buffer[]): string => Buffer.concat(chunks).toString('latin1');

export const targets: readonly Target[] = [
  planted('sound', (chunks) => String(text(chunks).length)),
  planted('throws', (chunks) => {
    if (text(chunks).includes('{{')) throw new TypeError('twice');
    return '';
  }),
  planted('depends on cuts', (chunks) => String(chunks.some((chunk) => chunk.includes('{1}')))),
  planted('holds too much', (chunks, _random, hold) => {
    hold(text(chunks).split('{').length, 4);
    return '';
  }),
  planted('loops', (chunks) => {
    while (text(chunks).startsWith('{')) continue;
    return '';
  }),
];
