import { MicaError } from '../../errors.ts';
import { OPAQUE_WHITEOUT, WHITEOUT_PREFIX } from '../../oci/whiteout.ts';
import type { Upper } from '../../snapshot/driver.ts';
import { S_IFCHR, S_IFREG } from '../../erofs/node.ts';
import { getXattr, type Xattr } from '../../sys/xattr.ts';
import { shown } from '../changeset/member-name.ts';
import { typeOf } from './attributes.ts';
import { type Entry, entriesOf, type Listing, type OpenDirectory, type Source } from './source.ts';

/** Where each union file system keeps its marks in xattrs. */
const FAMILIES: Readonly<Record<Upper['whiteouts'], readonly string[]>> = {
  overlay: ['trusted.overlay.'],
  userxattr: ['user.overlay.'],
  'fuse-overlayfs': ['trusted.overlay.', 'user.overlay.', 'user.fuseoverlayfs.'],
  aufs: [],
};

/** The directory in which a union file system keeps what was changed. */
export function upperSource({ path, whiteouts }: Upper): Source {
  const marks = whiteouts === 'aufs' ? aufsMarks : overlayMarks(whiteouts);
  return { root: path, isUntouched: () => false, ...marks };
}

type Marks = Pick<Source, 'list' | 'check'>;

/**
 * - whiteout: a character device 0:0, or an empty file with the xattr `whiteout` in a directory whose
 *   `opaque` is `x`; of fuse-overlayfs, which may not make devices, also a file `.wh.<name>`
 * - opaque directory: `opaque` is `y`; of fuse-overlayfs also a file `.wh..wh..opq`
 * @see https://docs.kernel.org/filesystems/overlayfs.html
 */
function overlayMarks(kind: Exclude<Upper['whiteouts'], 'aufs'>): Marks {
  const families = FAMILIES[kind];
  const has = (xattrs: readonly Xattr[], mark: string, wanted?: string): boolean =>
    xattrs.some(
      ({ name, value }) =>
        families.some((family) => name === family + mark) &&
        (wanted === undefined || Buffer.from(value).toString('latin1') === wanted),
    );

  function isWhiteout(directory: OpenDirectory, { name, stat }: Entry): boolean {
    const type = typeOf(stat);
    if (type === S_IFCHR) return stat.rdev === 0;
    if (type !== S_IFREG || stat.size > 0 || !has(directory.xattrs, 'opaque', 'x')) return false;
    const file = { dirfd: directory.fd, name };
    return families.some((family) => getXattr(file, `${family}whiteout`) !== undefined);
  }

  return {
    list(directory) {
      const all = entriesOf(directory.fd);
      const named =
        kind === 'fuse-overlayfs'
          ? splitNamed(all.filter(({ name }) => name !== FUSE_OPAQUE))
          : plain(all);
      const [entries, deleted] = [[] as Entry[], [...named.deleted]];
      for (const entry of named.entries)
        if (isWhiteout(directory, entry)) deleted.push(entry.name);
        else entries.push(entry);
      return { entries, deleted, complete: named.complete || has(directory.xattrs, 'opaque', 'y') };
    },

    check(path, xattrs) {
      if (xattrs.length === 0) return;
      if (has(xattrs, 'redirect'))
        throw refused(path, 'was renamed, and its content is elsewhere', 'redirect_dir=nofollow');
      if (has(xattrs, 'metacopy'))
        throw refused(
          path,
          'has its attributes only, and its content is elsewhere',
          'metacopy=off',
        );
      if (kind === 'fuse-overlayfs' && xattrs.some(({ name }) => name.endsWith(OVERRIDE)))
        throw refused(path, 'has its owner and mode in an xattr', 'no xattr_permissions');
    },
  };
}

const plain = (entries: readonly Entry[]): Listing => ({ entries, deleted: [], complete: false });

const OVERRIDE = '.override_stat';
/** fuse-overlayfs makes directories opaque in three ways: this one is no deletion of a file `.opq`. */
const FUSE_OPAQUE = '.wh..opq';

const refused = (path: string, what: string, option: string): MicaError =>
  new MicaError(
    'FAILED_PRECONDITION',
    `${shown(path)} ${what}: this upper directory was not written by a mount with ${option}; copy its mounted tree instead`,
  );

const aufsMarks: Marks = {
  list: ({ fd }) => splitNamed(entriesOf(fd)),
  check() {},
};

/**
 * Marks that are files with names of their own: `.wh.<name>` and `.wh..wh..opq`. Other `.wh..wh.*`
 * are AUFS' bookkeeping.
 */
function splitNamed(all: readonly Entry[]): Listing {
  const entries = all.filter(({ name }) => !name.startsWith(WHITEOUT_PREFIX));
  const marks = all.filter(({ name }) => name.startsWith(WHITEOUT_PREFIX));
  return {
    entries,
    deleted: marks.map(({ name }) => name.slice(WHITEOUT_PREFIX.length)),
    complete: marks.some(({ name }) => name === OPAQUE_WHITEOUT),
  };
}
