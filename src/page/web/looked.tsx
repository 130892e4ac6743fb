// How far a review of the journal came: its commands and their times, and what is not in it.

import { plural } from '../../host/words/words.js';
import type { LookedThrough } from '../answers/api.js';
import { Sentence, Sentences, Sign } from './kit.js';

export function Looked({ looked }: { readonly looked: LookedThrough }) {
  const { records, from, to, isAll, readTo, notes } = looked;
  const span = from === undefined || to === undefined ? '' : ` from {${from}} to {${to}}`;
  const read =
    readTo === undefined
      ? 'nothing of that time was read'
      : `the journal was read up to {${readTo}}, and what is newer is not counted here`;
  const advice = 'Choose a shorter time, or use the command, which reads all of it.';
  return (
    <>
      <Sentences texts={[`Looked through ${plural(records, 'command')}${span}.`]} />
      {!isAll && (
        <Sign tone="warn">
          <Sentence text={`Time ran out: ${read}. ${advice}`} isExact />
        </Sign>
      )}
      <Sentences texts={notes} kind="faint" />
    </>
  );
}
