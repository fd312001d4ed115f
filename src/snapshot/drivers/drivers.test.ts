import { testDriver } from '../../testing/driver.ts';
import { needs } from '../../testing/need.ts';
import { inUserNamespace } from '../../sys/userns.ts';
import { erofs } from './erofs.ts';
import { overlay2 } from './overlay2.ts';
import { tar } from './tar.ts';
import { vfs } from './vfs.ts';

testDriver({
  name: 'overlay2',
  skip: needs('overlay'),
  open: (layers) => overlay2(layers, { userxattr: inUserNamespace() }),
});
testDriver({ name: 'vfs', skip: needs('root'), open: vfs });
testDriver({ name: 'tar', open: tar });
testDriver({
  name: 'erofs',
  skip: needs('root', 'overlay', 'erofs'),
  open: erofs,
});
testDriver({
  name: 'erofs, every stack merged',
  skip: needs('root', 'overlay', 'erofs'),
  open: (layers, parts) => erofs(layers, { ...parts, mergeFrom: 1 }),
});
