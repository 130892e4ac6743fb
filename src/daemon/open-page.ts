// The page in the browser, opened: its socket, what is shown there, and who answers.

import { hostName } from '../adapters/host/process.js';
import { bindTcp } from '../adapters/net/listen.js';
import { openPageServer, pageAddress, pagePlace, type ServedFile } from '../adapters/page/page-server.js';
import type { PagePerson, PageSettings } from '../domain/config/settings.js';
import { networkOf } from '../domain/identity/peer.js';
import { askedBytesMax } from '../domain/views/look.js';
import { acceptWith } from './endpoints.js';
import { createPageDoor, type PageDoorParts } from './page-door.js';

interface Opened {
  /** The address that a person opens: it signs them in once. */
  readonly link: (person: PagePerson) => string;
  /** After a reload. */
  review(): void;
  close(): Promise<void>;
}

/** Serves the page at `tcp`. Rejects with a ListenFault. */
export async function openPage(
  tcp: NonNullable<PageSettings['tcp']>,
  hasTls: boolean,
  files: { find(path: string): ServedFile | undefined },
  parts: PageDoorParts,
): Promise<Opened> {
  const { clock, log, offer, guard } = parts;
  const onError = (text: string): void => log.report({ event: 'admin-failed', level: 'error', text });
  const door = createPageDoor(parts);
  const accept = acceptWith(offer);
  // A handshake costs a millisecond: many at once must not delay commands.
  const secure = async (plain: Parameters<typeof accept>[0]): ReturnType<typeof accept> => {
    await guard.turns.take(networkOf(plain.remoteAddress ?? '-'));
    if (plain.destroyed) throw new Error('the client has gone');
    return accept(plain);
  };
  const server = await openPageServer({
    clock,
    place: pagePlace(tcp.host, hasTls, () => offer()?.certificate.chain),
    bind: (acceptor) => bindTcp(acceptor, tcp, onError),
    ...(hasTls && { secure }),
    files,
    bodyBytesMax: askedBytesMax,
    answer: door.answer,
    onRefused: (...refused) => door.refused(...refused),
    onError,
  });
  const address = pageAddress(tcp, hasTls, hostName());
  return {
    link: (person) => `${address}/#${door.link(person)}`,
    review: door.review,
    async close() {
      door.close();
      await server.close();
    },
  };
}
