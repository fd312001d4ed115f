import { MicaError } from '../../errors.ts';
import type { Root } from '../../fs/root.ts';
import { readRootLines } from './root-file.ts';

/** Whom a container's process runs as. */
export interface ContainerUser {
  readonly uid: number;
  readonly gid: number;
  /** The primary group among them: a program that changes it keeps the groups it was given (CVE-2022-36109). */
  readonly additionalGids: readonly number[];
  /** From the image's passwd, else `/`. */
  readonly home: string;
}

interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

interface GroupEntry {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

const MAX_ID = 2 ** 31 - 1;

/**
 * Looks `user` (`name`, `uid`, `name:group`, `uid:gid`, …; `''` is root) up in the container's own
 * files, by Docker's rules: of the entries that match a name or a number the first counts, a number
 * needs no entry, and naming a group takes the place of those the user is a member of.
 *
 * @param groups further groups, by name or number
 * @throws INVALID_ARGUMENT when a name is unknown or a number out of range
 */
export function resolveUser(
  root: Root,
  user: string,
  groups: readonly string[] = [],
): ContainerUser {
  const colon = user.indexOf(':');
  const who = colon < 0 ? user : user.slice(0, colon);
  const group = colon < 0 ? '' : user.slice(colon + 1);
  const entry = passwdOf(root, who);
  const known = group !== '' || groups.length > 0 || entry !== undefined ? groupsOf(root) : [];
  const uid = entry?.uid ?? numberOf(who || '0', 'user');
  const gid = group === '' ? (entry?.gid ?? 0) : gidOf(known, group);
  const member = group === '' && entry !== undefined ? memberships(known, entry.name) : [];
  const all = [gid, ...member, ...groups.map((name) => gidOf(known, name))];
  return { uid, gid, additionalGids: [...new Set(all)], home: entry?.home || '/' };
}

function passwdOf(root: Root, who: string): PasswdEntry | undefined {
  const wanted = who === '' ? '0' : who;
  for (const line of readRootLines(root, 'etc/passwd')) {
    const [name, , uid, gid, , home] = line.trim().split(':');
    const entry = { name: name!, uid: idOf(uid), gid: idOf(gid) ?? 0, home: home ?? '' };
    if (!name || entry.uid === undefined) continue;
    // As root by default, whoever has its number.
    if ((who !== '' && name === wanted) || String(entry.uid) === wanted)
      return { ...entry, uid: entry.uid };
  }
  return undefined;
}

function groupsOf(root: Root): GroupEntry[] {
  const found: GroupEntry[] = [];
  for (const line of readRootLines(root, 'etc/group')) {
    const [name, , number, members = ''] = line.trim().split(':');
    const gid = idOf(number);
    if (name && gid !== undefined) found.push({ name, gid, members: members.split(',') });
  }
  return found;
}

const memberships = (known: readonly GroupEntry[], name: string): number[] =>
  known.filter(({ members }) => members.includes(name)).map(({ gid }) => gid);

const gidOf = (known: readonly GroupEntry[], wanted: string): number =>
  known.find(({ name, gid }) => name === wanted || String(gid) === wanted)?.gid ??
  numberOf(wanted, 'group');

function numberOf(text: string, kind: 'user' | 'group'): number {
  const id = idOf(text);
  if (id !== undefined) return id;
  const file = kind === 'user' ? 'passwd' : 'group';
  throw new MicaError(
    'INVALID_ARGUMENT',
    /^\d+$/.test(text)
      ? `${kind} ${text} is not between 0 and ${MAX_ID}`
      : `${kind} ${JSON.stringify(text)} is not in the image's /etc/${file}; name one that is, or give a number`,
  );
}

function idOf(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return undefined;
  const id = Number(text);
  return id <= MAX_ID ? id : undefined;
}
