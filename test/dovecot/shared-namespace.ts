// A shared namespace for an instance, in both languages of Dovecot's configuration: below `shared/` stand the mailboxes that other
// users let one see. `mail` is the folder of the mailboxes as Dovecot sees it.
import type { Lab } from '../kit/dovecot-lab.js';

export const sharedNamespace: Readonly<Record<Lab['series'], (mail: string) => string>> = {
  '2.3': (mail) => `namespace inbox {
  separator = /
}
namespace shared {
  type = shared
  separator = /
  prefix = shared/%%u/
  location = maildir:%%h/Maildir
  list = children
  subscriptions = no
}
plugin {
  acl_shared_dict = file:${mail}/shared-mailboxes
}
`,
  '2.4': (mail) => `namespace shared {
  type = shared
  separator = /
  prefix = shared/$user/
  mail_path = %{owner_home}/Maildir
  list = children
  subscriptions = no
}
acl_sharing_map {
  dict file {
    path = ${mail}/shared-mailboxes
  }
}
`,
};
