import { testDriver } from '../../../testing/driver.ts';
import { testStorage } from '../../../testing/drivers/storage.ts';
import { driverNamed } from '../../../testing/drivers/table.ts';

testStorage(driverNamed('erofs'));
testDriver(driverNamed('erofs, every stack merged'));
