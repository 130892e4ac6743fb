// Reads `notices`: receivers of notices, each a webhook or a mail. A receiver is an error if its notices could be read or changed on their
// way, or if nothing would be sent to it.
import { bounds } from '../../host/bounds/bounds.js';
import type { Cursor } from './cursor.js';
import type { RawConfiguration, RawNoticeReceiver } from './schema.js';
import type { NoticeSettings, WebhookSettings } from './settings.js';

/** `cursor` is at the whole configuration. */
export function parseNotices(
  { notices }: Pick<RawConfiguration, 'notices'>,
  cursor: Cursor,
): NoticeSettings[] {
  const all = Object.entries(notices);
  if (all.length > bounds.noticeReceivers)
    cursor.error(['notices'], `must hold at most ${bounds.noticeReceivers} receivers`);
  const receivers = all.flatMap(([name, raw]) => receiverOf(name, raw));
  warnOfSameUrls(receivers, cursor.down('notices'));
  return receivers;
}

/** Warns about webhooks with the same URL, which would get an event twice. */
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

function receiverOf(name: string, raw: RawNoticeReceiver): NoticeSettings[] {
  const { webhook, mail, caFile, format, secretFile } = raw;
  const shared = { name, ...(caFile !== undefined && { caFile }), events: [...new Set(raw.events)] };
  if ((webhook === undefined) === (mail === undefined)) return [];
  if (mail !== undefined) {
    const { to, from, server } = mail;
    return [{ kind: 'mail', ...shared, to, from, ...server }];
  }
  const secret = secretFile !== undefined && { secretFile };
  return [{ kind: 'webhook', ...shared, url: webhook?.href ?? '', format, ...secret }];
}
