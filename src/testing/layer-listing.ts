import { TarReader } from '../tar/read.ts';

/** The members of an archive in order, a line each, so that a difference reads as a diff. */
export function layerListing(tar: Uint8Array): string {
  const lines: string[] = [];
  const reader = new TarReader({
    entry({ type, name, linkName, mode, uid, gid, size, mtime, mtimeNs, xattrs = [], sparse }) {
      const time = `${mtime}.${String(mtimeNs).padStart(9, '0')}`;
      const marks = xattrs.map(({ name: key, value }) => `${key}=${Buffer.from(value).toString()}`);
      const runs = sparse && `sparse:${sparse.map((run) => `${run.offset}+${run.length}`).join()}`;
      lines.push(
        [type, name, linkName, mode.toString(8), `${uid}:${gid}`, size, time, ...marks, runs]
          .filter((word) => word !== undefined && word !== '')
          .join(' '),
      );
    },
    data() {},
    end() {},
  });
  reader.write(tar);
  reader.end();
  return lines.join('\n');
}
