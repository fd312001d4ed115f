import { MicaError } from '../../errors.ts';
import { type Binding, foreignFunctions } from '../binding.ts';
import { windowsError } from './result.ts';

/**
 * Files of NTFS restored whole, and volumes shown in directories.
 *
 * Written to the published prototypes; no machine with Windows has run it.
 * @see https://learn.microsoft.com/en-us/windows/win32/api/winbase/nf-winbase-backupwrite
 */
export interface WindowsFiles {
  /** Lets this process restore files with owners, audit lists and access lists that are not its own. */
  takePrivileges(): void;
  /**
   * Makes a file, or fills an existing directory, of a sequence of backup streams.
   * @param path - `\\?\C:\…`
   */
  restore(path: string, file: RestoredFile): void;
  /** @param volume - `\\?\Volume{…}` @param directory - existing and empty */
  mountVolume(volume: string, directory: string): void;
  unmountVolume(directory: string): void;
}

export interface RestoredFile {
  readonly attributes: number;
  /** In nanoseconds since 1970, of the last change: the other times become the same. */
  readonly mtimeNs: bigint;
  readonly isDirectory: boolean;
  readonly streams: Iterable<Uint8Array>;
}

const PRIVILEGES = ['SeBackupPrivilege', 'SeRestorePrivilege', 'SeSecurityPrivilege'];
const [ADJUST, QUERY, ENABLED] = [0x20, 0x8, 0x2];
/** `GENERIC_READ | GENERIC_WRITE | WRITE_DAC | WRITE_OWNER | ACCESS_SYSTEM_SECURITY`. */
const ACCESS = 0xc10c0000;
const [CREATE_NEW, OPEN_EXISTING] = [1, 3];
/** `FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT`. */
const FLAGS = 0x02200000;
const FILE_BASIC_INFO = 0;
/** From 1601 to 1970, in steps of 100 nanoseconds. */
const EPOCH = 116_444_736_000_000_000n;

let files: WindowsFiles | undefined;

/** @throws NOT_IMPLEMENTED elsewhere than on Windows */
export function windowsFiles(): WindowsFiles {
  if (process.platform !== 'win32')
    throw new MicaError(
      'NOT_IMPLEMENTED',
      `files of NTFS are restored by Windows only, this is ${process.platform}`,
    );
  return (files ??= bindFiles());
}

type Spec = Parameters<Binding['out']>[0];

function bindFiles(): WindowsFiles {
  const koffi = foreignFunctions();
  const [kernel, security] = [koffi.load('kernel32.dll'), koffi.load('advapi32.dll')];
  const lastError = kernel.func('__stdcall', 'GetLastError', 'uint32', []) as () => number;
  const call = (
    library: typeof kernel,
    name: string,
    ...parameters: Spec[]
  ): ((what: string, ...given: unknown[]) => void) => {
    const found = library.func('__stdcall', name, 'int32', parameters);
    return (what, ...given) => {
      if (found(...given) === 0) throw windowsError(`${name} ${what}`, lastError());
    };
  };
  const pointerOut = koffi.out(koffi.pointer('void *'));
  const current = kernel.func('__stdcall', 'GetCurrentProcess', 'void *', []) as () => unknown;
  const openToken = call(security, 'OpenProcessToken', 'void *', 'uint32', pointerOut);
  const lookUp = call(security, 'LookupPrivilegeValueW', 'str16', 'str16', 'void *');
  const adjust = call(
    security,
    'AdjustTokenPrivileges',
    'void *',
    'int32',
    'void *',
    'uint32',
    'void *',
    'void *',
  );
  const closeHandle = call(kernel, 'CloseHandle', 'void *');
  const create = kernel.func('__stdcall', 'CreateFileW', 'intptr_t', [
    'str16',
    'uint32',
    'uint32',
    'void *',
    'uint32',
    'uint32',
    'void *',
  ]);
  const close = call(kernel, 'CloseHandle', 'intptr_t');
  const write = call(
    kernel,
    'BackupWrite',
    'intptr_t',
    'void *',
    'uint32',
    'void *',
    'int32',
    'int32',
    'void *',
  );
  const setInfo = call(
    kernel,
    'SetFileInformationByHandle',
    'intptr_t',
    'int32',
    'void *',
    'uint32',
  );
  const setMountPoint = call(kernel, 'SetVolumeMountPointW', 'str16', 'str16');
  const deleteMountPoint = call(kernel, 'DeleteVolumeMountPointW', 'str16');

  const open = (path: string, isDirectory: boolean): number => {
    const disposition = isDirectory ? OPEN_EXISTING : CREATE_NEW;
    const handle = create(path, ACCESS, 0, null, disposition, FLAGS, null) as number;
    if (handle === -1) throw windowsError(`CreateFileW ${path}`, lastError());
    return handle;
  };

  const pour = (handle: number, path: string, streams: Iterable<Uint8Array>): void => {
    // What the system keeps from one call to the next, a pointer, begins as null.
    const [context, written] = [Buffer.alloc(8), Buffer.alloc(4)];
    try {
      for (const bytes of streams)
        for (let at = 0; at < bytes.length; at += written.readUInt32LE()) {
          const rest = bytes.subarray(at);
          write(path, handle, rest, rest.length, written, 0, 1, context);
        }
    } finally {
      write(path, handle, null, 0, written, 1, 1, context);
    }
  };

  return {
    takePrivileges() {
      const token: [unknown] = [null];
      openToken('', current(), ADJUST | QUERY, token);
      try {
        for (const name of PRIVILEGES) {
          // TOKEN_PRIVILEGES: a number, then for each its LUID and attributes.
          const wanted = Buffer.alloc(16);
          wanted.writeUInt32LE(1, 0);
          lookUp(name, null, name, wanted.subarray(4, 12));
          wanted.writeUInt32LE(ENABLED, 12);
          adjust(name, token[0], 0, wanted, 0, null, null);
          // It succeeds also where the account does not have the privilege.
          const error = lastError();
          if (error !== 0) throw windowsError(`take the privilege ${name}`, error);
        }
      } finally {
        closeHandle('of a token', token[0]);
      }
    },

    restore(path, { attributes, mtimeNs, isDirectory, streams }) {
      const handle = open(path, isDirectory);
      try {
        pour(handle, path, streams);
        const info = Buffer.alloc(40);
        for (let at = 0; at < 32; at += 8) info.writeBigInt64LE(mtimeNs / 100n + EPOCH, at);
        info.writeUInt32LE(attributes, 32);
        setInfo(path, handle, FILE_BASIC_INFO, info, info.length);
      } finally {
        close(path, handle);
      }
    },

    mountVolume: (volume, directory) =>
      setMountPoint(directory, slashed(directory), slashed(volume)),
    unmountVolume: (directory) => deleteMountPoint(directory, slashed(directory)),
  };
}

const slashed = (path: string): string => (path.endsWith('\\') ? path : `${path}\\`);
