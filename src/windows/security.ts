/** `BUILTIN\Users`, S-1-5-32-545: a group that every Windows has. */
const USERS = Buffer.from('01020000000000052000000021020000', 'hex');
const SELF_RELATIVE = 0x8000;

/**
 * The security descriptor of files that come from a system without any, as other tools give it to
 * them: they belong to `BUILTIN\Users`, and no access list forbids anything.
 * @see https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-dtyp/7d4dac05-9cef-4563-a058-f108abecce1d
 */
export function usersDescriptor(): Buffer {
  const head = Buffer.alloc(20);
  head[0] = 1;
  head.writeUInt16LE(SELF_RELATIVE, 2);
  head.writeUInt32LE(head.length, 4);
  head.writeUInt32LE(head.length + USERS.length, 8);
  return Buffer.concat([head, USERS, USERS]);
}
