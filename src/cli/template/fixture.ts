import { Duration, NIL_LIST, NIL_MAP, Struct, type Value } from './value.ts';

const EMPTY = new Struct({});

/** The fields of an image that says everything. What tests expect of it is what docker 26.1.5 printed. */
export const FULL: Struct = new Struct({
  Id: 'sha256:0123456789abcdef',
  RepoTags: ['app:latest'],
  Parent: '',
  Comment: 'a comment',
  Created: '2024-02-03T04:05:06.123456789Z',
  Container: '',
  Author: 'Some <one@x.org>',
  Config: new Struct({
    User: '1000:1000',
    Env: ['PATH=/bin', 'A=b c'],
    Cmd: ['echo "<&>" \u2028 é'],
    Tty: false,
    ExposedPorts: new Map<string, Value>([
      ['80/tcp', EMPTY],
      ['53/udp', EMPTY],
    ]),
    Healthcheck: new Struct(
      {
        Test: ['CMD', 'x'],
        Interval: new Duration(30_000_000_000),
        Timeout: new Duration(1_000_000_000),
        StartPeriod: new Duration(5),
        StartInterval: new Duration(0),
        Retries: 3,
      },
      { omitEmpty: ['StartInterval'] },
    ),
    MacAddress: '',
    Volumes: new Map<string, Value>([
      ['/data', EMPTY],
      ['/b', EMPTY],
    ]),
    Entrypoint: ['/bin/sh', '-c'],
    OnBuild: ['RUN x'],
    Labels: new Map([
      ['z.y', '1'],
      ['a.b', '<x> & "q"\n'],
      ['m', ''],
    ]),
    StopTimeout: 5,
    Shell: ['/bin/bash', '-c'],
  }),
  Architecture: 'amd64',
  Variant: 'v2',
  Os: 'linux',
  OsVersion: '',
  Size: 30,
  VirtualSize: 0,
  RootFS: new Struct({ Type: 'layers', Layers: ['sha256:aa', 'sha256:bb'] }),
});

/** One whose config says nothing. */
export const NIL: Struct = new Struct({
  Variant: '',
  OsVersion: '',
  Config: new Struct({
    Env: NIL_LIST,
    Entrypoint: NIL_LIST,
    Labels: NIL_MAP,
    ExposedPorts: NIL_MAP,
    Healthcheck: null,
    StopSignal: '',
    StopTimeout: null,
    MacAddress: '',
    Shell: NIL_LIST,
  }),
});

/** One without a config. */
export const BARE: Struct = new Struct({ Created: '', Config: null });
