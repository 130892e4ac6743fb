// Attempts of command lines as they stand in a test, for the user bob@example.com.

import assert from 'node:assert/strict';
import type { Series } from '../../../src/doveadm/commands/catalog.js';
import { createUserNames } from '../../../src/doveadm/names/user-name.js';
import type { Attempt } from '../../../src/rules/policy/attempt.js';
import { judgeLine } from '../../kit/plain/judge-line.js';
import { settingsOf, sound } from '../../rules/config/sound.js';
import { recordedMs } from './recording.js';

const settings = settingsOf(sound);
const policy = settings.policies.get('support') ?? assert.fail();

/** Words are separated by blanks, "in quotes" they hold some. */
export function wordsOf(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
}

/** As a server of the series reads them; a line that it cannot read fails the test. */
export function attemptsIn(series: Series, ...lines: string[]): Attempt[] {
  return lines.map((line) => {
    const asked = {
      listener: 'support',
      principal: 'carol@support',
      user: 'bob@example.com',
      words: wordsOf(line),
      clientMinor: 4,
    };
    const userNames = createUserNames(settings.mailUsers);
    const judgement = judgeLine(policy, asked, series, [], userNames, recordedMs);
    return judgement.kind === 'judged' ? judgement.attempt : assert.fail(`${line}: ${judgement.message}`);
  });
}

/** As Dovecot 2.4 reads them. */
export function attemptsOf(...lines: string[]): Attempt[] {
  return attemptsIn('2.4', ...lines);
}
