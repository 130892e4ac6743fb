// Seven jobs of a site that has run for years, as lines from a seed: what they do all day, once a day with the day in a name, once a month
// and hardly ever. Also what nobody has done yet: relatives of lines that were seen. Knows no server and no gate.

import { pick, type Random, randomInteger, seededRandom } from '../../kit/plain/chunkings.js';

/** Somebody with a socket or an account; those of one policy do one job. */
export interface Lane {
  readonly name: string;
  readonly policy: string;
  readonly listener: string;
  /** Of the peer of the socket; undefined: it logs in over TCP as `name`. */
  readonly uid: number | undefined;
}

const atSocket = (name: string, policy: string, uid: number): Lane => ({
  name,
  policy,
  listener: policy,
  uid,
});

export const lanes: readonly Lane[] = [
  atSocket('monitoring', 'monitoring', 2001),
  atSocket('backup', 'backup', 2002),
  atSocket('billing', 'billing', 2003),
  atSocket('panel', 'panel', 2004),
  { name: 'webpanel', policy: 'panel', listener: 'panel-web', uid: undefined },
  atSocket('anna', 'support', 2005),
  atSocket('carl', 'support', 2006),
  atSocket('provisioning', 'provisioning', 2007),
  atSocket('archiver', 'archiver', 2008),
];

export const jobs: readonly string[] = [...new Set(lanes.map(({ policy }) => policy))];

/** What policies of the site allow before the first night, as the guide to move in has it: what observing does not serve without a rule. */
export const ownRules: Readonly<Record<string, string>> = {
  monitoring: '[quota get, { command: quota get, all_users: true }, { command: who, all_users: true }]',
  backup: '[{ command: backup, root_equivalent: true, where: { destination: ["maildir:~/copy"] } }]',
  billing: '[]',
  panel: '[mailbox list, { command: user, where: { user-mask: ["*@example.org"] } }]',
  support: '[]',
  provisioning: '[]',
  archiver: '[]',
};

const numbered = (count: number, of: (number: string) => string): string[] =>
  Array.from({ length: count }, (_, at) => of(String(at + 1).padStart(2, '0')));

/** Who has mail. */
const atOrg = numbered(20, (number) => `u${number}@example.org`);
const atNet = numbered(8, (number) => `n${number}@example.net`);
export const people: readonly string[] = [...atOrg, ...atNet];
/** Who gets a mailbox in the course of the days, one after the other. */
export const newcomers = numbered(90, (number) => `new${number}@example.org`);
/** Nobody of the site has this domain. */
const stranger = 'mallory@example.com';

/** Mailboxes that everybody has, and how many mails are in it. */
export const mailboxes: Readonly<Record<string, number>> = {
  INBOX: 4,
  Sent: 2,
  Archive: 3,
  Trash: 3,
  Junk: 2,
  Old: 2,
};

/** What a kind of work is done to. */
export interface Place {
  readonly mailbox: string;
  /** `30d`. */
  readonly age: string;
  /** With the option that this kind can have. */
  readonly option: boolean;
}

export interface Line extends Work {
  /** Of {@link lanes}. */
  readonly lane: Lane;
  /** Empty: it names none. */
  readonly user: string;
  readonly place: Place;
  readonly words: readonly string[];
  /** As the client states it. */
  readonly reason: string | undefined;
}

interface Work {
  /** Two kinds differ in more than their place. */
  readonly kind: string;
  readonly make: (place: Place) => readonly string[];
}

interface Kind {
  readonly lanes: readonly string[];
  /** How often it is drawn: 10 is all day, below 0.1 hardly ever. */
  readonly weight: number;
  readonly make: (place: Place, random: Random) => readonly string[];
  readonly users?: readonly string[];
  /** Default INBOX. */
  readonly mailboxes?: readonly string[];
  readonly ages?: readonly string[];
  /** How often it has its option. */
  readonly options?: number;
}

/** Words of mails are recorded as digests, and a rule cannot tell from one that `subject 2` narrows nothing: these have letters enough. */
const subjects = ['mail', 'invoice', 'order 4711'];
const nobody = [''];
const query = (text: string): string[] => text.split(' ');
const folders = ['INBOX', 'Sent', 'Archive'];
const projects = numbered(9, (number) => `Project-${number}`);

const kinds: Readonly<Record<string, Kind>> = {
  // What programs ask all day.
  quota: { lanes: ['monitoring', 'billing', 'webpanel'], weight: 26, make: () => ['quota', 'get'] },
  messages: {
    lanes: ['monitoring', 'webpanel', 'panel'],
    weight: 16,
    mailboxes: folders,
    make: ({ mailbox }) => ['mailbox', 'status', 'messages unseen', mailbox],
  },
  sizes: {
    lanes: ['billing', 'backup'],
    weight: 10,
    make: () => ['mailbox', 'status', 'messages vsize', '*'],
  },
  list: { lanes: ['panel', 'webpanel', 'backup'], weight: 10, make: () => ['mailbox', 'list'] },
  recalc: { lanes: ['billing'], weight: 1, make: () => ['quota', 'recalc'] },
  scripts: { lanes: ['panel'], weight: 5, make: () => ['sieve', 'list'] },
  texts: {
    lanes: ['backup'],
    weight: 10,
    mailboxes: folders,
    make: ({ mailbox }) => ['fetch', 'text', 'mailbox', mailbox, 'uid', '1'],
  },
  subscribe: {
    lanes: ['panel'],
    weight: 7,
    mailboxes: [...folders, 'Trash'],
    make: ({ mailbox }) => ['mailbox', 'subscribe', mailbox],
  },
  unsubscribe: {
    lanes: ['panel'],
    weight: 4,
    mailboxes: folders,
    make: ({ mailbox }) => ['mailbox', 'unsubscribe', mailbox],
  },
  rename: {
    lanes: ['panel'],
    weight: 0.6,
    users: atOrg,
    mailboxes: ['Old', 'Older'],
    make: ({ mailbox }) => ['mailbox', 'rename', mailbox, mailbox === 'Old' ? 'Older' : 'Old'],
  },
  // A support desk.
  look: {
    lanes: ['anna', 'carl'],
    weight: 8,
    mailboxes: folders,
    make: ({ mailbox }) => ['search', 'mailbox', mailbox, 'all'],
  },
  subject: {
    lanes: ['anna', 'carl'],
    weight: 5,
    mailboxes: ['INBOX', 'Sent'],
    make: ({ mailbox }, random) => [...query(`search mailbox ${mailbox} subject`), pick(random, subjects)],
  },
  headers: {
    lanes: ['anna', 'carl'],
    weight: 5,
    mailboxes: ['INBOX', 'Sent'],
    ages: ['7d', '30d'],
    make: ({ mailbox, age }) => [
      'fetch',
      'uid hdr.subject',
      ...query(`mailbox ${mailbox} savedsince ${age}`),
    ],
  },
  read: {
    lanes: ['anna', 'carl'],
    weight: 6,
    mailboxes: ['INBOX', 'Junk'],
    options: 0.3,
    make: ({ mailbox, option }) => [
      ...query('flags add'),
      option ? '\\Flagged' : '\\Seen',
      ...query(`mailbox ${mailbox} all`),
    ],
  },
  'empty-trash': {
    lanes: ['anna', 'carl'],
    weight: 3,
    users: atOrg,
    mailboxes: ['Trash'],
    make: ({ mailbox }) => query(`expunge mailbox ${mailbox} all`),
  },
  'empty-junk': {
    lanes: ['anna', 'carl'],
    weight: 3,
    users: atNet,
    mailboxes: ['Junk'],
    make: ({ mailbox }) => query(`expunge mailbox ${mailbox} all`),
  },
  'put-back': {
    lanes: ['anna', 'carl', 'archiver'],
    weight: 3,
    mailboxes: ['Trash', 'Junk'],
    make: ({ mailbox }) => query(`copy ${mailbox} mailbox INBOX uid 1:2`),
  },
  // Who comes and goes.
  create: {
    lanes: ['provisioning'],
    weight: 1.5,
    mailboxes: projects,
    options: 0.3,
    make: ({ mailbox, option }) => ['mailbox', 'create', ...(option ? ['-s'] : []), mailbox],
  },
  delete: {
    lanes: ['provisioning'],
    weight: 1.5,
    mailboxes: projects,
    options: 0.2,
    make: ({ mailbox, option }) => ['mailbox', 'delete', ...(option ? ['-s'] : []), mailbox],
  },
  rights: { lanes: ['provisioning'], weight: 3, make: () => ['acl', 'get', 'INBOX'] },
  // What goes with age.
  'old-trash': {
    lanes: ['archiver'],
    weight: 6,
    users: atOrg,
    mailboxes: ['Trash'],
    ages: ['30d', '45d'],
    make: ({ mailbox, age }) => query(`expunge mailbox ${mailbox} savedbefore ${age}`),
  },
  'old-junk': {
    lanes: ['archiver'],
    weight: 5,
    mailboxes: ['Junk'],
    ages: ['7d'],
    make: ({ mailbox, age }) => query(`expunge mailbox ${mailbox} savedbefore ${age}`),
  },
  'to-archive': {
    lanes: ['archiver'],
    weight: 1,
    users: atOrg,
    mailboxes: ['Sent'],
    ages: ['90d'],
    make: ({ mailbox, age }) => query(`move Archive mailbox ${mailbox} before ${age}`),
  },
  // Hardly ever. Those without a user need a connection of their own at Dovecot.
  who: { lanes: ['monitoring'], weight: 0.1, users: nobody, make: () => ['who'] },
  penalty: { lanes: ['monitoring'], weight: 0.05, users: nobody, make: () => ['penalty'] },
  services: { lanes: ['monitoring'], weight: 0.05, users: nobody, make: () => ['service', 'status'] },
  everybody: { lanes: ['monitoring'], weight: 0.1, users: nobody, make: () => ['quota', 'get', '-A'] },
  users: { lanes: ['panel'], weight: 0.15, users: nobody, make: () => ['user', '*@example.org'] },
  home: {
    lanes: ['billing'],
    weight: 0.15,
    users: nobody,
    make: () => ['user', '-f', 'home', 'u01@example.org'],
  },
  odd: {
    lanes: ['monitoring', 'billing', 'panel', 'provisioning'],
    weight: 0.25,
    make: (_, random) =>
      pick(random, [
        query('mailbox list -s'),
        query('acl rights INBOX'),
        query('search mailbox INBOX seen'),
        query('mailbox path INBOX'),
        query('sieve list'),
        ['mailbox', 'status', 'all', 'Nope'],
      ]),
  },
  repair: { lanes: ['archiver'], weight: 0.2, make: () => query('force-resync INBOX') },
  // What observing does not serve, and what no server can read.
  'all-names': { lanes: ['panel'], weight: 0.2, users: nobody, make: () => ['user', '*'] },
  'of-another': {
    lanes: ['anna'],
    weight: 0.3,
    make: (_, random) => query(`copy Sent user ${pick(random, people)} mailbox INBOX all`),
  },
  'for-another': {
    lanes: ['provisioning'],
    weight: 0.3,
    make: () => query('acl set INBOX user=u01@example.org lookup'),
  },
  import: { lanes: ['backup'], weight: 0.2, make: () => ['import', 'maildir:~/copy', '', 'all'] },
  typo: {
    lanes: ['anna', 'provisioning', 'monitoring'],
    weight: 0.3,
    make: (_, random) => pick(random, [query('mailbox craete New'), query('quota get -x')]),
  },
};

interface Task extends Work {
  readonly lane: string;
  readonly user: string;
  readonly place: Place;
}

const plain: Place = { mailbox: 'INBOX', age: '', option: false };

const mailboxTasks = {
  'make-restored': ({ mailbox }: Place) => ['mailbox', 'create', mailbox],
  'fill-restored': ({ mailbox }: Place) => query(`copy ${mailbox} mailbox INBOX uid 1:2`),
  'count-restored': ({ mailbox }: Place) => ['mailbox', 'status', 'messages', mailbox],
  'empty-restored': ({ mailbox }: Place) => query(`expunge mailbox ${mailbox} all`),
  'drop-restored': ({ mailbox }: Place) => ['mailbox', 'delete', mailbox],
  'make-archive': ({ mailbox }: Place) => ['mailbox', 'create', mailbox],
  'subscribe-archive': ({ mailbox }: Place) => ['mailbox', 'subscribe', mailbox],
  'open-archive': ({ mailbox }: Place) => ['acl', 'set', mailbox, 'owner', ...query('lookup read insert')],
} as const;

/** `Restored-2026-09-01` and the days after it. */
function restoredAt(day: number): string {
  return `Restored-${new Date(Date.UTC(2026, 8, 1 + day)).toISOString().slice(0, 10)}`;
}

/** After so many days a restored mailbox goes. */
const keptDays = 3;

/** What is done once on that day, in this order. */
function tasksOf(day: number): readonly Task[] {
  const restored = [0, 1].map((at) => atOrg[(day * 2 + at) % 4] ?? '');
  const of = (lane: string, kind: keyof typeof mailboxTasks, user: string, mailbox: string): Task => ({
    lane,
    kind,
    user,
    make: mailboxTasks[kind],
    place: { ...plain, mailbox },
  });
  const before = restoredAt(day - keptDays);
  const left = [0, 1].map((at) => atOrg[((day - keptDays) * 2 + at + 400) % 4] ?? '');
  const newcomer = newcomers[day % newcomers.length] ?? '';
  return [
    ...restored.flatMap((user) =>
      (['make-restored', 'fill-restored', 'count-restored'] as const).map((kind) =>
        of('archiver', kind, user, restoredAt(day)),
      ),
    ),
    ...(day < keptDays
      ? []
      : left.flatMap((user) =>
          (['empty-restored', 'drop-restored'] as const).map((kind) => of('archiver', kind, user, before)),
        )),
    ...(['make-archive', 'subscribe-archive', 'open-archive'] as const).map((kind) =>
      of('provisioning', kind, newcomer, 'Archive'),
    ),
    // The first of a month; the site began on the first of September.
    ...(day % 30 === 0 ? monthly(day) : []),
  ];
}

function monthly(day: number): readonly Task[] {
  const user = atOrg[Math.floor(day / 30) % atOrg.length] ?? '';
  const age = `${365 - day}d`;
  return [
    {
      lane: 'archiver',
      kind: 'purge-old',
      user,
      make: ({ mailbox, age: of, option }) => [
        'expunge',
        ...(option ? ['-d'] : []),
        ...query(`mailbox ${mailbox} savedbefore ${of}`),
      ],
      place: { mailbox: 'Old', age, option: true },
    },
    { lane: 'backup', kind: 'copy-all', user, make: () => ['backup', 'maildir:~/copy'], place: plain },
  ];
}

const laneNamed = new Map(lanes.map((lane) => [lane.name, lane]));

function laneOf(name: string): Lane {
  const lane = laneNamed.get(name);
  if (lane === undefined) throw new Error(`nobody is ${name}`);
  return lane;
}

/** So many lines, those of one day after those of another. */
export function siteLines(count: number, seed: number): Line[] {
  const random = seededRandom(seed);
  const draws = Object.entries(kinds).flatMap(([kind, each]) =>
    each.lanes.map((lane) => ({ kind, lane, each, weight: each.weight })),
  );
  const all = draws.reduce((sum, { weight }) => sum + weight, 0);
  const draw = (): Line => {
    let at = random() * all;
    const { kind, lane, each } = draws.find(({ weight }) => (at -= weight) < 0) ??
      draws[0] ?? { each: undefined };
    if (each === undefined) throw new Error('there is no work');
    const place: Place = {
      mailbox: pick(random, each.mailboxes ?? ['INBOX']),
      age: pick(random, each.ages ?? ['']),
      option: random() < (each.options ?? 0),
    };
    const user = pick(random, each.users ?? people);
    // A relative keeps what was drawn beside its place.
    const drawn = randomInteger(random, 1, 2 ** 31);
    const make = (of: Place): readonly string[] => each.make(of, seededRandom(drawn));
    return lineOf({ lane, kind, user, make, place }, random);
  };
  const days = Math.max(8, Math.round(count / 330));
  const lines: Line[] = [];
  for (let day = 0; day < days; day += 1) {
    const left = Math.round((count * (day + 1)) / days) - lines.length;
    const tasks = tasksOf(day)
      .slice(0, left)
      .map((task) => lineOf(task, random));
    const rest = Array.from({ length: left - tasks.length }, draw);
    // The tasks in their order, anywhere in the day.
    const places = tasks
      .map(() => randomInteger(random, 0, rest.length))
      .toSorted((one, other) => one - other);
    for (const [at, line] of [...rest, undefined].entries()) {
      for (; places[0] === at; places.shift()) lines.push(...tasks.splice(0, 1));
      if (line !== undefined) lines.push(line);
    }
  }
  return lines;
}

function lineOf({ lane, kind, user, make, place }: Task, random: Random): Line {
  const asked = random();
  const reason = asked < 0.4 ? `ticket ${randomInteger(random, 1000, 9999)}` : asked < 0.5 ? '..' : undefined;
  return { lane: laneOf(lane), kind, user, make, place, words: make(place), reason };
}

/** Whom it concerns, as far as a suggestion generalises. */
function domainOf(user: string): string {
  return user.slice(user.indexOf('@'));
}

/** How far into the mails of a mailbox it reaches: the less, the further. */
function reachOf({ words, place: { age } }: Pick<Line, 'words' | 'place'>): number {
  if (age === '') return 0;
  const days = Number.parseInt(age, 10);
  return words.some((word) => word.endsWith('since')) ? -days : days;
}

/**
 * Lines that nobody has run: as one of `bases`, but with another mailbox, on younger mail, with another option or for another domain. What
 * is within a line of `seen` is none: older mail of the same mailbox, or old mail of one of which all was taken. So many different ones;
 * fewer if there are no more.
 */
export function relativesOf(
  bases: readonly Line[],
  seen: readonly Line[],
  count: number,
  seed: number,
): Line[] {
  const random = seededRandom(seed);
  /** By policy, domain and words but the age, and but a subject, which a suggestion says to check: how far it reached. */
  const known = new Map<string, number>();
  const keyOf = ({ lane, user, make, place }: Line, isOfAll = false): string => {
    const words = make({ ...place, age: place.age === '' ? '' : 'AGE' });
    const at = words.indexOf('AGE');
    const read = isOfAll && at > 0 ? words.toSpliced(at - 1, 2, 'all') : words;
    return JSON.stringify([lane.policy, domainOf(user), read.filter((word) => !subjects.includes(word))]);
  };
  for (const line of seen) {
    const key = keyOf(line);
    known.set(key, Math.min(known.get(key) ?? Number.POSITIVE_INFINITY, reachOf(line)));
  }
  const found = new Map<string, Line>();
  for (let tries = 0; tries < count * 50 && found.size < count; tries += 1) {
    const line = pick(random, bases);
    const { place } = line;
    const others = [
      `${place.mailbox}x`,
      'Private',
      ...Object.keys(mailboxes),
      ...projects,
      restoredAt(randomInteger(random, 0, 99)),
    ];
    const other: Pick<Line, 'place' | 'user'> = pick(random, [
      { user: line.user, place: { ...place, mailbox: pick(random, others) } },
      {
        user: line.user,
        place: place.age === '' ? place : { ...place, age: `${randomInteger(random, 1, 400)}d` },
      },
      { user: line.user, place: { ...place, option: !place.option } },
      { user: pick(random, [stranger, pick(random, atNet), pick(random, atOrg)]), place },
    ]);
    const relative: Line = { ...line, ...other, words: line.make(other.place) };
    if ((known.get(keyOf(relative)) ?? Number.POSITIVE_INFINITY) <= reachOf(relative)) continue;
    if (known.has(keyOf(relative, true))) continue;
    found.set(JSON.stringify([relative.lane.listener, relative.user, relative.words]), relative);
  }
  return [...found.values()];
}
