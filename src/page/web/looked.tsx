// How far a review of the journal came: its commands and their times, and what is not in it.

import { plural } from '../../host/words/words.js';
import type { LookedThrough } from '../answers/api.js';
import { Sentences, Sign, Time } from './kit.js';

export function Looked({ looked }: { readonly looked: LookedThrough }) {
  const { records, from, to, isAll, readTo, notes } = looked;
  return (
    <>
      <p>
        Looked through {plural(records, 'command', 'commands')}
        {from !== undefined && to !== undefined && (
          <>
            {' '}
            from <Time at={from} /> to <Time at={to} />
          </>
        )}
        .
      </p>
      {!isAll && (
        <p>
          <Sign tone="warn">
            Time ran out:{' '}
            {readTo === undefined ? (
              'nothing of that time was read'
            ) : (
              <>
                the journal was read up to <Time at={readTo} isExact />, and what is newer is not counted here
              </>
            )}
            . Choose a shorter time, or use the command, which reads all of it.
          </Sign>
        </p>
      )}
      <Sentences texts={notes} kind="faint" />
    </>
  );
}
