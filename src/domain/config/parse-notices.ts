// Reads `notices`: receivers of notices, each a webhook or a mail. A receiver whose notices could be read or written on their way is an
// error, and so is one that nothing would send to.
import { bounds } from '../../bounds/bounds.js';
import { isOfThisMachine } from '../people/identity/peer.js';
import type { Cursor } from './cursor.js';
import type { RawConfiguration, RawNoticeReceiver } from './schema.js';
import { parseHostAndPort } from './schema-parts.js';
import type { MailSettings, NoticeSettings, WebhookSettings } from './settings.js';

/** Every valid receiver; faults of the others are reported. `cursor` is at the whole configuration. */
export function parseNotices(
  { notices, admin }: Pick<RawConfiguration, 'notices' | 'admin'>,
  cursor: Cursor,
): NoticeSettings[] {
  const all = Object.entries(notices);
  if (all.length > 0 && admin?.page === undefined)
    cursor.error(['notices'], 'needs admin.page: the process of the page sends them', 'missing-key');
  if (all.length > bounds.noticeReceivers)
    cursor.error(['notices'], `must hold at most ${bounds.noticeReceivers} receivers`);
  const receivers = all.flatMap(([name, raw]) => parseReceiver(name, raw, cursor.down('notices', name)));
  warnOfSameUrls(receivers, cursor.down('notices'));
  return receivers;
}

/** Two receivers of one channel, which gets an event twice. */
function warnOfSameUrls(receivers: readonly NoticeSettings[], at: Cursor): void {
  const webhooks = receivers.filter((each) => each.kind === 'webhook');
  for (const [index, { name, url, events }] of webhooks.entries()) {
    const isSame = (each: WebhookSettings): boolean =>
      each.url === url && each.events.some((event) => events.includes(event));
    const first = webhooks.slice(0, index).find(isSame);
    if (first === undefined) continue;
    const message = `is the URL of ${first.name}, too, so events of both arrive twice; give each event to one of them`;
    at.warning([name, 'webhook'], message, 'defined-twice');
  }
}

function warnOfRepeated(values: readonly string[], at: Cursor): void {
  for (const [index, value] of values.entries())
    if (values.indexOf(value) < index) at.warning([index], `${value} is there twice`, 'defined-twice');
}

function parseReceiver(name: string, raw: RawNoticeReceiver, at: Cursor): NoticeSettings[] {
  const { webhook, mail, caFile, events } = raw;
  if (webhook !== undefined && mail !== undefined) {
    at.error(['mail'], 'a receiver is either a webhook or a mail; write two of them', 'key-conflict');
    return [];
  }
  warnOfRepeated(events, at.down('events'));
  const shared = {
    name,
    ...(caFile !== undefined && { caFile }),
    events: [...new Set(events)],
  };
  if (webhook !== undefined) return parseWebhook(webhook, raw, shared, at);
  if (mail !== undefined) return parseMail(mail, shared, at);
  if (!at.isWritten('webhook') && !at.isWritten('mail')) at.error([], 'needs webhook or mail', 'missing-key');
  return [];
}

type Shared = Pick<NoticeSettings, 'name' | 'caFile' | 'events'>;

function parseWebhook(
  webhook: string,
  { secretFile, format }: RawNoticeReceiver,
  shared: Shared,
  at: Cursor,
): WebhookSettings[] {
  const url = URL.canParse(webhook) ? new URL(webhook) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.hostname === '') {
    at.error(['webhook'], 'must be a URL, as https://chat.example.com/hooks/x');
    return [];
  }
  if (url.username !== '' || url.password !== '')
    at.error(['webhook'], 'a URL holds no user and no password; use secret_file');
  if (url.hash !== '')
    at.warning(['webhook'], 'what stands behind # in a URL is never sent; take it out', 'no-effect');
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  if (url.protocol === 'http:' && !isOfThisMachine(host)) {
    const message = `http: is not encrypted, and ${host} is another machine; use https:, with ca if its authority is your own`;
    at.error(['webhook'], message);
  }
  if (url.protocol === 'http:' && shared.caFile !== undefined)
    at.warning(['ca'], 'has no effect: the URL is http:', 'no-effect');
  if (format === 'json' && secretFile === undefined) {
    const message =
      'needs secret_file, with which the receiver verifies each notice; without a signature only format: text is possible';
    at.error([], message, 'missing-key');
  }
  return [
    {
      kind: 'webhook',
      ...shared,
      url: url.href,
      format,
      ...(secretFile !== undefined && { secretFile }),
    },
  ];
}

/** One address without a name, quotes or comments: nothing of it can be anything else in a header. */
const addressPattern =
  /^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/;

/** Of mail servers that begin with TLS. */
const smtpsPort = 465;

function parseMail(
  { to, from, server }: NonNullable<RawNoticeReceiver['mail']>,
  shared: Shared,
  at: Cursor,
): MailSettings[] {
  for (const key of ['secret_file', 'format'])
    if (at.has(key)) at.error([key], 'is for a webhook; take it out', 'key-conflict');
  for (const [index, address] of to.entries())
    if (!addressPattern.test(address))
      at.error(['mail', 'to', index], 'must be an address, as leads@example.com');
  if (!addressPattern.test(from))
    at.error(['mail', 'from'], 'must be an address, as dovegate@gate1.example.com');
  const place = parseHostAndPort(server);
  if (place === undefined) {
    at.error(['mail', 'server'], 'must be HOST:PORT or [IPV6]:PORT, as localhost:25');
    return [];
  }
  warnOfRepeated(to, at.down('mail', 'to'));
  if (place.port === smtpsPort)
    at.warning(
      ['mail', 'server'],
      'port 465 expects TLS from the first byte, and mail is sent with STARTTLS; write port 25 or 587',
    );
  if (isOfThisMachine(place.host) && shared.caFile !== undefined)
    at.warning(['ca'], 'has no effect: a mail server of this machine is asked without TLS', 'no-effect');
  return [{ kind: 'mail', ...shared, to, from, ...place }];
}
