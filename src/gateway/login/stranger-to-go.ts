// Which session goes where there is no room for one more: only one that has not logged in. Pure.
// The rule: whoever comes from a place where logins failed goes before a newcomer is turned away; silent strangers go only
// when their place has more of them than the newcomer's would have, or when nobody proved there who he is, and at the
// newcomer's somebody did: else as many addresses as there are sessions would keep everybody out. Of one place the oldest goes.

/** A session, and whom it counts as. */
export interface Placed {
  readonly key: string;
  readonly standing: 'known' | 'stranger' | 'suspect';
}

/** The one that goes for a newcomer that counts as `newcomer`; undefined: none. `isProven`: somebody from there logged in lately. Sessions of one place stand in the order of their accept. */
export function strangerToGo<S extends Placed>(
  sessions: readonly S[],
  newcomer: string,
  isProven: (key: string) => boolean,
): S | undefined {
  const strangers = sessions.filter(({ standing }) => standing !== 'known');
  const counts = new Map<string, number>();
  for (const { key } of strangers) counts.set(key, (counts.get(key) ?? 0) + 1);
  const suspects = strangers.filter(({ standing }) => standing === 'suspect');
  const itsOwn = (counts.get(newcomer) ?? 0) + 1;
  const others = strangers.filter(({ key }) => (counts.get(key) ?? 0) > itsOwn);
  const unproven = isProven(newcomer) ? strangers.filter(({ key }) => !isProven(key)) : [];
  const going = [suspects, unproven, others].find(({ length }) => length > 0) ?? [];
  let found: S | undefined;
  for (const each of going) {
    if (found === undefined || (counts.get(each.key) ?? 0) > (counts.get(found.key) ?? 0)) found = each;
  }
  return found;
}
