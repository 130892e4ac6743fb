// How many mails the commands of a search destroyed, as far as dovegate had Dovecot count them before. A fold over rows, in any order.

import { countedForOf } from '../../gate/outcome/class.js';
import { asNumber } from '../../host/values/values.js';
import { isExchange } from '../story/row.js';
import { storyOfRow } from '../story/story.js';
import type { ExchangeRow } from '../trail/search.js';
import type { Destroyed } from '../views/trail.js';

export function createDestroyed() {
  const sums = { commands: 0, mailsMax: 0, mails: 0, uncounted: 0 };
  return {
    take(row: ExchangeRow): void {
      const { fields } = row;
      if (!isExchange(fields) || fields['effect'] !== 'destroy' || countedForOf(fields) !== undefined) return;
      const { sent, ended } = storyOfRow(row);
      if (sent === 'no') return;
      const matches = asNumber(fields['matches']);
      if (matches === undefined) {
        sums.uncounted += 1;
        return;
      }
      sums.commands += 1;
      sums.mailsMax += matches;
      if (sent === 'yes' && ended.outcome === 'ok') sums.mails += matches;
    },
    finish: (): Destroyed => ({ ...sums }),
  };
}
