// A receiver of notices, from its settings to the feed that sends to it. If it is down, slow or hostile, neither
// other receivers nor records are delayed.

import type { LookupFunction } from 'node:net';
import type { NoticeReceiver } from '../rules/config/receiver.js';
import { isNoticeSettings, type NoticeSettings } from '../rules/config/settings.js';
import { sendMail } from './carriers/mail.js';
import { createPlaceFile } from './carriers/place-file.js';
import { postWebhook } from './carriers/webhook.js';
import { type NoticeFeedParts, startNoticeFeed } from './notice-feed.js';
import { mailOf } from './notices/forms.js';
import type { JournalHead, Sending } from './receiver-set.js';

export interface NoticeParts extends Pick<NoticeFeedParts, 'clock' | 'chance' | 'log' | 'untilSeq'> {
  /** The directory of the place files. */
  readonly state: string;
  readonly lookup: LookupFunction;
}

export function startNotices(
  settings: NoticeSettings,
  { directory, journal, host }: JournalHead,
  { state, lookup, ...parts }: NoticeParts,
): Sending<NoticeReceiver> {
  const { name, events } = settings;
  const ports = { clock: parts.clock, lookup };
  return startNoticeFeed({
    ...parts,
    name,
    events,
    directory,
    journal,
    host,
    place: createPlaceFile(state, name),
    send: (notice, signal, onSlow) =>
      isNoticeSettings(settings, 'mail')
        ? sendMail(settings, mailOf(notice), ports, signal, onSlow)
        : postWebhook(settings, notice, ports, signal),
  });
}
