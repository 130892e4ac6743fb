// The nine parts of src/, in the order of their line, as data. main.ts, program.ts and help.ts stand on top of it.

export interface Part {
  readonly name: string;
  /** What others may import: all its files, or these, without `.ts`. */
  readonly face: 'all' | readonly string[];
  /** Node modules without `node:`; those of the gate stand with its floors (table.ts). */
  readonly builtins: readonly string[];
  readonly packages: readonly string[];
}

const words = (text: string): readonly string[] => text.split(/\s+/).filter((word) => word !== '');

export const parts: readonly Part[] = [
  {
    name: 'host',
    face: 'all',
    builtins: words(
      'child_process crypto dns events fs http https net os path perf_hooks stream timers tls url util v8 vm worker_threads',
    ),
    packages: words('aws4fetch commander koffi nodemailer openid-client zod'),
  },
  {
    name: 'doveadm',
    face: 'all',
    builtins: words(''),
    packages: words(''),
  },
  {
    name: 'rules',
    face: words(`
      answers/command-list answers/explanation answers/own-questions answers/policy-tests answers/read-answer answers/recorded-line
      answers/rights answers/statement cli/named-listener cli/rules-commands cli/script-lines cli/test config/admin-schema config/check-beside config/cursor config/fault
      config/fleet-names config/kept-files config/parse-client config/parse-settings config/parse-yaml config/policy-list
      config/problem config/receiver config/schema config/schema-parts config/settings config/sink-files config/sinks config/store-place config/validate
      config/without-doubtful identity/credentials identity/human identity/origin identity/person identity/principal
      identity/roles keys/authorization keys/key keys/sign-key policy/assess policy/attempt policy/decide policy/grant
      policy/judge policy/match policy/outcome policy/policy policy/rate policy/regex policy/regex-parser policy/route policy/terms
      conditions/kind conditions/query-test conditions/value-test proposals/alone proposals/generalise proposals/granting proposals/policy-text
      proposals/seen-line proposals/suggested-rule setup/asker setup/certificates setup/configuration
      setup/configuration-beside setup/configuration-text setup/dial-target setup/doveconf setup/inspect setup/inspect-beside
      setup/peers setup/sockets setup/unit
    `),
    builtins: words('crypto fs path worker_threads zlib'),
    packages: words('commander lru-cache yaml zod'),
  },
  {
    name: 'journal',
    face: words(`
      files/checked files/compressed files/has-record files/journal files/kept-end files/kept-policies files/maintenance
      files/read-back files/segments files/trail files/trail-size records/access-book records/appending records/arguments-check
      records/checkpoints records/encode records/keys records/ledger records/lock-book records/record records/redact
      records/sketch records/state records/stored records/turns
    `),
    builtins: words('crypto fs path worker_threads zlib'),
    packages: words(''),
  },
  {
    name: 'gate',
    face: words(`
      access/access-item access/access-words access/ending-words access/item access/steps cli/ask-status cli/gate-commands
      cli/operate cli/serve-command daemon/life door/action door/calls door/decision door/door door/door-client door/extract-head door/filter door/filter-shape
      door/ship door/trail-filter health/daemon-look health/listener-look health/look health/looks
      health/start-look login/logins now/found-codes now/now now/operator now/running outcome/class outcome/next outcome/owner
      telemetry/codes telemetry/log
    `),
    builtins: [],
    packages: [],
  },
  {
    name: 'evidence',
    face: words(`
      cli/audit cli/evidence-commands cli/journal-look cli/prove cli/replay fleet-cli/fleet fleet-cli/store-look
      formats/otlp formats/severity
      proof/mailbox proof/more proof/words reading/read-incidents reading/read-long reading/read-trail reading/search-trail reading/unseen
      report/owner report/report review/policy-periods review/policy-words review/replay review/sightings
      review/suggest story/content story/incidents store/block store/names story/leave-out story/row trail/export trail/search views/asked
      views/extract views/fleet views/look views/proof views/reach views/trail views/view
    `),
    builtins: words('crypto fs http path util zlib'),
    packages: words('commander prom-client yaml zod'),
  },
  {
    name: 'ship',
    face: words('ship-commands'),
    builtins: words('crypto dns fs http https net path tls url'),
    packages: words('commander nodemailer zod'),
  },
  {
    name: 'page',
    face: words('page-commands'),
    builtins: words('crypto events fs url worker_threads zlib'),
    packages: words('commander openid-client preact zod'),
  },
  {
    name: 'client',
    face: words(
      'access/access-commands doveadm/ask-daemon doveadm/completion doveadm/doveadm doveadm/send-command doveadm/way-look',
    ),
    builtins: words('crypto fs http https path readline util'),
    packages: words('@modelcontextprotocol/server commander'),
  },
];
