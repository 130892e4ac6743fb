// Whose mail content the commands of a search showed: for each mail user how often, to whom, and when last. A fold over rows, in any order.
// It keeps the first mail users that it meets, and only counts further ones. `touch` decides what one command showed.

import { countedForOf } from '../../gate/outcome/class.js';
import { asList, isText } from '../../host/values/values.js';
import { asCut } from '../../journal/records/stored.js';
import { askedOf } from '../story/content.js';
import { allUsers, isExchange } from '../story/row.js';
import { storyOfRow } from '../story/story.js';
import type { ExchangeRow } from '../trail/search.js';
import type { OwnerShown, Whose } from '../views/trail.js';
import { charsMax, noteRequester } from './causes.js';
import { isForAll, showedOf } from './touch.js';

const ownersMax = 1000;

type Open = { -readonly [Key in keyof OwnerShown]: OwnerShown[Key] } & { readonly requesters: string[] };

export function createWhose() {
  const owners = new Map<string, Open>();
  let further = 0;

  return {
    take(row: ExchangeRow): void {
      const { fields } = row;
      if (!isExchange(fields) || countedForOf(fields) !== undefined) return;
      const asked = askedOf(fields, false);
      if (asked.content === 'no') return;
      const { sent, ended } = storyOfRow(row);
      for (const name of namesOf(fields)) {
        const isOwn = isText(name) && name === fields['user'];
        const ofThis = isOwn ? askedOf(fields, true) : asked;
        const showed = showedOf(fields, ended, ofThis, sent);
        if (showed === 'no') continue;
        const owner = openOf(ownerOf(name));
        if (owner === undefined) {
          further += 1;
          continue;
        }
        if (showed === 'maybe') owner.maybeShowed += 1;
        else if (ofThis.isSearch === true) owner.searched += 1;
        else owner.showed += 1;
        if (isText(fields['grant'])) owner.granted += 1;
        if (isText(fields['time']) && fields['time'] > owner.lastTime) owner.lastTime = fields['time'];
        noteRequester(owner, row);
      }
    },
    /** Those whose mail was shown most often first. */
    finish(): Whose {
      const sum = ({ showed, searched, maybeShowed }: OwnerShown): number => showed + searched + maybeShowed;
      return {
        owners: [...owners.values()].toSorted(
          (one, other) => sum(other) - sum(one) || (one.what < other.what ? -1 : 1),
        ),
        further,
      };
    },
  };

  function openOf({ what, user }: Pick<OwnerShown, 'what' | 'user'>): Open | undefined {
    const key = JSON.stringify([what, user]);
    const known = owners.get(key);
    if (known !== undefined || owners.size >= ownersMax || what.length > charsMax) return known;
    const counts = { showed: 0, searched: 0, maybeShowed: 0, granted: 0 };
    const owner = { what, user, ...counts, lastTime: '', requesters: [], isMoreRequesters: false };
    owners.set(key, owner);
    return owner;
  }
}

/** The users of a command as recorded: names, masks, cut values. Without a list, only its own user. */
function namesOf(fields: ExchangeRow['fields']): readonly unknown[] {
  if (isForAll(fields)) return ['*'];
  return asList(fields['users']) ?? [fields['user']];
}

/** `user` is set only for the name of one mail user. */
function ownerOf(name: unknown): Pick<OwnerShown, 'what' | 'user'> {
  if (!isText(name) || name === '') {
    const start = asCut(name);
    return { what: start === undefined ? 'users that were not recorded' : `${start}… (not recorded whole)` };
  }
  if (/^\*+$/.test(name)) return { what: allUsers };
  return /[*?]/.test(name) ? { what: `${name} (a mask)` } : { what: name, user: name };
}
