// The architecture as data: which module of src/ may import what, and how large files may grow. Globals are restricted in .oxlintrc.json.
// The checker knows no module by name. To allow an import, change a line here, and say why in src/README.md.

export interface ModuleRule {
  /**
   * Modules (`domain/judging/policy`), all modules below a folder (`domain/*`), or single files
   * (`adapters/host/clock`) that may be imported, values and types alike. The own module is always allowed.
   */
  readonly imports: readonly string[];
  /** The files of this module that others may import, without `.ts`. Undefined: not yet held to them. */
  readonly public?: readonly string[];
  /** Node modules without `node:`; `fs` stands for `fs/promises` too. `assert` is allowed everywhere. */
  readonly builtins: readonly string[];
  readonly packages: readonly string[];
}

const protocol = ['protocol', 'protocol/handshake', 'protocol/reply', 'protocol/http-api'];
const domain = [
  'language/codes',
  'language/names',
  'language/commands',
  'language/meaning',
  'language/verbs',
  'people/identity',
  'people/keys',
  'people/access',
  'records/audit',
  'judging/policy',
  'judging/answers',
].map((name) => `domain/${name}`);
// The gateway takes narrow option objects, so that none of its tests builds a configuration file.
const belowGateway = [...domain, ...protocol, 'domain/language/words/durations', 'ports', 'concurrency'];
const terminal = ['util', 'readline', 'fs', 'path', 'url', 'tty'];
const belowCli = [
  ...domain,
  'domain/language/words',
  'domain/config',
  'domain/judging/review',
  'domain/judging/proof',
  'domain/records/formats',
  'domain/records/trail',
  'domain/records/report',
  'domain/records/story',
  'domain/records/views',
  'domain/admin/page',
  'domain/admin/door',
  'domain/language/seams',
  'setup',
  ...protocol,
  'ports',
  'concurrency',
  'client',
  'adapters/host',
  'adapters/http/ask',
  'adapters/journal',
  'adapters/shipping',
  'adapters/telemetry',
  'adapters/views',
  'gateway/outcome',
];

/** A rule with what every module may import; what is said replaces the rest. */
function rule(imports: readonly string[], more: Partial<ModuleRule> = {}): ModuleRule {
  return { imports: ['bounds', 'kinds', ...imports], builtins: [], packages: [], ...more };
}

/** Modules: folders of src/, by path; `main` is the file src/main.ts. */
export const modules: Readonly<Record<string, ModuleRule>> = {
  bounds: { imports: [], public: ['bounds'], builtins: [], packages: [] },
  kinds: { imports: [], public: ['kinds'], builtins: [], packages: [] },
  ports: rule([], { public: ['faults', 'machine', 'store', 'transport'] }),
  // Words for people: the same in commands, reports and the browser.
  'domain/language/words': {
    imports: [],
    public: ['words', 'asking', 'moments', 'durations'],
    builtins: [],
    packages: [],
  },
  protocol: rule(['ports'], { public: ['lines', 'command', 'minors', 'releases', 'text'] }),
  'protocol/handshake': rule(['ports', 'protocol/lines', 'protocol/minors', 'protocol/releases'], {
    public: ['accept', 'dial'],
  }),
  'protocol/reply': rule(['ports', 'protocol/lines', 'protocol/minors'], { public: ['reply', 'multiplex'] }),
  'protocol/http-api': rule(['protocol'], { public: ['answer', 'request', 'rows'] }),
  concurrency: rule(['ports'], { public: ['abortable', 'back-off', 'limits', 'ordered-set', 'waiting'] }),

  // What every answer to a client may be explained with; the client library has it too.
  'domain/language/codes': rule([], {
    public: ['codes', 'decisions', 'lock-target', 'locks', 'outcomes', 'said'],
  }),
  // What can be asked about access on request, and with what; the client library has it too.
  'domain/language/verbs': rule([], { public: ['verbs'] }),
  'domain/people/identity': rule([...protocol], {
    public: ['peer', 'origin', 'credentials', 'human', 'person', 'user-name', 'user-word'],
    // net: addresses, no sockets.
    builtins: ['crypto', 'net'],
  }),
  'domain/people/keys': rule(['domain/people/identity', 'domain/language/words'], {
    public: ['authorization', 'key'],
    // zlib: its CRC-32.
    builtins: ['crypto', 'zlib'],
  }),
  'domain/language/names': rule(['domain/people/identity/user-name'], {
    public: ['glob', 'mailbox-names', 'mask', 'nearest-name'],
  }),
  'domain/language/commands': rule(
    [...protocol, 'domain/language/verbs', 'domain/language/names', 'domain/people/identity/user-name'],
    {
      public: ['catalog', 'parse', 'search-query', 'getopt', 'named'],
    },
  ),
  'domain/language/meaning': rule(
    [
      'protocol/minors',
      'protocol/releases',
      'domain/language/names',
      'domain/language/commands',
      'domain/people/identity/user-name',
    ],
    {
      public: ['canonical', 'columns', 'reach'],
    },
  ),
  'domain/records/audit': rule([], {
    public: [
      'access-book',
      'encode',
      'keys',
      'ledger',
      'lock-book',
      'record',
      'redact',
      'state',
      'stored',
      'turns',
      'arguments-check',
    ],
    builtins: ['crypto'],
    packages: ['zod'],
  }),
  // What became of a command, folded from its records; in sentences, too. The browser has all but the sentences and `content`.
  'domain/records/story': rule(
    [
      'ports/transport',
      'domain/language/codes',
      'domain/language/commands',
      'domain/language/meaning',
      'domain/language/names',
      'domain/language/words',
      'domain/records/audit',
    ],
    {
      public: [
        'content',
        'row',
        'story',
        'words',
        'grant',
        'incidents',
        'owner',
        'owner-view',
        'class',
        'next',
        'operator',
        'fold',
      ],
    },
  ),
  // Records as other programs read them: their JSON Schema, OpenTelemetry.
  'domain/records/formats': rule(
    [
      'domain/language/codes',
      'domain/language/commands',
      'domain/records/audit',
      'domain/records/story',
      'domain/records/trail',
    ],
    { public: ['otlp', 'record-schema', 'severity'] },
  ),
  'domain/records/trail': rule(
    [
      'domain/language/names',
      'domain/people/identity/user-name',
      'domain/records/audit',
      'domain/records/story',
    ],
    {
      public: [
        'checkpoints',
        'export',
        'run-ends',
        'search',
        'sketch',
        'user-search',
        'verify',
        'sketch-test',
      ],
    },
  ),
  // Many journals in one stream: how they travel, and what whoever reads all of them finds.
  'domain/records/fleet': rule(
    [
      'domain/language/names',
      'domain/people/identity/user-name',
      'domain/records/audit',
      'domain/records/trail',
      'domain/records/streams',
      'domain/language/seams',
      'domain/language/words',
    ],
    {
      public: ['block', 'fleet', 'names', 'shapes', 'checkpoint', 'findings', 'mirrored'],
      builtins: ['crypto'],
      packages: ['zod'],
    },
  ),
  // The names of objects in the store where many journals meet.
  'domain/records/store': rule([], { public: ['names'] }),
  // Whether a stream keeps what it was sent.
  'domain/records/streams': rule(['domain/records/audit'], { public: ['made', 'strength'] }),
  // What became of a grant: one fold over its records, and its sentences.
  'domain/records/report': rule(
    [
      'domain/people/identity/user-name',
      'domain/records/audit',
      'domain/records/story',
      'domain/records/trail',
      'domain/records/fleet/shapes',
      'domain/records/views/only-counted',
      'domain/admin/page',
      'domain/language/words',
    ],
    {
      public: [
        'access',
        'report',
        'owner',
        'completeness',
        'findings',
        'proof',
        'hosts',
        'html',
        'lines',
        'touch',
        'causes',
        'whose',
      ],
      builtins: ['crypto'],
    },
  ),
  // What the page in the browser and the daemon say to each other. The page imports types from it.
  'domain/admin/page': rule(
    [
      'domain/language/verbs',
      'domain/language/words',
      'domain/language/seams',
      'domain/records/audit/stored',
      'domain/records/story',
    ],
    {
      public: [
        'access',
        'access-words',
        'api',
        'fleet',
        'history',
        'leave-out',
        'proof',
        'requests',
        'roles',
        'trail',
      ],
      packages: ['zod'],
    },
  ),
  // What is wrong now, and how the last minutes went, for people who look at it.
  'domain/admin/now': rule(
    [
      'domain/language/codes',
      'domain/records/audit',
      'domain/records/story',
      'domain/people/keys/key',
      'domain/admin/page',
      'domain/language/words',
    ],
    {
      public: ['history', 'problems', 'refused-logins', 'running'],
    },
  ),
  // The parts of the shapes that cross our own seams.
  'domain/language/seams': rule(['domain/records/audit'], { public: ['shape'], packages: ['zod'] }),
  'domain/records/views': rule(
    [
      'domain/language/names',
      'domain/language/words',
      'domain/records/audit',
      'domain/records/story',
      'domain/records/trail',
      'domain/admin/page',
      'domain/language/seams',
    ],
    {
      public: [
        'asked',
        'extract',
        'extract-head',
        'filter',
        'histogram',
        'look',
        'only-counted',
        'view',
        'filter-shape',
      ],
      builtins: ['crypto'],
      packages: ['zod'],
    },
  ),
  // What the processes of page and ship ask of the daemon.
  'domain/admin/door': rule(
    [
      'domain/config',
      'domain/language/verbs',
      'domain/records/audit',
      'domain/admin/notices/receiver',
      'domain/admin/page',
      'domain/language/seams',
      'domain/records/views',
    ],
    {
      public: ['door', 'parse', 'ship', 'ship-event'],
      packages: ['zod'],
    },
  ),
  // What people outside of dovegate are told of temporary access.
  'domain/admin/notices': rule(
    [
      'domain/records/audit',
      'domain/records/story/owner-view',
      'domain/judging/policy',
      'domain/language/seams',
      'domain/language/words',
    ],
    {
      public: ['fault', 'forms', 'notice', 'plain-text', 'receiver', 'notice-fault'],
      packages: ['zod'],
    },
  ),
  'domain/judging/policy': rule(
    [
      ...protocol,
      'domain/language/words/durations',
      'domain/language/codes',
      'domain/language/names',
      'domain/language/commands',
      'domain/language/meaning',
      'domain/people/identity',
      'domain/records/audit',
    ],
    {
      public: [
        'assess',
        'policy',
        'terms',
        'attempt',
        'decide',
        'grant',
        'hold',
        'judge',
        'lock',
        'match',
        'regex',
        'regex-parser',
        'route',
        'value-test',
        'outcome',
        'test-text',
      ],
      packages: ['lru-cache'],
    },
  ),
  'domain/judging/answers': rule(
    [
      ...protocol,
      'domain/language/names',
      'domain/language/codes',
      'domain/language/commands',
      'domain/language/meaning',
      'domain/records/audit',
      'domain/judging/policy',
      'domain/language/words',
    ],
    {
      public: [
        'rights',
        'explanation',
        'example',
        'command-list',
        'own-questions',
        'statement',
        'read-answer',
      ],
    },
  ),
  // Who asks for access for a time, who may approve it, and what each step records.
  'domain/people/access': rule(
    [
      'domain/language/verbs',
      'domain/people/identity',
      'domain/records/audit',
      'domain/judging/policy',
      'domain/admin/page/access',
    ],
    {
      public: ['asker', 'item', 'steps'],
    },
  ),
  'domain/config': rule(
    [
      ...protocol,
      ...domain,
      'domain/language/words/durations',
      'domain/records/views',
      'domain/records/fleet',
      'domain/admin/notices/receiver',
      'domain/admin/page',
    ],
    {
      public: [
        'admin-schema',
        'parse-settings',
        'settings',
        'sinks',
        'problem',
        'parse-fleet',
        'read-files',
        'kept-files',
        'policy-list',
        'parse-client',
        'sink-files',
        'without-doubtful',
      ],
      builtins: ['path'],
      packages: ['yaml', 'zod'],
    },
  ),
  'domain/judging/review': rule(
    [
      ...protocol,
      'domain/config',
      'domain/records/story',
      'domain/records/trail',
      'domain/language/words',
      ...domain,
    ],
    {
      public: [
        'alone',
        'replay',
        'spent',
        'suggest',
        'generalise',
        'granting',
        'policy-changes',
        'policy-periods',
        'policy-text',
        'policy-words',
        'recorded',
        'suggested-rule',
        'sightings',
      ],
      packages: ['yaml'],
    },
  ),

  // Whether a statement about the policies of a configuration holds.
  'domain/judging/proof': rule(
    [...domain, ...protocol, 'domain/config', 'domain/records/story/content', 'domain/language/words'],
    { public: ['prove', 'more', 'words'] },
  ),

  'gateway/outcome': rule(belowGateway, { public: ['outcome', 'events', 'journal'] }),
  'gateway/lookup': rule([...belowGateway, 'gateway/outcome'], {
    public: ['lookup', 'resolve-user'],
    packages: ['lru-cache'],
  }),
  'gateway/pool': rule([...belowGateway, 'gateway/outcome', 'gateway/lookup'], {
    public: ['pool', 'lease', 'upstream', 'dial'],
  }),
  'gateway/relay': rule([...belowGateway, 'gateway/outcome', 'gateway/pool'], {
    public: ['relay', 'reply-writer', 'input'],
  }),
  // Requests and grants of access: who has which, until when.
  'gateway/access': rule([...belowGateway, 'domain/admin/page/access', 'gateway/outcome'], {
    public: ['desk', 'live-entry', 'locks', 'owner-reports', 'result'],
  }),
  'gateway/command': rule(
    [...belowGateway, 'gateway/outcome', 'gateway/access', 'gateway/lookup', 'gateway/pool', 'gateway/relay'],
    {
      public: [
        'count-without-client',
        'assessment',
        'context',
        'exchange',
        'exchange-records',
        'overdue',
        'own-commands',
        'stated',
      ],
    },
  ),
  'gateway/login': rule([...belowGateway, 'gateway/outcome'], { public: ['logins', 'key-uses'] }),
  'gateway/session': rule(
    [...belowGateway, 'gateway/outcome', 'gateway/relay', 'gateway/command', 'gateway/login'],
    { public: ['service', 'greet-peer', 'refused-peer'] },
  ),

  'adapters/net': rule(['ports', 'concurrency', 'domain/people/identity', 'adapters/host/system-trust'], {
    public: ['dial', 'listen', 'tls-accept', 'transport'],
    // crypto: the names of OpenSSL's options.
    builtins: ['net', 'dns', 'tls', 'stream', 'fs', 'path', 'crypto'],
  }),
  // HTTP for whoever speaks it: requests over a transport; and the one server of the admin endpoints and the page.
  'adapters/http': rule(['ports', 'concurrency', 'domain/people/identity/peer'], {
    public: ['ask', 'connections', 'requests', 'routes', 'server', 'source'],
    builtins: ['http', 'https', 'net', 'stream', 'url'],
  }),
  'adapters/host': rule(['ports', 'concurrency', 'domain/people/identity', 'gateway/outcome'], {
    // tls, crypto: the system's list of authorities, as a context that connections share. v8, vm: to collect garbage.
    builtins: [
      'fs',
      'path',
      'os',
      'child_process',
      'process',
      'timers',
      'perf_hooks',
      'tls',
      'crypto',
      'v8',
      'vm',
    ],
    // Those after koffi are only looked for.
    packages: ['koffi', '@nats-io/transport-node', 'nodemailer', 'openid-client'],
  }),
  // Threads with orders and reports, for whoever has one.
  'adapters/threads': rule([], { public: ['thread'], builtins: ['worker_threads'] }),
  'adapters/journal': rule(
    [
      'ports',
      'concurrency',
      'domain/language/words',
      'domain/records/audit',
      'domain/records/trail',
      'domain/records/views',
      'gateway/outcome',
      'adapters/host/native',
      'adapters/host/regular-file',
      'adapters/threads',
    ],
    {
      public: [
        'compressed',
        'has-record',
        'journal',
        'kept-end',
        'maintenance',
        'search-trail',
        'segments',
        'trail',
        'unseen',
        'kept-policies',
        'read-back',
        'trail-size',
      ],
      builtins: ['fs', 'path', 'crypto', 'zlib', 'worker_threads'],
    },
  ),
  // The journal, as people may see it who have no rights on its files.
  'adapters/views': rule(
    [
      'ports',
      'concurrency',
      'domain/people/access/item',
      'domain/records/audit',
      'domain/records/story',
      'domain/records/trail',
      'domain/records/report',
      'domain/admin/page',
      'domain/records/views',
      'domain/language/words',
      'adapters/journal',
    ],
    { public: ['find-exchange', 'read-access', 'read-incidents', 'read-long', 'read-trail'] },
  ),
  // The one user of the NATS library, which is an optional package: loaded when a link is opened.
  'adapters/nats': rule(
    [
      'ports',
      'concurrency/waiting',
      'domain/records/audit/encode',
      'domain/records/audit/record',
      'domain/records/audit/stored',
      'domain/records/fleet',
      'domain/records/streams',
      'adapters/host/clock',
      'adapters/host/optional-packages',
      'adapters/host/system-trust',
    ],
    {
      public: ['dial', 'fault', 'jwt', 'link', 'nkeys', 'rights', 'servers'],
      // net, tls: the library's bytes, with bounds. crypto: addresses in a certificate.
      builtins: ['fs', 'net', 'tls', 'crypto'],
      packages: ['@nats-io/transport-node'],
    },
  ),
  // Immutable objects: in a folder.
  'adapters/store': rule(['ports', 'adapters/host/regular-file'], {
    public: ['folder'],
    builtins: ['fs', 'path'],
  }),
  // Reads the journal as everybody else does; how it reaches a receiver is handed in.
  'adapters/shipping': rule(
    [
      'ports',
      'concurrency',
      'domain/records/audit',
      'domain/records/fleet',
      'domain/records/formats',
      'domain/admin/door/ship-event',
      'domain/admin/notices/fault',
      'domain/admin/notices/notice-fault',
      'gateway/outcome',
      'adapters/journal',
      'adapters/nats',
      'adapters/http/ask',
      'adapters/notices/connection',
      'adapters/host/regular-file',
    ],
    {
      public: [
        'carrier',
        'file-carrier',
        'find-record',
        'follow',
        'nats-carrier',
        'otlp-carrier',
        'shipping',
        'syslog-carrier',
      ],
      builtins: ['crypto', 'fs', 'path', 'http', 'https', 'url'],
    },
  ),
  'adapters/telemetry': rule(
    [
      'ports',
      'concurrency',
      'domain/records/audit',
      'domain/language/codes',
      'domain/people/keys/key',
      'domain/admin/door/ship-event',
      'domain/admin/notices',
      'domain/admin/now/problems',
      'domain/admin/now/running',
      'domain/judging/policy/decide',
      'domain/records/story/owner',
      'gateway/outcome',
      'gateway/lookup/resolve-user',
      'adapters/host/optional-packages',
    ],
    {
      public: ['codes', 'log', 'loop-lag', 'metrics', 'log-codes'],
      packages: ['pino', 'pino-pretty', 'prom-client'],
    },
  ),
  'adapters/admin': rule(
    [
      'ports',
      'concurrency',
      'domain/people/identity',
      'domain/records/audit',
      'domain/admin/door',
      'domain/admin/now/problems',
      'domain/admin/now/running',
      'gateway/outcome',
      'adapters/http',
    ],
    { public: ['access', 'admin', 'pages'] },
  ),

  // Asking the daemon at one of its doors.
  'adapters/door': rule(['ports', 'concurrency', 'domain/admin/door', 'adapters/http/ask'], {
    public: ['door-client'],
    builtins: ['http'],
  }),
  // HTTP for the page: its files, who has a session, and requests of people.
  'adapters/page': rule(
    [
      'ports',
      'concurrency',
      'domain/people/identity',
      'domain/admin/page',
      'domain/admin/door',
      'adapters/http',
      'adapters/host/clock',
      'adapters/host/optional-packages',
      'adapters/host/system-trust',
    ],
    {
      public: ['issuer', 'page-request', 'page-files', 'page-server', 'page-sessions', 'people-socket'],
      builtins: ['fs', 'path', 'crypto', 'http', 'url', 'zlib'],
      packages: ['openid-client'],
    },
  ),
  // Webhooks and mails. The library for mail is an optional package: loaded when the first mail is sent.
  'adapters/notices': rule(
    [
      'ports',
      'domain/records/audit/record',
      'domain/records/audit/stored',
      'domain/people/identity/peer',
      'domain/admin/notices',
      'domain/language/seams',
      'adapters/host/regular-file',
      'adapters/host/system-trust',
      'adapters/http/ask',
    ],
    {
      public: ['connection', 'mail', 'place-file', 'webhook'],
      builtins: ['crypto', 'dns', 'fs', 'https', 'net', 'path', 'tls', 'url'],
      packages: ['nodemailer', 'zod'],
    },
  ),
  // The page itself, in the browser.
  web: {
    imports: [
      'domain/records/audit/stored',
      'domain/admin/page',
      'domain/records/story',
      'domain/language/words',
      'concurrency/back-off',
    ],
    builtins: [],
    packages: ['preact'],
  },

  setup: rule(
    [
      'ports',
      'protocol/releases',
      'domain/*',
      'adapters/net',
      'adapters/host',
      'adapters/journal/segments',
      'adapters/telemetry/log',
    ],
    {
      public: [
        'configuration',
        'configuration-beside',
        'configuration-text',
        'inspect',
        'inspect-beside',
        'certificates',
        'life',
        'peers',
        'dial-target',
        'nats-target',
        'doveconf',
        'sockets',
        'unit',
        'asker',
      ],
      builtins: ['fs', 'path', 'crypto', 'worker_threads'],
    },
  ),
  // The catalog is loaded when it is needed only (command-columns).
  client: rule(
    [
      ...protocol,
      'ports',
      'domain/language/verbs',
      'domain/language/codes',
      'domain/language/commands',
      'domain/language/meaning',
      // Types of the answers about access.
      'domain/admin/page/access',
      'adapters/net',
      'adapters/host/clock',
      'adapters/host/system-trust',
    ],
    {
      public: ['connect'],
      builtins: ['http', 'https'],
    },
  ),
  // Tools for AI agents: a program of its own (@dovegate/mcp), beside the library that it uses. Nothing imports it.
  mcp: rule(
    [
      'client',
      'concurrency',
      'ports',
      'protocol',
      'domain/language/verbs',
      'domain/judging/answers/read-answer',
      'domain/judging/answers/rights',
      'domain/language/commands',
      'domain/language/meaning',
      'domain/judging/policy/policy',
      'domain/records/audit/stored',
      'adapters/host/clock',
      'adapters/host/process',
    ],
    { public: ['mcp'], builtins: ['fs', 'util'], packages: ['@modelcontextprotocol/server'] },
  ),
  // It talks to clients, backends and Dovecot's auth service: nothing that talks to a receiver or a browser is here.
  daemon: rule(
    [
      'domain/*',
      'setup',
      ...protocol,
      'ports',
      'concurrency',
      'gateway/*',
      'adapters/admin',
      'adapters/host',
      'adapters/http',
      'adapters/journal',
      'adapters/net',
      'adapters/telemetry',
    ],
    {
      public: ['serve'],
      builtins: ['path', 'process'],
      // The shapes of files in the state directory.
      packages: ['zod'],
    },
  ),
  // The page's own process. Of the gateway only the defense of logins, which reaches no backend.
  page: rule(
    [
      'domain/*',
      'setup',
      ...protocol,
      'ports',
      'concurrency',
      'gateway/login',
      'adapters/page',
      'adapters/door',
      'adapters/views',
      'adapters/host',
      'adapters/http',
      'adapters/journal',
      'adapters/net',
      'adapters/telemetry',
    ],
    {
      public: ['page'],
      builtins: ['process', 'events', 'worker_threads', 'crypto', 'fs'],
      // The shapes of requests of the browser, and of files that others write.
      packages: ['zod'],
    },
  ),

  // The process that sends records and notices. It knows the gate by its door only.
  ship: rule(
    [
      'domain/*',
      'setup',
      'ports',
      'concurrency',
      'adapters/door',
      'adapters/host',
      'adapters/journal',
      'adapters/nats',
      'adapters/net',
      'adapters/notices',
      'adapters/shipping',
      'adapters/telemetry',
    ],
    { public: ['ship'], builtins: ['fs', 'process'] },
  ),

  'cli/output': rule(['ports', 'domain/language/words', ...domain], {
    public: ['output', 'screen', 'row-printer'],
    builtins: ['util'],
  }),
  'cli/audit': rule([...belowCli, 'domain/records/fleet/checkpoint', 'cli/output'], {
    public: ['audit', 'audit-search', 'audit-table', 'fleet-places'],
    builtins: terminal,
    packages: ['commander', 'picocolors', 'zod'],
  }),
  // The trail of many gates: read from the stream where it meets.
  'cli/fleet': rule(
    [
      ...belowCli,
      'domain/records/fleet',
      'domain/records/streams',
      'adapters/nats',
      'adapters/door',
      'cli/output',
      'cli/audit',
    ],
    {
      public: ['fleet'],
      // crypto: certificates of a fleet. net: addresses in them, no sockets.
      builtins: ['fs', 'path', 'http', 'crypto', 'net', 'readline'],
      packages: ['commander', 'prom-client', 'zod'],
    },
  ),
  // `send`, and the program under the name of doveadm.
  'cli/doveadm': rule([...belowCli, 'cli/output'], {
    public: ['doveadm', 'server-door', 'ask', 'ask-daemon', 'typed-command'],
    builtins: terminal,
    packages: ['commander', 'picocolors'],
  }),
  // One command for many users.
  'cli/bulk': rule([...belowCli, 'cli/output', 'cli/doveadm'], {
    public: ['bulk', 'pace'],
    builtins: ['crypto', 'fs', 'path', 'readline'],
  }),
  // Access on request: asking, deciding, and both for people to read.
  'cli/access': rule([...belowCli, 'cli/output', 'cli/doveadm'], { public: ['ask-access'] }),
  // What `init` asks, and what it writes.
  'cli/begin': rule([...belowCli, 'cli/output', 'cli/health'], {
    public: ['init', 'hash-password', 'key-new'],
    builtins: [...terminal, 'stream'],
  }),
  // What `doctor` looks at: it dials as the daemon does.
  'cli/health': rule(
    [
      ...belowCli,
      'domain/records/fleet/block',
      'domain/records/fleet/names',
      'cli/output',
      'gateway/lookup',
      'gateway/pool',
      'adapters/net',
      'adapters/nats/fault',
      'adapters/nats/link',
      'adapters/host/optional-packages',
    ],
    {
      public: [
        'backend-look',
        'look',
        'looks',
        'daemon-look',
        'listener-look',
        'start-look',
        'stream-look',
        'dovecot-look',
      ],
      // crypto: when certificates end.
      builtins: [...terminal, 'crypto'],
    },
  ),
  // Policy in words, and tried: a file's problems, what somebody may do, what becomes of a line, what past records say.
  'cli/policy': rule([...belowCli, 'cli/output', 'cli/doveadm'], {
    public: ['can', 'check', 'explain', 'named-listener', 'prove', 'replay', 'suggest', 'test'],
    builtins: terminal,
    packages: ['picocolors'],
  }),
  // What is asked of a running daemon, and told to it.
  'cli/admin': rule([...belowCli, 'cli/output', 'cli/health', 'cli/audit'], {
    public: ['ask-status', 'doctor', 'kill', 'lock', 'operate', 'status'],
    builtins: terminal,
    packages: ['picocolors', 'zod'],
  }),
  cli: rule([...belowCli, 'domain/admin/now', 'cli/*', 'daemon/serve', 'page/page', 'ship/ship'], {
    public: ['program', 'help', 'send-command', 'serve-command'],
    builtins: terminal,
    packages: ['commander', 'picocolors'],
  }),
  main: rule(['cli', 'cli/doveadm', 'domain/judging/review', 'ports', 'adapters/host/outputs'], {
    builtins: ['process', 'path'],
  }),
};

export const builtinsEverywhere: readonly string[] = ['assert'];

/** No file is named so, nor ends in `-` and one of these. */
export const bannedFileNames: readonly string[] =
  'utils util helpers helper common misc shared base types manager index'.split(' ');
