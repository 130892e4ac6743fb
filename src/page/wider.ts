// Whether the policies that are served permit more than those that an operator has seen last: a problem to look at, until somebody who did
// not change them acknowledges it. The gate knows both lists and who changed them, and does not compare them.

import type { NowHead, Problem } from '../gate/now/now.js';
import { widerKey } from '../gate/now/operator.js';
import { messageOf } from '../host/ports/faults.js';
import type { Daemon } from './daemon.js';
import type { Looks } from './looks.js';

/** The words are for people who see all mail users, whose names are in them. */
export type Wider = (head: Pick<NowHead, 'policies'>, seesAll: boolean) => readonly Problem[];

/** Compares each pair once. Until that is done, there is no problem. */
export function createWider(daemon: Pick<Daemon, 'told'>, looks: Pick<Looks, 'review'>): Wider {
  let known: { readonly key: string; words: readonly string[] } | undefined;
  return ({ policies: { seen, served } }, seesAll) => {
    const { head } = daemon.told ?? {};
    if (seen === served || head === undefined) return [];
    const key = widerKey(seen, served);
    if (known?.key !== key) known = begin(key, { was: seen, now: served, directory: head.directory });
    const { words } = known;
    if (words.length === 0) return [];
    const what = seesAll ? `: ${words.join('; ')}` : '';
    const text = `The policies may permit more than those that were seen last${what}.`;
    return [
      {
        code: 'policies-wider',
        text,
        try: 'Access, "What was changed in the policies"',
        isDegrading: false,
        key,
      },
    ];
  };

  function begin(
    key: string,
    pair: { readonly was: string; readonly now: string; readonly directory: string },
  ) {
    const comparing: NonNullable<typeof known> = { key, words: [] };
    // A look has its place until its signal is aborted.
    const taken = new AbortController();
    void looks
      .review({ kind: 'wider', ...pair }, ownName, taken.signal)
      .then((found) => (found.kind === 'wider' ? found.value : []))
      .catch((fault: unknown) => [`what they permit cannot be said: ${messageOf(fault)}`])
      .then((words) => {
        comparing.words = words;
        taken.abort(new Error('the answer was taken'));
      });
    return comparing;
  }
}

/** No person can have this name: it has a blank. */
const ownName = 'the page';
