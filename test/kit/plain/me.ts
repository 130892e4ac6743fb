// Who runs the tests, as the program names this user: in a container a number may have no name, and os.userInfo() throws there.
import { ourselves, userNameOf } from '../../../src/host/machine/accounts.js';

export const { uid: myUid } = ourselves();
export const me = userNameOf(myUid) ?? String(myUid);
