import { driverNamed } from '../../../testing/drivers/table.ts';
import { testStorage } from '../../../testing/drivers/storage.ts';

testStorage(driverNamed('zfs'));
