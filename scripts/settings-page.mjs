// The reference of all settings: name, type, bounds and default from the schema of the built program, and one line of meaning each.
import { describedSchema } from '../dist/domain/config/schema.js';

/** What each key means, by its path; one that is missing here fails. */
const meanings = {
  version: 'of this format; must be 1',
  include: 'other files, merged into this one; a name that two of them define is a problem',
  state: 'directory of what must outlive the daemon besides records',
  'log.level': 'from which level on the log is written',
  'listeners.NAME.unix': 'path of the UNIX socket, at most 107 bytes',
  'listeners.NAME.tcp': '`ADDRESS:PORT` or `"[IPV6]:PORT"`; needs `tls`, and `accounts` or `keys`',
  'listeners.NAME.systemd': '`FileDescriptorName=` of a socket that systemd hands over',
  'listeners.NAME.mode': 'permission bits of the UNIX socket, in quotes',
  'listeners.NAME.owner': "user that owns the UNIX socket; default: the daemon's",
  'listeners.NAME.group': "group of the UNIX socket; default: the daemon's",
  'listeners.NAME.policy': 'policy of everybody who is let in',
  'listeners.NAME.sessions': 'sessions at once; more are refused',
  'listeners.NAME.sessions_per_peer': 'sessions at once of one uid or one address',
  'listeners.NAME.policies': 'policies by person, first match wins: `{ peers, policy }`',
  'listeners.NAME.policies[].peers.users': 'names or uids that the policy is for',
  'listeners.NAME.policies[].peers.groups': 'names or gids that the policy is for',
  'listeners.NAME.policies[].policy': 'its name',
  'listeners.NAME.peers.users': 'names or uids that may connect; default: everybody who can open the socket',
  'listeners.NAME.peers.groups': 'names or gids that may connect',
  'listeners.NAME.from': 'networks that may connect by TCP; default: every address',
  'listeners.NAME.tls.mode': 'by STARTTLS, from the first byte (default with `http`), or none (loopback)',
  'listeners.NAME.tls.certificate': 'certificate with its chain, PEM',
  'listeners.NAME.tls.key': 'its private key, PEM without a passphrase',
  'listeners.NAME.tls.client_ca': 'authorities whose client certificates count, PEM',
  'listeners.NAME.accounts.NAME.policy': 'policy of the account',
  'listeners.NAME.accounts.NAME.password_hash': 'hash that `dovegate hash-password` prints',
  'listeners.NAME.accounts.NAME.certificate_name': 'name in its client certificate',
  'listeners.NAME.accounts.NAME.key_pins': 'only these keys of client certificates: `sha256:...`',
  'listeners.NAME.protocol': "what clients speak: Dovecot's doveadm protocol, or its HTTP API",
  'listeners.NAME.refusal_cell': 'clients of minor 0 get the reason of a refusal as one cell',
  'listeners.NAME.keys.NAME.hash': 'hash of a key, as `dovegate key new` prints it; or a list',
  'listeners.NAME.keys.NAME.hash[].hash': 'one of the hashes while a key is replaced',
  'listeners.NAME.keys.NAME.hash[].until': 'day after which this hash is refused',
  'listeners.NAME.keys.NAME.policy': 'policy of the key',
  'listeners.NAME.keys.NAME.expires': 'day after which the key is refused',
  'listeners.NAME.keys.NAME.from': 'networks that the key may be used from',
  'mail_users.default_realm': 'domain that is appended to a user without one',
  'mail_users.characters': 'characters that user names may have; default `A-Za-z0-9._+=@-`',
  'mail_users.resolve': "socket of Dovecot's auth service that resolves aliases",
  'backends.NAME.address': '`HOST:PORT` or `unix:PATH`',
  'backends.NAME.tls': 'TLS of upstreams; default `starttls`, `off` for a UNIX socket',
  'backends.NAME.ca': "accepted authorities, PEM; default: the system's",
  'backends.NAME.server_name': 'name or IP address in its certificate; default: the host of the address',
  'backends.NAME.key_pins': 'accepted keys, besides chain and name: `sha256:...`',
  'backends.NAME.allow_plaintext': 'permits `tls: off` beyond loopback; default `false`',
  'backends.NAME.username': 'user of the login at the backend',
  'backends.NAME.password_file': 'file with its password, or a list that is tried in order',
  'backends.NAME.series': 'series of Dovecot; default `auto`: by what the backend announces',
  'backends.NAME.shared_namespaces': 'prefixes of its shared and public namespaces, `[]` for none',
  'backends.NAME.namespaces': 'all of its namespaces, instead of `shared_namespaces`',
  'backends.NAME.namespaces[].prefix': 'first characters of the names of its mailboxes',
  'backends.NAME.namespaces[].separator': 'its separator; default: the last character of the prefix',
  'backends.NAME.namespaces[].inbox': 'whether the INBOX is in it; default `false`',
  'backends.NAME.namespaces[].alias_for': 'prefix of the namespace whose mailboxes it shows',
  'backends.NAME.namespaces[].kind': 'default `private`',
  'backends.NAME.connections': 'upstreams at most',
  'backends.NAME.idle': 'upstreams that are kept open; default 1; 0: none, and the backend is not probed',
  'backends.NAME.idle_timeout': 'an idle upstream beyond `idle` is closed after this time',
  'backends.NAME.max_lifetime': 'an upstream is replaced after this time',
  'backends.NAME.connect_timeout': 'time for a connection and TLS',
  'backends.NAME.greeting_timeout': 'time for the greeting and the login',
  'backends.NAME.drained': '`true`: its commands get `-TEMPFAIL`, running ones finish',
  routes: 'where the users live; the first match counts',
  'routes[].users': 'patterns on users',
  'routes[].backend': 'backend of these users',
  'routes[].spread': 'backends over which these users are spread by name',
  'routes[].passdb': "socket of Dovecot's auth service that knows the backend of a user",
  'routes[].cache_ttl': 'how long an answer of `passdb` counts',
  'policies.NAME.mode':
    '`observe`: what concerns named mailboxes is allowed, and what `enforce` would say is recorded',
  'policies.NAME.users': 'patterns on the users that the policy covers',
  'policies.NAME.except': 'patterns on users that it never covers',
  'policies.NAME.use': 'shipped presets: a name, or `{ preset, with }`',
  'policies.NAME.use[].preset': 'name of a shipped preset, as `presets/support-desk`',
  'policies.NAME.use[].with': 'values of its parameters, by name',
  'policies.NAME.allow': 'rules; what none of them allows is denied',
  'policies.NAME.deny': 'rules that hold whatever is allowed; only `command`, `where` and `users`',
  'policies.NAME.shadow': 'file with a candidate whose decisions are recorded only',
  'policies.NAME.limits.rate': 'commands of one requester',
  'policies.NAME.limits.distinct_users': 'different users that one requester names',
  'policies.NAME.limits.at_once': 'running commands of one requester',
  'policies.NAME.logs': 'log lines of backends that reach the client',
  'policies.NAME.debug': 'whether clients may ask for debug lines',
  'policies.NAME.weight': 'turns of each requester while others wait for the same backend',
  'RULE.command': 'full name of a command',
  'RULE.where': 'conditions on its parameters ([conditions](conditions.md))',
  'RULE.users': 'patterns on users, within those of the policy',
  'RULE.reason': '`required`: the client must give a reason',
  'RULE.limit': 'how often one requester may use the rule',
  'RULE.max_matches': 'mails that the search query may find at most',
  'RULE.max_users': 'users that one command line may name; default `limits.users`',
  'RULE.expires': 'last day, or the time at which the rule ends',
  'RULE.emergency': 'served even while the audit disk has only its reserve left',
  'RULE.root_equivalent': 'permits a command that amounts to root on the mail server',
  'RULE.masks': 'permits masks where the command takes them',
  'RULE.shared': 'permits mailboxes in shared and public namespaces',
  'RULE.all_users': 'permits `-A` and lists of users, in a policy for everybody',
  'RULE.content': 'permits what shows the content of mails',
  server_commands:
    'where commands go that name no user: `all`, `by_user` or a backend, by command and `default`',
  tests: 'command lines, and what the policies must say of them (`dovegate test`)',
  'tests[].listener': 'listener of the test',
  'tests[].as.user': 'name of who asks',
  'tests[].as.groups': 'groups of who asks',
  'tests[].as.account': 'account of who asks, at a TCP listener',
  'tests[].user': 'user field of the command; default: none',
  'tests[].command': 'words of the command line',
  'tests[].series': 'series of the backend; default: that of the backends of the user',
  'tests[].client': 'minor of the protocol that the client announces',
  'tests[].expect': 'what must be answered',
  'audit.directory': 'directory of the journal',
  'audit.group': 'group that may read the journal; default: nobody',
  'audit.strict':
    'effects whose record is on disk before the command is sent; those of the others are in `memory` then',
  'audit.memory':
    'file in memory that keeps records over a crash until they are on disk; `off`: all effects are strict',
  'audit.memory_size':
    'its size, 64KiB to 1GiB, raised where `limits.line` needs more: half of it is what a slow disk may leave unwritten',
  'audit.segment': 'size at which a journal file is closed; 64KiB to 512MiB',
  'audit.deadline': 'a slower write or sync has failed',
  'audit.keep': 'how long records are kept',
  'audit.keep_min': 'nothing younger is removed for its size',
  'audit.max_size': 'all journal files together, or a share of the file system',
  'audit.unshipped_max': 'what a receiver does not have yet is kept up to this size',
  'audit.reserve': 'kept free for a full disk',
  'audit.sign_key': 'Ed25519 key that signs checkpoints (PEM, PKCS#8); default: made in `state`',
  'audit.checkpoint_interval': 'time between checkpoints',
  'audit.hmac_key': 'key under which secret arguments are recorded; default: made in the directory',
  'audit.ship': 'receivers of every record',
  'audit.ship[].syslog': '`HOST:PORT` of a syslog receiver with TLS',
  'audit.ship[].nats': 'instead: `tls://HOST:PORT` of the servers of a NATS cluster, several with commas',
  'audit.ship[].stream':
    'nats: the prefix of the stream: `PREFIX_HOST`, as `dovegate audit fleet init` makes it',
  'audit.ship[].host':
    "nats: a word for this host, part of the subject; default: the machine's name, `_` for dots",
  'audit.ship[].credentials': 'nats: a `.creds` file; or certificate and key',
  'audit.ship[].settle':
    'nats: kept here so long after an acknowledgement; `0s` only where the servers sync always',
  'audit.ship[].ca': "accepted authorities, PEM; default: the system's",
  'audit.ship[].server_name': 'syslog: name or IP address in its certificate; default: the host',
  'audit.ship[].key_pins': 'syslog: accepted keys, besides chain and name: `sha256:...`',
  'audit.ship[].certificate': 'certificate that is shown to the receiver, PEM',
  'audit.ship[].key': 'its private key, PEM',
  'limits.line': 'a command line; 1KiB to 878KiB',
  'limits.queue': 'commands that wait for one backend',
  'limits.queue_timeout': 'how long a command waits for an upstream',
  'limits.reply_idle': 'longest pause within a reply',
  'limits.client_stall': 'a client that takes no byte for so long is closed',
  'limits.min_rate': 'bytes a second of a client that others wait for; it rises after 5 s',
  'limits.log_lines': 'log lines of one command that are handed on and recorded',
  'limits.handshake': 'from the accept to the end of the login',
  'limits.drain': 'time for running commands when the daemon stops',
  'limits.input': 'text after `save` and `sieve put`',
  'limits.input_time': 'time for such a text; below 300s',
  'limits.buffered': 'memory for such texts, all sessions together',
  'limits.users': 'users that one command line may name',
  'limits.http_body': 'body of one HTTP request',
  'limits.http_stored': 'bodies above 1 MiB on disk, all sessions together; at least `http_body`',
  'limits.http_stored_per_principal': 'the same of one requester; at least `http_body`',
  'limits.http_commands': 'commands of one HTTP request',
  'limits.deadline.read': 'from sending to the first byte of the reply, by effect',
  'limits.deadline.session': 'the same for sessions',
  'limits.deadline.write': 'the same for changes',
  'limits.deadline.admin': 'the same for administration',
  'limits.deadline.destroy': 'the same for removals',
  'admin.unix': 'path of the admin socket; default: none',
  'admin.mode': 'permission bits of the admin socket, in quotes',
  'admin.tcp': 'address and port of the admin endpoints; beyond loopback with `tls` and `token_file` only',
  'admin.tls.certificate': 'file with the certificate of `admin.tcp` and its chain (PEM)',
  'admin.tls.key': 'file with the key of that certificate (PEM)',
  'admin.token_file': 'file with the token for `admin.tcp`',
  'admin.door':
    "path of the socket where the page's process asks the daemon; mode 0660 for the group `dovegate-page` where there is one, else 0600",
  'admin.page.tcp':
    'address and port of the page for browsers; beyond loopback with `tls` only; default: none',
  'admin.page.tls.certificate': 'file with the certificate of the page and its chain (PEM)',
  'admin.page.tls.key': 'file with the key of that certificate (PEM)',
  'admin.page.tls.client_ca': 'file with the authorities of certificates of people (PEM)',
  'admin.page.unix': 'path of the socket where people of this host ask; the kernel says who connects',
  'admin.page.mode': 'permission bits of that socket, in quotes',
  'admin.page.owner': 'owner of that socket, where systemd does not make it; default: the user of the page',
  'admin.page.group': 'group of that socket, where systemd does not make it; default: the group of the page',
  'admin.page.people.NAME.user': 'the user of this host, by name or number; needs `unix`',
  'admin.page.people.NAME.certificate_name':
    'a name in their client certificate; needs `tcp` and `tls.client_ca`',
  'admin.page.people.NAME.password_hash':
    'hash of their password, from `dovegate hash-password`; needs `tcp`',
  'admin.page.people.NAME.role':
    '`view`: how it runs, no names of users; `operate`: also drain, enable and kill; `audit`: the records',
  'admin.page.people.NAME.roles': 'several of them, in the place of `role`, as `[operate, audit]`',
  'admin.page.people.NAME.users':
    'patterns of the mail users whose records they may see; absent: all records',
  'admin.page.fleet':
    '`status.json` of `dovegate audit fleet watch`: screen Proof shows all gates; default: none',
};

/** Maps whose values are conditions, parameters or targets; a rule is listed once. */
const leaves = /(\.where|\.with|server_commands)$/;
const rule = /^policies\.NAME\.(allow|deny)\[\]\./;

/** Every setting of a schema: its path and its node. */
function* settingsIn(node, path) {
  const below = path === '' ? '' : `${path}.`;
  if (leaves.test(path)) {
    yield [path, node];
    return;
  }
  const parts = [node, ...(node.anyOf ?? [])];
  const inner = parts.flatMap((part) => [
    ...Object.entries(part.properties ?? {}).map(([key, value]) => [`${below}${key}`, value]),
    ...(typeof part.additionalProperties === 'object' ? [[`${below}NAME`, part.additionalProperties]] : []),
    ...(part.items?.properties || part.items?.anyOf?.some((each) => each.properties)
      ? [[`${path}[]`, part.items]]
      : []),
  ]);
  const isMap = parts.some((part) => part.properties || typeof part.additionalProperties === 'object');
  if (!isMap && !path.endsWith('[]')) yield [path, node];
  for (const [key, value] of inner) yield* settingsIn(value, key);
}

/** Its type, with unit and bounds. */
function typeOf(node) {
  const { description = '', type, enum: words, minimum, maximum, anyOf } = node;
  if (words) return words.map((each) => `\`${each}\``).join(', ');
  if (/^a (duration|size|rate)/.test(description)) return description.replace(/^a (\w+):.*/, '$1');
  if (type === 'integer') return `${minimum} to ${maximum}`;
  if (type === 'boolean') return 'true, false';
  if (type === 'array') return 'list';
  if (/relative to the file/.test(description)) return 'path';
  if (anyOf?.some((each) => each.type === 'array')) return 'path or list';
  if (anyOf?.some((each) => each.enum))
    return anyOf
      .flatMap((each) => each.enum ?? [])
      .map((each) => `\`${each}\``)
      .join(', ');
  return type === 'object' ? 'map' : 'text';
}

function defaultOf({ default: value }) {
  if (value === undefined) return '';
  return Array.isArray(value) ? value.join(', ') : String(value);
}

const head = `# All settings

For someone who looks up one key of \`/etc/dovegate/dovegate.yaml\`. \`node scripts/make-settings.mjs\` writes this page from the shape that
\`dovegate check\` uses. How sections work together: [configuration](configuration.md).

A duration has a unit: \`500ms\`, \`5s\`, \`10m\`, \`2h\`, \`7d\`, \`2w\`. A size has one: \`512B\`, \`64KiB\`, \`1MiB\`, \`2GiB\`. A rate is
\`20/hour\`. \`NAME\` is a name of your own, \`[]\` an item of a list.
`;
const tail = `## What can go wrong

- **A key is unknown.** \`dovegate check\` names the nearest one; keys are never ignored.
- **A number without a unit.** Durations and sizes need one; it is never guessed.
`;

/** By the first key of their path; rules by themselves. */
function sectionsOf(found) {
  const sections = new Map();
  for (const [path, node] of found) {
    const first = path.split(/[.[]/)[0];
    const isTop = first === path && !/object|array/.test(node.type);
    const name =
      first === 'RULE' ? 'Rules (`policies.NAME.allow[]`, `deny[]`)' : isTop ? 'Top' : `\`${first}\``;
    sections.set(name, [...(sections.get(name) ?? []), [path, node]]);
  }
  return sections;
}

/** The page, with tables as short as they come. */
export function formatSettingsPage() {
  const found = new Map();
  for (const [path, node] of settingsIn(describedSchema(), '')) {
    const isOfRule = rule.test(path);
    // The conditions of rules have a page of their own.
    if (isOfRule && path.replace(rule, '').includes('[')) continue;
    found.set(isOfRule ? `RULE.${path.replace(rule, '')}` : path, node);
  }
  const missing = [...found.keys()].filter((path) => meanings[path] === undefined);
  if (missing.length > 0)
    throw new Error(`a line of meaning is missing in scripts/settings-page.mjs: ${missing.join(' ')}`);
  const tables = [...sectionsOf(found)].map(([name, rows]) => {
    const lines = rows.map(
      ([path, node]) => `| \`${path}\` | ${typeOf(node)} | ${defaultOf(node)} | ${meanings[path]} |`,
    );
    return `## ${name}\n\n| Setting | Type | Default | Meaning |\n| --- | --- | --- | --- |\n${lines.join('\n')}\n`;
  });
  return `${head}\n${tables.join('\n')}\n${tail}`;
}
