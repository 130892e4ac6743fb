// The tabs of a browser that show this address: a new one asks the others for their session, and the end of a session reaches them all.
// Tokens stay in the memory of tabs, and in the storage that each tab has for itself. A channel is of one scheme, host and port.

/** What another tab is signed in as. */
export interface Offered {
  readonly name: string;
  readonly token: string;
}

type Message =
  | { readonly kind: 'ask'; readonly by: string }
  | { readonly kind: 'offer'; readonly to: string; readonly offered: Offered }
  | { readonly kind: 'ended'; readonly token: string; readonly text: string };

/** `own`: undefined: this tab is not signed in. `onOffer`: called for each other tab that is, once this one has asked. */
export function openTabs(
  own: () => Offered | undefined,
  onOffer: (offered: Offered) => void,
  onEnded: (token: string, text: string) => void,
) {
  const channel = new BroadcastChannel('dovegate');
  const id = crypto.getRandomValues(new Uint32Array(2)).join();
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a channel, which has one origin
  const tell = (message: Message): void => channel.postMessage(message);
  channel.addEventListener('message', ({ data }: MessageEvent<Message>) => {
    switch (data.kind) {
      case 'ask': {
        const offered = own();
        if (offered !== undefined) tell({ kind: 'offer', to: data.by, offered });
        break;
      }
      case 'offer':
        if (data.to === id) onOffer(data.offered);
        break;
      case 'ended':
        onEnded(data.token, data.text);
        break;
      default:
        data satisfies never;
    }
  });
  return {
    /** Asks the others for their sessions. Each answers once. */
    ask: (): void => tell({ kind: 'ask', by: id }),
    ended: (token: string, text: string): void => tell({ kind: 'ended', token, text }),
    close: (): void => channel.close(),
  };
}
