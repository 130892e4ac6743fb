// Which stage runs a test, and which of the two commands: `npm test`, or `npm run test:full` alone.

export const stageFolders = {
  package: ['whole/package'],
  scenario: ['whole/scenario', 'whole/shells'],
  browser: ['page/browser'],
  fuzz: ['whole/fuzz'],
  dovecot: ['whole/dovecot'],
  audit: ['whole/rsyslog', 'whole/prometheus', 'whole/exim'],
  fleet: ['whole/fleet'],
  systemd: ['whole/systemd'],
  container: ['whole/container'],
};
/** The parts of src/. */
export const parts = 'host doveadm rules journal gate evidence ship page client'.split(' ');

/**
 * What `npm test` leaves to `npm run test:full`: files and folders below test/. They are dear: what is handed out, booted systems and the
 * image; searches; programs and servers of others; models and the tests' own tools; long stories: floods, memory, and processes that are
 * killed again and again; of the page all but the sign-in and a walk of each screen.
 */
export const onlyFull = `
  host/store/bucket
  whole/package/ whole/systemd/ whole/container/ whole/model/ client/mcp/ kit/self/ whole/rsyslog/ whole/exim/
  whole/dovecot/differential whole/dovecot/mailbox-search whole/dovecot/preset-search whole/dovecot/http-differences
  whole/dovecot/dsync whole/dovecot/cli-forms whole/dovecot/mcp whole/dovecot/conformance whole/dovecot/site
  whole/dovecot/owner-quiet whole/dovecot/user-names whole/dovecot/stalled-upload whole/dovecot/tls-clients
  whole/dovecot/http-clients whole/dovecot/first-steps
  whole/fuzz/campaign whole/fuzz/forge-fleet whole/fuzz/forge-journal whole/fuzz/worst-line
  whole/scenario/docs whole/scenario/victims whole/scenario/walks whole/scenario/whole-output whole/scenario/brute-force
  whole/scenario/silent-strangers whole/scenario/admin-flood whole/scenario/http-hostile whole/scenario/many-uids
  whole/scenario/unknown-uids whole/scenario/system-trust whole/scenario/reload-memory whole/scenario/client-memory
  whole/scenario/restore whole/scenario/collectors whole/scenario/histories whole/scenario/tls-reload
  whole/scenario/page-history
  whole/fleet/store-folder whole/fleet/chaos whole/fleet/bucket-verify whole/fleet/store-bucket
  evidence/fleet-cli/bucket-look
  page/browser/approvals page/browser/clicks page/browser/first-start page/browser/incidents page/browser/keyboard
  page/browser/keys page/browser/live page/browser/names page/browser/oidc-certified page/browser/phone page/browser/policies
  page/browser/report-file page/browser/strangers page/browser/tabs page/browser/trail page/browser/watch page/browser/widths
`
  .trim()
  .split(/\s+/);

/** `path`: of a test, with or without its ending. */
export function isOnlyFull(path) {
  const name = path.replace(/^(?:build\/)?test\//, '').replace(/\.test\.[jt]s$/, '');
  return onlyFull.some((each) => (each.endsWith('/') ? name.startsWith(each) : name === each));
}

/** The stage that runs a test file. */
export function stageOf(path) {
  const inner = /(?:^|\/)test\/(.+)$/.exec(path)?.[1] ?? '';
  const isIn = (folder) => inner.startsWith(`${folder}/`);
  return Object.keys(stageFolders).find((stage) => stageFolders[stage].some(isIn)) ?? 'unit';
}
