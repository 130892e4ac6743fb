// The commands of doveadm 2.3 and 2.4 as their servers read them: own table, from the catalog's data. A line is
// `[SERIES ]NAME|EFFECT mail|server [ordered] [text]|PARAMETER...`; a parameter is `[LETTER/]LONG` and marks: `!` positional, `.` takes no
// value, `*` a list, `?` only after its own name, and after a colon its class: F file, S socket, U other users, A all users, D destination
// or program, u the user itself, Q query, O output fields, X secret. Every mail command takes the parameters of `mailParameters` too.

/** What a parameter names, where that matters to a judgement. */
const classes = ['F', 'S', 'U', 'A', 'D', 'u', 'Q', 'O', 'X', ''] as const;
export type ParameterClass = (typeof classes)[number];

export interface Parameter {
  letter: string;
  long: string;
  isPositional: boolean;
  isFlag: boolean;
  isList: boolean;
  isKeyed: boolean;
  class: ParameterClass;
}

export type Series = '2.3' | '2.4';

export interface CommandSpec {
  name: string;
  effect: string;
  /** The wire user is whose mailbox it is; server commands ignore it. */
  isMail: boolean;
  /** The first positional ends the options. */
  isOrdered: boolean;
  /** A dot-stream follows the line. */
  takesText: boolean;
  parameters: Parameter[];
}

const mailParameters =
  'A/all-users.:A S/socket-path:S u/user:u trans-flags:D no-userdb-lookup.:D F/user-file:F';

const table = `
acl add|admin mail|mailbox! id! right!*
acl debug|read mail|mailbox!
acl delete|admin mail|mailbox! id!
acl get|read mail|m/match-me. mailbox!
acl recalc|write mail|
acl remove|admin mail|mailbox! id! right!*
acl rights|read mail|mailbox!
acl set|admin mail|mailbox! id! right!*
altmove|write mail|r/reverse. query!*:Q
2.3 auth cache flush|admin server|a/socket-path:S user!*:U
2.4 auth cache flush|admin server|a/socket-path:S user-mask!*:U
2.3 backup|admin mail ordered|f/full-sync. P/purge-remote. R/reverse-sync. U/replicator-notify. l/lock-timeout r/rawlog:F m/mailbox g/mailbox-guid n/namespace* N/all-namespaces. x/exclude-mailbox* a/all-mailbox s/state t/sync-since-time e/sync-until-time O/sync-flags I/sync-max-size T/timeout d/default-destination.:D E/legacy-dsync. destination!*:D
2.4 backup|admin mail ordered|f/full-sync. P/purge-remote. R/reverse-sync. l/lock-timeout r/rawlog:F m/mailbox g/mailbox-guid n/namespace* N/all-namespaces. x/exclude-mailbox* a/all-mailbox s/state t/sync-since-time e/sync-until-time O/sync-flags I/sync-max-size T/timeout p/destination-option*:D destination!*:D
2.3 batch|admin mail ordered|separator! args!*:D
2.3 copy|write mail|destination-mailbox! source-type! source-user!:U query!*:Q
2.4 copy|write mail|destination-mailbox! source-user!?:U query!*:Q
deduplicate|destroy mail|m/by-msgid. query!*:Q
2.3 dict get|read server|u/user:u dict-uri!:F key!
2.4 dict get|read server|u/user:u filter-name! key!
2.3 dict inc|write server|u/user:u dict-uri!:F key! difference!
2.4 dict inc|write server|u/user:u t/timestamp filter-name! key! difference!
2.3 dict iter|read server|u/user:u 1/exact. R/recurse. V/no-value. dict-uri!:F prefix!
2.4 dict iter|read server|u/user:u 1/exact. R/recurse. V/no-value. filter-name! prefix!
2.3 dict set|write server|u/user:u dict-uri!:F key! value!:X
2.4 dict set|write server|u/user:u t/timestamp e/expire-secs filter-name! key! value!:X
2.3 dict unset|write server|u/user:u dict-uri!:F key!
2.4 dict unset|write server|u/user:u t/timestamp filter-name! key!
2.3 director add|admin server|a/socket-path:S t/tag host!:D vhost-count!
2.3 director down|admin server|a/socket-path:S host!:D
2.3 director dump|read server|a/socket-path:S
2.3 director flush|session server|a/socket-path:S F/force-flush. max-parallel host!:D
2.3 director kick|session server|a/socket-path:S f/passdb-field user!:u
2.3 director map|read server|a/socket-path:S f/users-file:F h/hash-map. u/user-map. host!:D
2.3 director move|session server|a/socket-path:S user!:u host!:D
2.3 director remove|admin server|a/socket-path:S host!:D
2.3 director ring add|admin server|a/socket-path:S ip! port!
2.3 director ring remove|admin server|a/socket-path:S ip! port!
2.3 director ring status|read server|a/socket-path:S
2.3 director status|read server|a/socket-path:S user!:u tag!
2.3 director up|admin server|a/socket-path:S host!:D
2.3 director update|admin server|a/socket-path:S host!:D vhost-count!
2.3 dsync-server|admin mail|E/legacy-dsync. r/rawlog:F T/timeout U/replicator-notify. ignore-arg!:D
2.4 dsync-server|admin mail|r/rawlog:F T/timeout ignore-arg!:D
expunge|destroy mail|d/delete-empty-mailbox. query!*:Q
fetch|read mail|field*:O fieldstr!:O query!*:Q
flags add|write mail|flag* flagstr! query!*:Q
flags remove|write mail|flag* flagstr! query!*:Q
flags replace|write mail|flag* flagstr! query!*:Q
force-resync|write mail|f/fsck. mailbox-mask!
2.3 fs copy|write server|fs-driver!:F fs-args!:F source-path!:F destination-path!:F
2.4 fs copy|write server|filter-name! source-path!:F destination-path!:F
2.3 fs delete|destroy server|R/recursive. n/max-parallel fs-driver!:F fs-args!:F path!*:F
2.4 fs delete|destroy server|R/recursive. n/max-parallel filter-name! path!*:F
2.3 fs get|read server|fs-driver!:F fs-args!:F path!:F
2.4 fs get|read server|filter-name! path!:F
2.3 fs iter|read server|C/no-cache. O/object-ids. fs-driver!:F fs-args!:F path!:F
2.4 fs iter|read server|C/no-cache. O/object-ids. filter-name! path!:F
2.3 fs iter-dirs|read server|fs-driver!:F fs-args!:F path!:F
2.4 fs iter-dirs|read server|filter-name! path!:F
2.3 fs metadata|read server|fs-driver!:F fs-args!:F path!:F
2.4 fs metadata|read server|filter-name! path!:F
2.3 fs put|write server|h/hash fs-driver!:F fs-args!:F input-path!:F path!:F
2.4 fs put|write server|h/hash m/metadata*:X filter-name! input-path!:F path!:F
2.3 fs stat|read server|fs-driver!:F fs-args!:F path!:F
2.4 fs stat|read server|filter-name! path!:F
fts expand|read mail|query!*:Q
2.4 fts flatcurve check|read mail|mailbox-mask!*
2.4 fts flatcurve remove|destroy mail|mailbox-mask!*
2.4 fts flatcurve rotate|write mail|mailbox-mask!*
2.4 fts flatcurve stats|read mail|mailbox-mask!*
fts lookup|read mail|query!*:Q
fts optimize|write mail|namespace!
fts rescan|write mail|namespace!
fts tokenize|read mail|l/language text!*
2.3 import|write mail|U/source-user:U s/subscribe. source-location!:F dest-parent-mailbox! query!*:Q
2.4 import|write mail|U/source-user:U s/subscribe. p/source-option*:D source-location!:F dest-parent-mailbox! query!*:Q
2.3 index|write mail|q/queue. n/max-recent mailbox-mask!
2.4 index|write mail|q/queue. n/max-recent mailbox-mask!*
2.4 indexer add|write server|h/head. n/max-recent user!:u mailbox!
2.4 indexer list|read server|user-mask!:U
2.4 indexer remove|write server|user-mask!:U mailbox-mask!
instance list|read server|c/show-config. name!
instance remove|admin server|name!
2.3 kick|session server|a/socket-path:S f/force. mask!*:U
2.4 kick|session server|a/socket-path:S f/passdb-field h/dest-host:D mask!*:U
log errors|read server|s/since
log find|read server|log-dir!:F
log reopen|admin server|
log test|write server|
2.4 mail dict get|read mail|filter-name! key!
2.4 mail dict inc|write mail|t/timestamp filter-name! key! difference!
2.4 mail dict iter|read mail|1/exact. R/recurse. V/no-value. filter-name! prefix!
2.4 mail dict set|write mail|t/timestamp e/expire-secs filter-name! key! value!:X
2.4 mail dict unset|write mail|t/timestamp filter-name! key!
2.4 mail fs copy|write mail|filter-name! source-path!:F destination-path!:F
2.4 mail fs delete|destroy mail|R/recursive. n/max-parallel filter-name! path!*:F
2.4 mail fs get|read mail|filter-name! path!:F
2.4 mail fs iter|read mail|C/no-cache. O/object-ids. filter-name! path!:F
2.4 mail fs iter-dirs|read mail|filter-name! path!:F
2.4 mail fs metadata|read mail|filter-name! path!:F
2.4 mail fs put|write mail|h/hash filter-name! input-path!:F path!:F
2.4 mail fs stat|read mail|filter-name! path!:F
mailbox cache decision|write mail|a/all. f/fieldstr l/last-used d/decision mailbox!*
mailbox cache purge|write mail|mailbox!*
mailbox cache remove|write mail|query!*:Q
mailbox create|write mail|s/subscriptions. g/guid mailbox!*
mailbox cryptokey export|read mail|U/user-key. mailbox!
mailbox cryptokey generate|admin mail|U/user-key-only. R/re-encrypt-box-keys. f/force. mailbox!
mailbox cryptokey list|read mail|U/user-key. mailbox!
mailbox cryptokey password|admin mail|C/clear-password. N/ask-new-password. n/new-password:X O/ask-old-password. o/old-password:X
mailbox delete|destroy mail|e/require-empty. s/subscriptions. r/recursive. Z/unsafe. mailbox!*
mailbox list|read mail|7/mutf7. 8/utf8. s/subscriptions. mailbox-mask!*
mailbox metadata get|read mail|s/allow-empty-mailbox-name. mailbox! key!
mailbox metadata list|read mail|s/allow-empty-mailbox-name. p/prepend-prefix. mailbox! key-prefix!
mailbox metadata set|write mail|s/allow-empty-mailbox-name. mailbox! key! value!:X
mailbox metadata unset|write mail|s/allow-empty-mailbox-name. mailbox! key!
mailbox mutf7|read server|7/to-utf8. 8/from-utf8. name!*
mailbox path|read mail|mailbox!* t/type
mailbox rename|write mail|s/subscriptions. mailbox! new-name!
mailbox status|read mail|t/total-sum. f/field*:O fieldstr!:O mailbox-mask!*
mailbox subscribe|write mail|mailbox!*
mailbox unsubscribe|write mail|mailbox!*
mailbox update|write mail|g/mailbox-guid V/uid-validity N/min-next-uid R/min-first-recent-uid H/min-highest-modseq P/min-highest-pvt-modseq mailbox!
2.3 move|destroy mail|destination-mailbox! source-type! source-user!:U query!*:Q
2.4 move|destroy mail|destination-mailbox! source-user!?:U query!*:Q
2.3 oldstats dump|read server|s/socket-path:S type! filter!
2.3 oldstats reset|write server|s/socket-path:S
penalty|read server|a/socket-path:S netmask!
process status|read server|service!*
2.3 proxy kick|session server|a/socket-path:S f/passdb-field h/host:D user!*:U
2.4 proxy kick|session server|a/socket-path:S f/passdb-field h/dest-host:D mask!*:U
2.3 proxy list|read server|a/socket-path:S
2.4 proxy list|read server|a/socket-path:S 1/separate-connections. f/passdb-field mask!*:U
purge|destroy mail|
quota get|read mail|
quota recalc|write mail|
rebuild attachments|write mail|query!*:Q
reload|admin server|
2.3 replicator add|admin server|a/socket-path:S user-mask!:U
2.3 replicator dsync-status|read server|a/socket-path:S
2.3 replicator remove|admin server|a/socket-path:S user!:u
2.3 replicator replicate|admin server|a/socket-path:S f/full-sync. p/priority user-mask!:U
2.3 replicator status|read server|a/socket-path:S user-mask!:U
2.3 save|write mail text|m/mailbox file!:F
2.4 save|write mail text|m/mailbox U/uid g/guid r/received-date file!:F
search|read mail|query!*:Q
service status|read server|service!*
service stop|admin server|service!*
sieve activate|write mail|scriptname!
sieve deactivate|write mail|
sieve delete|destroy mail|a/ignore-active. scriptname!*
sieve get|read mail|scriptname!
sieve list|read mail|
sieve put|write mail text|a/activate. scriptname! file!:F
sieve rename|write mail|oldname! newname!
2.3 sis deduplicate|write server|root-dir!:F queue-dir!:F
sis find|read server|root-dir!:F hash!
stats add|admin server|name! filter! exporter exporter-include description fields group-by
stats dump|read server|s/socket-path:S r/reset. f/fields:O
stats remove|admin server|name!
2.4 stats reopen|admin server|
stop|admin server|
2.3 sync|admin mail ordered|f/full-sync. P/purge-remote. R/reverse-sync. U/replicator-notify. l/lock-timeout r/rawlog:F m/mailbox g/mailbox-guid n/namespace* N/all-namespaces. x/exclude-mailbox* a/all-mailbox s/state t/sync-since-time e/sync-until-time O/sync-flags I/sync-max-size T/timeout d/default-destination.:D E/legacy-dsync. destination!*:D 1/oneway-sync.
2.4 sync|admin mail ordered|f/full-sync. P/purge-remote. R/reverse-sync. l/lock-timeout r/rawlog:F m/mailbox g/mailbox-guid n/namespace* N/all-namespaces. x/exclude-mailbox* a/all-mailbox s/state t/sync-since-time e/sync-until-time O/sync-flags I/sync-max-size T/timeout p/destination-option*:D destination!*:D 1/oneway-sync.
user|read server|a/socket-path:S x/auth-info* f/field:O e/expand-field:D u/userdb-only. user-mask!*:U
2.3 who|read server|a/socket-path:S 1/separate-connections. mask!*:U
2.4 who|read server|a/socket-path:S 1/separate-connections. f/passdb-field mask!*:U
`;

function parseParameter(text: string): Parameter {
  const parts = /^(?:(.)\/)?([a-z0-9-]+)([!.*?]*)(?::(.))?$/.exec(text);
  if (parts === null) throw new Error(`not a parameter: ${text}`);
  const marks = parts[3] ?? '';
  return {
    letter: parts[1] ?? '',
    long: parts[2] ?? '',
    isPositional: marks.includes('!'),
    isFlag: marks.includes('.'),
    isList: marks.includes('*'),
    isKeyed: marks.includes('?'),
    class: classes.find((one) => one === (parts[4] ?? '')) ?? '',
  };
}

function parseTable(): Record<Series, Map<string, CommandSpec>> {
  const specs = { '2.3': new Map<string, CommandSpec>(), '2.4': new Map<string, CommandSpec>() };
  const shared = mailParameters.split(' ').map(parseParameter);
  for (const line of table.trim().split('\n')) {
    const [head = '', kind = '', parameters = ''] = line.split('|');
    const series: Series[] = head.startsWith('2.3 ')
      ? ['2.3']
      : head.startsWith('2.4 ')
        ? ['2.4']
        : ['2.3', '2.4'];
    const name = head.replace(/^2\.[34] /, '');
    const words = kind.split(' ');
    const own = parameters === '' ? [] : parameters.split(' ').map(parseParameter);
    const isMail = words.includes('mail');
    const spec: CommandSpec = {
      name,
      effect: words[0] ?? '',
      isMail,
      isOrdered: words.includes('ordered'),
      takesText: words.includes('text'),
      parameters: isMail ? [...own, ...shared] : own,
    };
    for (const one of series) specs[one].set(name, spec);
  }
  return specs;
}

export const catalog = parseTable();
