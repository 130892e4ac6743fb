// A model of access on request (src/gate/access, src/journal/records/access-book): requests, approvals, grants and their ends, with
// persons, reloads, kills and steps of the clock. Time goes in ticks: a request waits for three, a grant lasts for two. An item is one
// request and what becomes of it; it keeps what really happened, so that the invariants need not trust its state.

import type { Model, Step } from './explore.js';

/** Rules: `one` and `two` need so many approvals, `none` is break-glass, `given` is `one` without a request. Each grant has two uses. */
export type Rule = 'one' | 'two' | 'none' | 'given';
/** Of these, anna and anna-2 are one human, as are carol and carol-2. */
export type Who = 'anna-2' | 'carol' | 'carol-2' | 'dave';

interface Item {
  readonly rule: Rule;
  readonly at: 'requested' | 'granted' | 'over';
  readonly left: number;
  readonly uses: number;
  /** Those whose approval has not fallen: one falls where another person approves while it does not count. */
  readonly approvers: readonly Who[];
  /** The login to which it is bound; 0: to none yet. And those whose commands were sent. */
  readonly login: 0 | 1 | 2;
  readonly logins: readonly number[];
  /**
   * Years by which the wall clock was moved since then, and whether it was ever moved ahead: a start cannot tell such a step from a long
   * stop.
   */
  readonly offset: number;
  readonly wasAhead: boolean;
  /** What really happened: ticks since the grant, commands that were sent, and those after its end. */
  readonly age: number;
  readonly sent: number;
  readonly late: number;
  /** It has ended once. */
  readonly hasEnded: boolean;
}

export interface AccessState {
  readonly items: readonly Item[];
  /** Rules that the configuration has now. */
  readonly has: boolean;
  /** Carol is in no entry of `persons` now: she approves nothing, and her approvals of what waits do not count. */
  readonly isAway: boolean;
  /** Break-glass requests so far. */
  readonly broken: number;
}

export type AccessFlaw =
  | 'own approval counts'
  | 'one person counts twice'
  | 'one approval is enough'
  | 'a fallen approval counts again'
  | 'a step back prolongs'
  | 'a restart prolongs'
  | 'a restart gives uses back'
  | 'a use is not counted'
  | 'used after its end'
  | 'an end is forgotten'
  | 'a first use binds nothing'
  | 'a restart forgets the login';

const waitTicks = 3;
const grantTicks = 2;
const usesMax = 2;
const whos: readonly Who[] = ['anna-2', 'carol', 'carol-2', 'dave'];

function humanOf(who: Who): string {
  return who.split('-')[0] ?? who;
}

export function accessModel(options: {
  readonly itemsMax: number;
  readonly flaw?: AccessFlaw;
}): Model<AccessState> {
  return {
    initial: { items: [], has: true, isAway: false, broken: 0 },
    actions: (state) => actionsOf(state, options),
    invariants,
    keyOf: (state) => JSON.stringify(state),
  };
}

const needed: Readonly<Record<Rule, number>> = { one: 1, two: 2, none: 0, given: 1 };

const invariants: Model<AccessState>['invariants'] = {
  'a grant has approvals of as many other persons as its rule needs': ({ items }) =>
    items.every(({ at, rule, approvers }) => {
      const humans = new Set(approvers.map(humanOf));
      return at !== 'granted' || (humans.size >= needed[rule] && !humans.has('anna'));
    }),
  'a request waits only where approvals are missing': ({ items }) =>
    items.every(({ at, rule, approvers }) => {
      const humans = new Set(approvers.map(humanOf));
      return at !== 'requested' || humans.size < needed[rule];
    }),
  'no grant is longer than it was approved for': ({ items }) =>
    items.every(({ at, age }) => at !== 'granted' || age < grantTicks),
  'no more commands than uses': ({ items }) => items.every(({ sent }) => sent <= usesMax),
  'no command after an end': ({ items }) => items.every(({ late }) => late === 0),
  'a grant serves one login': ({ items }) => items.every(({ logins }) => logins.length < 2),
  'what has ended stays so': ({ items }) => items.every(({ at, hasEnded }) => at === 'over' || !hasEnded),
};

/** The approvals of what waits that count now. */
export function countingOf({ isAway }: AccessState, { at, approvers }: Item): readonly Who[] {
  return at === 'requested' && isAway ? approvers.filter((who) => humanOf(who) !== 'carol') : approvers;
}

function actionsOf(
  state: AccessState,
  { itemsMax, flaw }: Parameters<typeof accessModel>[0],
): Step<AccessState>[] {
  const { items, has, isAway, broken } = state;
  const steps: Step<AccessState>[] = [];
  const change = (at: number, to: Partial<Item>): AccessState => ({
    ...state,
    items: items.map((item, index) => (index === at ? { ...item, ...to } : item)),
  });
  const over = { at: 'over', hasEnded: true } as const;
  if (items.length < itemsMax && has)
    for (const rule of ['one', 'two', 'none', 'given'] as const) {
      if ((rule === 'none' && broken > 0) || (rule === 'given' && isAway)) continue;
      const isGranted = rule === 'none' || rule === 'given';
      const item: Item = {
        rule,
        at: isGranted ? 'granted' : 'requested',
        left: isGranted ? grantTicks : waitTicks,
        uses: usesMax,
        approvers: rule === 'given' ? ['carol'] : [],
        login: rule === 'given' ? 0 : 1,
        logins: [],
        offset: 0,
        wasAhead: false,
        age: 0,
        sent: 0,
        late: 0,
        hasEnded: false,
      };
      steps.push([
        `request ${rule}`,
        { ...state, items: [...items, item], broken: broken + (rule === 'none' ? 1 : 0) },
      ]);
    }
  for (const [at, item] of items.entries()) {
    const isLive = item.at === 'granted' && item.left > 0;
    for (const who of item.at === 'requested' ? whos : []) {
      const isOwn = humanOf(who) === 'anna' && flaw !== 'own approval counts';
      const isNobody = isAway && humanOf(who) === 'carol';
      const counting = countingOf(state, item);
      const isAgain =
        flaw === 'one person counts twice'
          ? counting.includes(who)
          : counting.some((each) => humanOf(each) === humanOf(who));
      const isRefused = isOwn || isNobody || isAgain;
      const kept = flaw === 'a fallen approval counts again' ? item.approvers : counting;
      const approvers = isRefused ? item.approvers : [...kept, who];
      const most = flaw === 'one approval is enough' ? 1 : needed[item.rule];
      const isEnough = counting.length + 1 >= most && !isRefused;
      const granted = isEnough
        ? ({
            at: 'granted',
            left: grantTicks,
            uses: usesMax,
            // Its end is named by the clock of this moment.
            offset: 0,
            wasAhead: false,
          } as const)
        : {};
      steps.push([`${who} approves ${at}`, change(at, { approvers, ...granted })]);
    }
    // A command is tried also where there is no grant any more: it must not leave.
    const mayUse = isLive || (flaw === 'used after its end' && item.hasEnded);
    for (const login of item.at === 'requested' ? [] : ([1, 2] as const)) {
      const isOf = item.login === login || item.login === 0;
      const isBound = item.login !== 0 || flaw === 'a first use binds nothing';
      const bound = isBound ? {} : { login };
      const late = item.late + (isLive ? 0 : 1);
      const uses = flaw === 'a use is not counted' ? item.uses : item.uses - 1;
      const used = uses === 0 ? { uses, ...over } : { uses };
      const sent = item.sent + 1;
      const logins = item.logins.includes(login) ? item.logins : [...item.logins, login];
      const next = { ...used, sent, late, logins, ...bound };
      const mayGo = mayUse && isOf && item.uses > 0;
      steps.push([`login ${login} uses ${at}`, mayGo ? change(at, next) : state]);
      // Its backend is away: the use is given back.
      steps.push([`login ${login} fails ${at}`, mayGo ? change(at, bound) : state]);
    }
    if (item.at === 'requested' && !isAway) steps.push([`carol refuses ${at}`, change(at, over)]);
    if (item.at !== 'over') steps.push([`anna revokes ${at}`, change(at, over)]);
  }
  const all = (of: (item: Item) => Partial<Item>, to: Partial<AccessState> = {}): AccessState => ({
    ...state,
    items: items.map((item) => ({ ...item, ...of(item) })),
    ...to,
  });
  const aged = all(({ at, left, age }) => {
    if (at === 'over') return {};
    const older = at === 'granted' ? { age: age + 1 } : {};
    return left <= 1 ? { left: 0, ...older, ...over } : { left: left - 1, ...older };
  });
  if (items.some(({ at }) => at !== 'over')) {
    steps.push(['tick', aged]);
    const ahead = all(({ at, offset }) => {
      if (at === 'over') return {};
      const moved = { offset: offset + 1, wasAhead: true };
      return moved.offset > 0 ? { ...moved, left: 0, ...over } : moved;
    });
    steps.push(['the clock leaps a year ahead', ahead]);
  }
  const back = all(({ at, offset, left }) => {
    if (at === 'over') return {};
    return { offset: offset - 1, ...(flaw === 'a step back prolongs' ? { left: left + 1 } : {}) };
  });
  steps.push(['the clock leaps a year back', back]);
  steps.push([
    has ? 'reload without rules' : 'reload with rules',
    has ? all(({ at }) => (at === 'over' ? {} : over), { has: false }) : { ...state, has: true },
  ]);
  const isWanted = items.some(({ at, rule }) => at === 'requested' && rule === 'two');
  if (isAway || isWanted)
    steps.push([`reload with${isAway ? '' : 'out'} carol`, { ...state, isAway: !isAway }]);
  steps.push([
    'restart',
    all(({ at, left, hasEnded, rule, approvers, wasAhead }) => {
      if (flaw === 'an end is forgotten' && hasEnded && approvers.length >= needed[rule])
        return { at: 'granted', left: 1 };
      if (at === 'over') return {};
      if (wasAhead) return { left: 0, offset: 0, ...over };
      if (flaw === 'a restart forgets the login' && rule === 'given') return { offset: 0, login: 0 };
      if (at !== 'granted') return { offset: 0 };
      const more = flaw === 'a restart prolongs' ? { left: left + 1, offset: 0 } : { offset: 0 };
      return flaw === 'a restart gives uses back' && rule === 'one' ? { ...more, uses: usesMax } : more;
    }),
  ]);
  return steps;
}
