// One message of each call at the door with every key that it may have, and the same with numbers at the ends of what JSON can say.

/** Values in the place of a number. NaN and Infinity become null in JSON. */
export const extremes: readonly (number | null)[] = [
  -1e300,
  1e300,
  -Number.MAX_VALUE,
  Number.MAX_VALUE,
  -1,
  0,
  -0,
  0.5,
  5e-324,
  1e21,
  // The last whole number that is exact, and the first that is not.
  2 ** 53 - 1,
  2 ** 53,
  -(2 ** 53),
  // The last instant of a Date, and what no Date has.
  8.64e15,
  8.64e15 + 1,
  2 ** 32,
  null,
];

/** `generation`: of the settings. By the path of the call. */
export function doorMessages(generation: number, person = 'ann') {
  const as = (role: string) => ({ person, role, generation });
  const from = ['address=192.0.2.7'];
  return [
    [
      '/record',
      { as: as('audit'), action: 'audit-search', from, args: ['user=a', { secret: 's' }], rows: 3 },
    ],
    [
      '/sign',
      {
        as: as('audit'),
        from: ['uid=1', 'pid=2', 'user=ann'],
        facts: { fromSeq: 1, toSeq: 2, isDamaged: false, sha256: 'ab'.repeat(32) },
        filter: { user: 'alice@example.org', sinceMs: 0, untilMs: 9e12 },
        after: ['after=1', 'before=9'],
        rows: 2,
      },
    ],
    ['/operate', { as: as('operate'), from, action: { kind: 'kill', id: 'E1' } }],
    [
      '/access',
      {
        as: as('approve'),
        from,
        opener: { uid: 1001, loginUid: 1002, loginUser: 'ann' },
        step: 'approve',
        id: 'A1',
        forMs: 60_000,
        uses: 1,
        reason: 'r',
      },
    ],
    ['/refused', { why: 'wrong-host', address: '192.0.2.7', person, what: '/api/me', more: 0 }],
    [
      '/page',
      {
        version: '1.2.3',
        certificates: [
          { role: 'listener', name: '(page)', leftMs: 5 },
          { role: 'client-ca', name: '(page)', leftMs: -5 },
        ],
        people: 1,
        watchers: 2,
        signIns: 3,
        refusedSignIns: 4,
        problem: 'it cannot',
      },
    ],
  ] as const satisfies readonly (readonly [path: string, message: object])[];
}

/** The same of the process that ships records. */
export const shipMessage = {
  version: '1.2.3',
  journal: 'a'.repeat(32),
  sinks: [
    {
      name: 'logs.example.com:6514',
      state: 'away',
      fault: { code: 'dial-refused', text: 'nobody listens' },
      sentSeq: 5,
      safe: { segment: 1, bytes: 900, seq: 4, hash: 'ab'.repeat(32) },
    },
  ],
  notices: [
    {
      name: 'chat',
      delivered: 1,
      failed: 2,
      dropped: 0,
      lagMs: 1.5,
      fault: { code: 'status', status: 500, forMs: 7 },
    },
  ],
  certificates: [{ role: 'receiver', name: 'logs.example.com:6514', leftMs: 5 }],
  problem: 'it cannot',
} as const;

/** The message once for each number in it, with that number replaced. `place`: such as `notices.0.fault.forMs`. */
export function withNumber(
  message: object,
  other: number | null,
): readonly { readonly place: string; readonly message: object }[] {
  return Object.entries(message).flatMap(([key, value]: [string, unknown]) => {
    const put = (changed: unknown): object =>
      Array.isArray(message) ? message.with(Number(key), changed) : { ...message, [key]: changed };
    if (typeof value === 'number') return [{ place: key, message: put(other) }];
    if (typeof value !== 'object' || value === null) return [];
    return withNumber(value, other).map((below) => ({
      place: `${key}.${below.place}`,
      message: put(below.message),
    }));
  });
}
