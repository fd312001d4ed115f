import { testCrashes } from '../testing/drivers/crash.ts';
import { driverNamed } from '../testing/drivers/table.ts';

testCrashes(driverNamed('overlay2'), 'anything');
