import { testStorage } from '../../../testing/drivers/storage.ts';
import { driverNamed } from '../../../testing/drivers/table.ts';

testStorage(driverNamed('windowsfilter'));
