// A command that was sent and answered, as the daemon records it.
import type { ExchangeRow } from '../../../src/evidence/trail/search.js';
import { settingsOf, sound } from '../../rules/config/sound.js';
import { record } from '../review/recording.js';

const settings = settingsOf(sound.replace('[quota get]', '[quota get]\n    mode: observe'));

export const bob = 'bob@example.com';

export function row(line: string, more: Readonly<Record<string, unknown>> = {}, user = bob): ExchangeRow {
  const made = record(settings, 'support', { user, words: line.split(' ') });
  const end = { event: undefined, decision: 'allow', sent: true, cells: 3, outcome: 'ok' };
  return { ...made, fields: { ...made.fields, ...end, ...more } };
}
