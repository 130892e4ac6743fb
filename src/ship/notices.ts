// The receivers of notices that the settings name, each with a feed of its own. A receiver that is down, slow or hostile delays no other
// one, nor records on their way.

import type { ShipHead } from '../gate/door/ship.js';
import { noticeCodes } from '../gate/telemetry/codes.js';
import type { Log } from '../gate/telemetry/log.js';
import { asWritten } from '../host/bounds/bounds.js';
import { Wakes } from '../host/concurrency/waiting.js';
import { randomFraction } from '../host/machine/clock.js';
import { createLookup } from '../host/net/receivers.js';
import type { Clock } from '../host/ports/machine.js';
import type { NoticeReceiver } from '../rules/config/receiver.js';
import { isNoticeSettings, type NoticeSettings } from '../rules/config/settings.js';
import { sendMail } from './carriers/mail.js';
import { createPlaceFile } from './carriers/place-file.js';
import { postWebhook } from './carriers/webhook.js';
import { type NoticeFeed, type NoticeFeedParts, startNoticeFeed } from './notice-feed.js';
import { mailOf } from './notices/forms.js';
import type { Notice } from './notices/notice.js';

type NoticeSource = Pick<ShipHead, 'directory' | 'journal' | 'host'>;

export interface NoticesParts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'report'>;
  readonly directory: string;
}

export function createNotices({ clock, log, directory }: NoticesParts) {
  const feeds = new Map<string, { readonly meant: string; readonly feed: NoticeFeed }>();
  const wakes = new Wakes();
  const lookup = createLookup();
  let untilSeq: number | undefined;
  let wanted: { readonly settings: readonly NoticeSettings[]; readonly head: NoticeSource } | undefined;
  let changes: Promise<void> = Promise.resolve();
  let isClosed = false;

  return {
    /** Takes the receivers of the settings that are served now. Does not wait. */
    replace(settings: readonly NoticeSettings[], head: NoticeSource): void {
      // The numbers of another journal say nothing of this one.
      if (wanted !== undefined && wanted.head.journal !== head.journal) untilSeq = undefined;
      wanted = { settings, head };
      change();
    },
    /** Sets the last record that is on disk; nothing is sent before it is known. */
    reached(seq: number): void {
      const isFirst = untilSeq === undefined;
      untilSeq = seq;
      if (isFirst) change();
      wakes.wake();
    },
    get receivers(): readonly NoticeReceiver[] {
      return [...feeds.values()].map(({ feed }) => feed.state);
    },
    async close(): Promise<void> {
      isClosed = true;
      await changes;
      await Promise.all([...feeds.values()].map(({ feed }) => feed.close()));
    },
  };

  function change(): void {
    changes = changes.then(apply);
  }

  async function apply(): Promise<void> {
    if (wanted === undefined || untilSeq === undefined || isClosed) return;
    const { settings, head } = wanted;
    const { directory: records, journal, host } = head;
    const meant = new Map(
      settings.map((each) => [each.name, JSON.stringify([each, records, journal, host])]),
    );
    const gone = [...feeds].filter(([name, { meant: before }]) => meant.get(name) !== before);
    await Promise.all(gone.map(([, { feed }]) => feed.close()));
    for (const [name] of gone) feeds.delete(name);
    for (const each of settings) {
      if (!feeds.has(each.name) && !isClosed)
        feeds.set(each.name, { meant: meant.get(each.name) ?? '', feed: start(each, head) });
    }
  }

  function start(settings: NoticeSettings, { directory: records, journal, host }: NoticeSource): NoticeFeed {
    const { name } = settings;
    return startNoticeFeed({
      name,
      clock,
      chance: randomFraction,
      directory: records,
      journal,
      host,
      untilSeq: () => untilSeq ?? 0,
      ...tellersOf(name),
      events: settings.events,
      place: createPlaceFile(directory, name),
      wakes,
      send: (notice, signal, onSlow) => send(settings, notice, signal, onSlow),
    });
  }

  /** What a feed tells the log. */
  function tellersOf(name: string): Pick<NoticeFeedParts, 'onFault' | 'onBack' | 'onAgain' | 'onDropped'> {
    return {
      onFault({ code, status }) {
        const [means] = noticeCodes[code];
        const text = `${name}: ${means}${status === undefined ? '' : ` (${status})`}`;
        log.report({ event: 'notices-away', level: 'warn', sink: name, type: code, text });
      },
      onBack() {
        log.report({ event: 'notices-back', level: 'info', sink: name, text: `${name} takes notices again` });
      },
      onAgain(why) {
        const text = `${name}: its position was lost (${why}), so notices younger than ${asWritten.noticeKeptMs} are sent again`;
        log.report({ event: 'notices-again', level: 'warn', sink: name, text });
      },
      onDropped(count) {
        const text = `${name}: ${count} notices were dropped (older than ${asWritten.noticeKeptMs}); the records are in the journal`;
        log.report({ event: 'notices-dropped', level: 'warn', sink: name, count, text });
      },
    };
  }

  function send(
    settings: NoticeSettings,
    notice: Notice,
    signal: AbortSignal,
    onSlow: () => void,
  ): Promise<void> {
    const with_ = { clock, lookup };
    return isNoticeSettings(settings, 'mail')
      ? sendMail(settings, mailOf(notice), with_, signal, onSlow)
      : postWebhook(settings, notice, with_, signal);
  }
}
